package vault

import (
	"fmt"
	"strings"
)

// Caller is the human on whose behalf something happens. Two callers are the
// same person exactly when both fields are equal; e-mail addresses never decide (R03).
type Caller struct {
	Issuer  string // "https://login.example.com", or "local:" and the vault's id
	Subject string // stable id at that issuer, or the OS user id
}

// IsZero says whether nobody is named.
func (c Caller) IsZero() bool { return c == Caller{} }

// Person is a caller with what is shown of them. Only Caller identifies.
type Person struct {
	Caller
	Email         string
	EmailVerified bool
	Name          string
	// Claims are those of the sign-in that a rule names (Config.Rules). They last as long as the session, and are stored nowhere else.
	Claims map[string][]string `json:",omitempty"`
}

// Label is what a page shows of a person: e-mail, else name, else subject.
func (p Person) Label() string {
	for _, s := range []string{p.Email, p.Name, p.Subject} {
		if s != "" {
			return s
		}
	}
	return "nobody"
}

// Agent is who acts for a caller: an MCP client or a workload.
type Agent struct {
	Issuer string // issuer of its client id; "" on stdio
	ID     string // client id, or "stdio:NAME"
	Name   string // shown; what it calls itself unless Verified
	Host   string // shown: host of its redirect or metadata, "" when unknown
	// Verified says that Name comes from somebody who vouches for it (the operator), not from the client.
	Verified bool
}

// WorkloadIssuer is the Issuer of a workload, whose name comes from the configuration, so that no client of any issuer has it.
const WorkloadIssuer = "workload:"

// Workload says whether it is a workload, which is handed tokens, and no MCP client, which gets tools.
func (a Agent) Workload() bool { return a.Issuer == WorkloadIssuer }

// Label is what a page shows of an agent.
func (a Agent) Label() string {
	if a.Name != "" {
		return a.Name
	}
	return strings.TrimPrefix(a.ID, "stdio:")
}

// SubjectOf builds a Caller's Subject from the claims that the config names
// (identity.subject_claims), in that order: one claim as it is, several as
// length-prefixed parts, so that no two tuples collide. A claim that is
// missing or empty is an error: nothing is ever guessed from other claims.
func SubjectOf(claim func(name string) string, names []string) (string, error) {
	parts := make([]string, len(names))
	for i, n := range names {
		if parts[i] = claim(n); parts[i] == "" {
			return "", fmt.Errorf("reading subject: claim %q is missing", n)
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	for i, p := range parts {
		parts[i] = fmt.Sprintf("%d:%s", len(p), p)
	}
	return strings.Join(parts, ","), nil
}
