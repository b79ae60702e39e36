package sts_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sts"
)

var alice = vault.Caller{Issuer: idp, Subject: "alice"}

// TestR58Subjects: a token for somebody else, or that says that somebody else may act, is no subject token.
func TestR58Subjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("alice", "files.read")
	to := func(audience ...string) func(*sts.Subject) {
		return func(s *sts.Subject) { s.Audience = audience }
	}
	mayAct := func(all ...sts.Actor) func(*sts.Subject) {
		return func(s *sts.Subject) { s.MayAct = append([]sts.Actor{}, all...) }
	}
	client := func(id string) func(*sts.Subject) { return func(s *sts.Subject) { s.Client = id } }
	both := func(all ...func(*sts.Subject)) func(*sts.Subject) {
		return func(s *sts.Subject) {
			for _, f := range all {
				f(s)
			}
		}
	}
	for name, change := range map[string]func(*sts.Subject){
		"to another":                     to("https://other.example.com"),
		"to nobody":                      to(),
		"to the address without a slash": to(publicURL),
		"to the accounts API":            to(publicURL + "/me/"),
		"an MCP token":                   to(publicURL + "/mcp"),
		"an MCP token that is both":      to(publicURL+"/", publicURL+"/mcp"),
		"to another workload's audience": to("https://reports.example.com"),
		"issued to another workload":     client("reports"),
		"may_act names another":          mayAct(sts.Actor{Subject: "reports"}),
		"may_act names nobody":           mayAct(),
		"may_act of another issuer":      mayAct(sts.Actor{Issuer: "https://evil.example", Subject: "nightly"}),
	} {
		refused(t, name, w.send(with("subject_token", w.idp.issue("alice", change))), http.StatusBadRequest, "invalid_request")
	}
	for name, change := range map[string]func(*sts.Subject){
		"to us":                      to("https://other.example.com", publicURL+"/"),
		"to the workload itself":     to("https://api.example.com"),
		"its own":                    client("nightly"),
		"for it, by another of ours": both(client("reports"), to("https://api.example.com")),
		"may_act names it":           both(client("reports"), mayAct(sts.Actor{Subject: "someone"}, sts.Actor{Issuer: idp, Subject: "nightly"})),
	} {
		if r := w.send(with("subject_token", w.idp.issue("alice", change))); r.status != http.StatusOK {
			t.Errorf("%s: %s", name, r)
		}
	}
	r := w.send(with("subject_token", w.idp.issue("alice", func(s *sts.Subject) {
		s.ID, s.Actors = "jti-of-the-chain", []sts.Actor{{Subject: "assistant"}, {Issuer: idp, Subject: "gateway"}}
	})))
	if r.status != http.StatusOK {
		t.Fatalf("%s", r)
	}
	log := w.audit()
	for _, want := range []string{`"token.exchanged"`, `"nightly"`, "assistant", "gateway (" + idp + ")", "jti-of-the-chain", "may_act"} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit does not say %s", want)
		}
	}
}

// TestRefreshTokenSubject: only one that the built-in server issued to this same workload.
func TestRefreshTokenSubject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("alice", "files.read")
	w.logins[[2]string{"nightly", "rt-nightly"}] = vault.Person{Caller: alice}
	w.logins[[2]string{"reports", "rt-reports"}] = vault.Person{Caller: alice}
	as := func(token string) func(*sent) { return with("subject_token_type", refresh, "subject_token", token) }
	if r := w.send(as("rt-nightly")); r.status != http.StatusOK || w.vendor.whose(r.str("access_token")) != "alice" {
		t.Errorf("%s", r)
	}
	refused(t, "another workload's", w.send(as("rt-reports")), http.StatusBadRequest, "invalid_request")
	refused(t, "the same by Auth0's names", w.send(auth0, as("rt-reports")), http.StatusForbidden, "invalid_grant")
	refused(t, "an access token as one", w.send(as(w.idp.issue("alice"))), http.StatusBadRequest, "invalid_request")
	refused(t, "one as an access token", w.send(with("subject_token", "rt-nightly")), http.StatusBadRequest, "invalid_request")
	refused(t, "where nobody signs in", w.send(as("rt-reports"), with("client_id", "reports", "client_secret", "another-"+secret, "connection", "mail", "scope", "")), http.StatusBadRequest, "invalid_request")
}

// TestR60NoProofOfPossession: DPoP is not offered, and says so.
func TestR60NoProofOfPossession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("alice", "files.read")
	r := w.send(func(s *sent) { s.Header.Set("DPoP", "eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.x") })
	refused(t, "a proof", r, http.StatusBadRequest, "invalid_dpop_proof")
	if !strings.Contains(r.str("error_description"), "DPoP is not offered") {
		t.Errorf("%s", r)
	}
	refused(t, "the scheme", w.send(func(s *sent) { s.Header.Set("Authorization", "DPoP x") }), http.StatusUnauthorized, "invalid_client")
}

// TestNothingLeaks: no token and no secret is in the log, the audit or a refusal.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("alice", "files.read")
	var all strings.Builder
	subject := w.idp.issue("alice")
	got := w.send(with("subject_token", subject))
	for _, change := range []func(*sent){
		with("client_secret", "guess-canary"), with("connection", "nowhere"), with("subject_token", "bad-canary"), with("account", "nobody"),
		with("subject_token", w.idp.issue("bob")), auth0,
	} {
		r := w.send(change)
		if r.status != http.StatusOK {
			all.WriteString(r.raw)
		}
	}
	all.WriteString(w.log.String() + w.audit())
	for _, leak := range []string{got.str("access_token"), subject, "canary"} {
		if strings.Contains(all.String(), leak) {
			t.Errorf("%q is in the log, the audit or a refusal", leak)
		}
	}
}
