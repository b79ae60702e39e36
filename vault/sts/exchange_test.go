package sts_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/sts"
)

// TestR55OnlyWorkloads: an MCP client and a public client cannot exchange, and who does not prove themselves is not told more.
func TestR55OnlyWorkloads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *sts.Config) {
		c.IsClient = func(_ context.Context, id string) bool { return id == "claude" }
	})
	w.connect("alice", "files.read")
	refused(t, "an MCP client with a secret", w.send(with("client_id", "claude")), http.StatusBadRequest, "unauthorized_client")
	refused(t, "a public client", w.send(with("client_id", "some-spa", "client_secret", "")), http.StatusBadRequest, "unauthorized_client")
	refused(t, "the same by Auth0's names", w.send(auth0, with("client_id", "some-spa", "client_secret", "")), http.StatusForbidden, "unauthorized_client")
	for name, change := range map[string]func(*sent){
		"no client":                 with("client_id", "", "client_secret", ""),
		"a workload with no secret": with("client_secret", ""),
		"a wrong secret":            with("client_secret", "guessed"),
		"another workload's secret": with("client_id", "reports"),
		"an unknown client":         with("client_id", "nobody"),
	} {
		r := w.send(change)
		refused(t, name, r, http.StatusUnauthorized, "invalid_client")
		if r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", name)
		}
	}
	if !strings.Contains(w.audit(), `"exchange.refused"`) {
		t.Error("the audit does not say so")
	}
}

// TestClientProof: Basic with form-encoded parts, or the body, and never two ways.
func TestClientProof(t *testing.T) {
	t.Parallel()
	odd := "s:e c+r%t"
	w := newWorld(t, func(c *sts.Config) {
		one := c.Workloads["nightly"]
		one.Secret = provider.NewSecret(odd)
		c.Workloads["nightly"] = one
	})
	basic := func(value string) func(*sent) {
		return func(s *sent) {
			s.form.Del("client_id")
			s.form.Del("client_secret")
			s.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(value)))
		}
	}
	w.follow(w.send(with("client_secret", odd)), "alice", "files.read")
	if r := w.send(basic("nightly:s%3Ae+c%2Br%25t")); r.status != http.StatusOK {
		t.Errorf("Basic: %s", r)
	}
	if r := w.send(basic("nightly:s%3Ae+c%2Br%25t"), with("client_id", "nightly")); r.status != http.StatusOK {
		t.Errorf("Basic with client_id: %s", r)
	}
	refused(t, "raw Basic", w.send(basic("nightly:"+odd)), http.StatusUnauthorized, "invalid_client")
	refused(t, "Bearer", w.send(func(s *sent) { s.Header.Set("Authorization", "Bearer "+odd) }), http.StatusUnauthorized, "invalid_client")
	refused(t, "two ways", w.send(basic("nightly:s%3Ae+c%2Br%25t"), with("client_secret", odd)), http.StatusBadRequest, "invalid_request")
	refused(t, "two names", w.send(basic("nightly:s%3Ae+c%2Br%25t"), with("client_id", "reports")), http.StatusBadRequest, "invalid_request")
}

// TestR56Answer: the RFC's fields, expires_in and scope always, no refresh token, and as much life as was asked for.
func TestR56Answer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("alice", "files.read mail.read")
	r := w.send()
	if r.status != http.StatusOK || w.vendor.whose(r.str("access_token")) != "alice" || r.str("issued_token_type") != access || r.str("token_type") != "Bearer" {
		t.Fatalf("%s", r)
	}
	if got := r.body["expires_in"]; got != 3570.0 {
		t.Errorf("expires_in %v", got)
	}
	scopes := strings.Fields(r.str("scope"))
	if slices.Sort(scopes); !slices.Equal(scopes, []string{"files.read", "mail.read"}) || r.str("api_base") != w.vendor.srv.URL+"/instance" || len(r.body) != 6 {
		t.Errorf("%s", r)
	}
	w.clock.add(50 * time.Minute)
	if r := w.send(with("min_ttl", "1800")); r.status != http.StatusOK || r.body["expires_in"].(float64) < 1800 || w.vendor.spends != 1 {
		t.Errorf("min_ttl: %s, %d refreshes", r, w.vendor.spends)
	}
	w.clock.add(time.Minute)
	r = w.send(with("min_ttl", "7200"))
	refused(t, "min_ttl beyond the vendor", r, http.StatusBadRequest, "invalid_request")
	if !strings.Contains(r.str("error_description"), "min_ttl") {
		t.Errorf("%s", r)
	}
	for _, bad := range []string{"-1", "1.5", "soon", "86401"} {
		refused(t, "min_ttl "+bad, w.send(with("min_ttl", bad)), http.StatusBadRequest, "invalid_request")
	}
}

