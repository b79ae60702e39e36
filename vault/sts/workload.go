package sts

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/assertion"
	"github.com/grantry/grantry/vault/provider"
)

// Workload is a confidential client that may exchange tokens. It proves itself by Secret or by Keys, never by both.
type Workload struct {
	Secret      provider.Secret
	Keys        assertion.KeySource
	Connections map[string][]string // the only ones it may use → the widest scopes of a token for it
	Audiences   []string            // of subject tokens, besides {public_url}/
	Addresses   []netip.Prefix      // where it may call from; none = anywhere
	SignsIn     bool                // people sign in to it at the built-in server
	Unattended  []string            // connections for which its own assertion is a subject token
	AllowWider  bool                // a token may be wider than the ceiling where the vendor cannot narrow it
	Proxy       map[string][]string // connection → the requests that it may send through the proxy (ParseRule)
}

// workload is one of the config, ready to be compared with who comes.
type workload struct {
	Workload
	name string
	hash [sha256.Size]byte // of the secret
	rules
}

func newWorkload(name string, w Workload) (*workload, error) {
	all, err := parseRules(w.Proxy)
	return &workload{Workload: w, name: name, hash: sha256.Sum256([]byte(w.Secret.Reveal())), rules: all}, err
}

// agent is who it is for the vault: access, approvals and stops are of this agent.
func (w *workload) agent() vault.Agent {
	return vault.Agent{Issuer: vault.WorkloadIssuer, ID: w.name, Name: w.name, Verified: true}
}

// is compares hashes: neither the time nor the length says anything of the secret.
func (w *workload) is(secret string) bool {
	got := sha256.Sum256([]byte(secret))
	return !w.Secret.IsZero() && subtle.ConstantTimeCompare(got[:], w.hash[:]) == 1
}

// mayComeFrom says whether this peer is in its address ranges.
func (w *workload) mayComeFrom(peer netip.Addr) bool {
	return len(w.Addresses) == 0 || slices.ContainsFunc(w.Addresses, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// credentials are what a client proves itself with, in one way.
type credentials struct {
	id        string
	secret    string
	assertion string
	base      string // where it was sent to
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// credentialsOf reads who the client says that it is (RFC 6749 §2.3, RFC 7521 §4.2).
func credentialsOf(r *http.Request, form url.Values) (c credentials, err error) {
	f := reader{form: form}
	c.id, c.secret, c.assertion = f.one("client_id", maxText), f.one("client_secret", maxSubject), f.one("client_assertion", maxSubject)
	if kind := f.one("client_assertion_type", maxText); kind != "" && kind != assertionType || (kind == "") != (c.assertion == "") {
		f.fail("client_assertion_type must be " + assertionType + ", beside a client_assertion")
	}
	if err := f.err(); err != nil {
		return c, err
	}
	id, secret, basic, err := basicOf(r)
	if err != nil {
		return c, err
	}
	ways := 0
	for _, used := range []bool{basic, c.secret != "", c.assertion != ""} {
		if used {
			ways++
		}
	}
	switch {
	case ways > 1:
		return c, refuse(http.StatusBadRequest, "invalid_request", "a client proves itself in one way only")
	case basic && c.id != "" && c.id != id:
		return c, refuse(http.StatusBadRequest, "invalid_request", "client_id and the Authorization header name two clients")
	case basic:
		c.id, c.secret = id, secret
	}
	return c, nil
}

// basicOf reads HTTP Basic, whose parts are form-encoded first (RFC 6749 §2.3.1).
func basicOf(r *http.Request) (id, secret string, ok bool, err error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", "", false, nil
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	raw, bad := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	rawID, rawSecret, found := strings.Cut(string(raw), ":")
	id, bad1 := url.QueryUnescape(rawID)
	secret, bad2 := url.QueryUnescape(rawSecret)
	if len(values) > 1 || !strings.EqualFold(scheme, "Basic") || !found || errors.Join(bad, bad1, bad2) != nil || len(raw) > maxSubject {
		return "", "", false, refuse(http.StatusUnauthorized, "invalid_client", "the Authorization header must be HTTP Basic with client id and secret, each form-encoded").as(badClient)
	}
	return id, secret, true, nil
}

// authenticate answers the workload that the request is proved to come from.
func (s *Server) authenticate(ctx context.Context, peer netip.Addr, c credentials) (*workload, error) {
	if c.id == "" && c.assertion != "" {
		c.id = assertion.Unproved(c.assertion) // unproved as yet
	}
	if c.id == "" {
		return nil, notProved("client_id is missing")
	}
	w, known := s.workloads[c.id]
	if wait := s.failures.wait(peer, c.id); wait > 0 {
		return nil, &refusal{status: http.StatusTooManyRequests, code: "too_many_requests", text: "this client has failed to prove itself too often from this address; try again later", retry: wait, kind: badClient}
	}
	if !known {
		if c.secret == "" && c.assertion == "" || s.cfg.IsClient != nil && s.cfg.IsClient(ctx, c.id) {
			return nil, refuse(http.StatusBadRequest, "unauthorized_client", "token exchange is for the workloads of this server's configuration; a public client or an MCP client is none").as(badClient)
		}
		s.failures.failed(peer, c.id)
		return nil, notProved("this client is not known here, or did not prove itself")
	}
	if err := s.proves(ctx, w, c); err != nil {
		if r := refusalOf(err); r.status != http.StatusUnauthorized {
			return nil, err
		}
		s.failures.failed(peer, c.id)
		return nil, err
	}
	if !w.mayComeFrom(peer) {
		return nil, refuse(http.StatusForbidden, "unauthorized_client", "this client may not call from this address (workloads."+w.name+".addresses)").as(badAddress)
	}
	return w, nil
}

func notProved(text string) *refusal {
	return refuse(http.StatusUnauthorized, "invalid_client", text).as(badClient)
}

// proves checks the one way that this workload has.
func (s *Server) proves(ctx context.Context, w *workload, c credentials) error {
	switch {
	case c.assertion != "" && w.Keys != nil:
		return s.checkClientAssertion(ctx, w, c)
	case c.secret != "" && w.is(c.secret):
		return nil
	}
	return notProved("this client is not known here, or did not prove itself")
}