// TestR56NoEnd: of a token whose end the vendor does not name there is an expires_in, too, and a short one.
func TestR56NoEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vendor.life = 0
	w.connect("alice", "files.read")
	if r := w.send(); r.status != http.StatusOK || r.body["expires_in"] != 300.0 {
		t.Errorf("%s", r)
	}
	if r := w.send(with("min_ttl", "900")); r.status != http.StatusOK || r.body["expires_in"] != 900.0 {
		t.Errorf("%s", r)
	}
}

// TestR57Codes: each bad exchange has its own code, and says what is missing and where a person can mend it.
func TestR57Codes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.send()
	refused(t, "no grant", r, http.StatusBadRequest, "consent_required")
	if r.str("error_reason") != "not_connected" || !strings.HasPrefix(r.str("consent_uri"), publicURL+"/consent/") || r.body["missing_scopes"].([]any)[0] != "files.read" {
		t.Errorf("%s", r)
	}
	if again := w.send(); again.str("consent_uri") != r.str("consent_uri") {
		t.Error("the same question has two links")
	}
	w.follow(r, "alice", "files.read")
	r = w.send(with("scope", "files.read mail.read"))
	refused(t, "a scope that is not granted", r, http.StatusBadRequest, "invalid_scope")
	if m := r.body["missing_scopes"].([]any); r.str("error_reason") != "under_scoped" || len(m) != 1 || m[0] != "mail.read" || r.str("consent_uri") == "" {
		t.Errorf("%s", r)
	}
	for name, c := range map[string]struct {
		change func(*sent)
		code   string
	}{
		"a bad subject token":     {with("subject_token", "garbage"), "invalid_request"},
		"no subject token type":   {with("subject_token_type", ""), "invalid_request"},
		"an ID token":             {with("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"), "invalid_request"},
		"no connection":           {with("connection", ""), "invalid_request"},
		"an unknown connection":   {with("connection", "nowhere"), "invalid_target"},
		"not this workload's":     {with("connection", "mail"), "invalid_target"},
		"an unknown audience":     {with("audience", "nowhere"), "invalid_target"},
		"an unknown resource":     {with("resource", "https://elsewhere.example/"), "invalid_target"},
		"a scope above":           {with("scope", "files.read admin"), "invalid_scope"},
		"no such account":         {with("account", "bob@vendor.example"), "invalid_request"},
		"two accounts":            {with("account", "a@b.example", "login_hint", "c@d.example"), "invalid_request"},
		"another requested type":  {with("requested_token_type", refresh), "invalid_request"},
		"Auth0's requested type":  {with("requested_token_type", federated), "invalid_request"},
		"an actor token":          {with("actor_token", "x", "actor_token_type", access), "invalid_request"},
		"a scope that is none":    {with("scope", "files.read \"x\""), "invalid_request"},
		"a parameter twice":       {func(s *sent) { s.form.Add("connection", "files") }, "invalid_request"},
		"a line break in a value": {with("account", "a\nb"), "invalid_request"},
	} {
		refused(t, name, w.send(c.change), http.StatusBadRequest, c.code)
	}
	for name, change := range map[string]func(*sent){
		"audience":             with("connection", "", "audience", "files"),
		"resource":             with("connection", "", "resource", w.vendor.srv.URL+"/v1/files"),
		"all of them":          with("audience", "files", "resource", w.vendor.srv.URL),
		"an undefined one":     with("audience", "undefined", "extra", "undefined"),
		"by the account's id":  with("account", "alice@vendor.example"),
		"its requested type":   with("requested_token_type", access),
		"two resources":        func(s *sent) { s.form["resource"] = []string{w.vendor.srv.URL + "/a", w.vendor.srv.URL + "/b"} },
		"all there is below":   with("scope", ""),
		"a scope by its cover": with("scope", "files.read files.read"),
	} {
		if r := w.send(change); r.status != http.StatusOK || w.vendor.whose(r.str("access_token")) != "alice" {
			t.Errorf("by %s: %s", name, r)
		}
	}
}

// TestAllBelowTheCeiling: who asks for no scope gets what was granted, and who has no account is asked for the ceiling.
func TestAllBelowTheCeiling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.send(with("scope", ""))
	if m := r.body["missing_scopes"].([]any); len(m) != 2 {
		t.Errorf("asked for %v", m)
	}
	w.follow(r, "alice", "files.all mail.read")
	for who, scopes := range map[string]string{"alice": "files.all mail.read", "bob": "files.all", "carol": "files.read"} {
		if who != "alice" {
			w.connect(who, scopes)
		}
		r := w.send(with("scope", "", "subject_token", w.idp.issue(who)))
		if r.status != http.StatusOK || r.str("scope") != scopes || w.vendor.whose(r.str("access_token")) != who {
			t.Errorf("%s: %s", who, r)
		}
	}
}

// TestCeilingIsReal: a token that could do more than the ceiling is not handed out, unless the operator said so.
func TestCeilingIsReal(t *testing.T) {
	t.Parallel()
	for _, wider := range []bool{false, true} {
		w := newWorld(t, func(c *sts.Config) {
			one := c.Workloads["nightly"]
			one.AllowWider = wider
			c.Workloads["nightly"] = one
		})
		w.follow(w.send(), "alice", "files.read admin.write")
		r := w.send()
		if wider {
			if r.status != http.StatusOK || !strings.Contains(r.str("scope"), "admin.write") {
				t.Errorf("allow_wider: %s", r)
			}
			continue
		}
		refused(t, "wider than the ceiling", r, http.StatusBadRequest, "invalid_scope")
		if m, _ := r.body["missing_scopes"].([]any); r.str("error_reason") != "cannot_narrow" || len(m) != 1 || m[0] != "admin.write" {
			t.Errorf("%s", r)
		}
	}
}

// TestOutageIsNoConsent: a vendor that is down, or that refuses us, is nothing that a person is asked about.
func TestOutageIsNoConsent(t *testing.T) {
	t.Parallel()
	for _, form := range []func(*sent){with(), auth0} {
		w := newWorld(t)
		w.connect("alice", "files.read")
		w.clock.add(2 * time.Hour)
		w.vendor.set(func(v *vendor) { v.down = true })
		r := w.send(form)
		refused(t, "vendor down", r, http.StatusServiceUnavailable, "temporarily_unavailable")
		if r.str("error_reason") != "provider_unreachable" || r.str("consent_uri") != "" || r.header.Get("Retry-After") == "" {
			t.Errorf("%s", r)
		}
		w.clock.add(time.Hour)
		w.idp.err = errors.New("issuer down")
		refused(t, "issuer down", w.send(form, with("subject_token", "x")), http.StatusServiceUnavailable, "temporarily_unavailable")
	}
}

// TestR64RevokedOnAnotherReplica: what one process revokes gives no token at another.
func TestR64RevokedOnAnotherReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("alice", "files.read")
	if r := w.send(); r.status != http.StatusOK {
		t.Fatalf("%s", r)
	}
	other := w.open("p2")
	accounts, err := other.Accounts(t.Context(), alice)
	if err != nil || len(accounts) != 1 {
		t.Fatal(accounts, err)
	}
	if _, err := other.Disconnect(t.Context(), alice, accounts[0].ID); err != nil {
		t.Fatal(err)
	}
	if r := w.send(); r.status != http.StatusBadRequest || r.str("access_token") != "" || r.str("error") != "consent_required" {
		t.Errorf("after the revocation: %s", r)
	}
}

// TestAddresses: a workload that may call from some networks does not from others.
func TestAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *sts.Config) {
		one := c.Workloads["nightly"]
		one.Addresses = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}
		c.Workloads["nightly"] = one
	})
	w.connect("alice", "files.read")
	for peer, status := range map[string]int{
		"203.0.113.9:1": http.StatusOK, "[::ffff:203.0.113.9]:1": http.StatusOK, "[2001:db8::7]:1": http.StatusOK,
		"203.0.114.9:1": http.StatusForbidden, "[2001:db9::7]:1": http.StatusForbidden, "somewhere": http.StatusForbidden,
	} {
		if r := w.send(func(s *sent) { s.RemoteAddr = peer }); r.status != status {
			t.Errorf("from %s: %s", peer, r)
		}
	}
}
