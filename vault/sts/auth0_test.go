package sts_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAuth0Names: the alias layer answers by Auth0's codes and statuses, as @auth0/ai and auth0-auth-js read them.
func TestAuth0Names(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sdk := with("scope", "", "login_hint", "")
	r := w.send(auth0, sdk)
	refused(t, "not connected", r, http.StatusUnauthorized, "federated_connection_refresh_token_not_found")
	if r.str("error_reason") != "not_connected" || r.str("consent_uri") == "" || r.header.Get("WWW-Authenticate") != "" { // a challenge would hide the code from its SDKs
		t.Errorf("%s", r)
	}
	w.follow(r, "alice", "files.all mail.read")
	r = w.send(auth0, sdk)
	if r.status != http.StatusOK || r.str("issued_token_type") != federated || r.str("token_type") != "Bearer" || r.str("scope") != "files.all mail.read" || r.body["expires_in"] != 3570.0 {
		t.Errorf("%s", r)
	}
	for name, c := range map[string]struct {
		change func(*sent)
		status int
		code   string
	}{
		"a hint that matches nothing": {with("login_hint", "bob@vendor.example"), http.StatusUnauthorized, "user_not_found"},
		"a bad subject token":         {with("subject_token", "garbage"), http.StatusForbidden, "invalid_grant"},
		"a connection not enabled":    {with("connection", "mail"), http.StatusForbidden, "unauthorized_client"},
		"no connection":               {with("connection", ""), http.StatusBadRequest, "invalid_request"},
		"a wrong secret":              {with("client_secret", "guessed"), http.StatusUnauthorized, "invalid_client"},
		"a worker's type":             {with("requested_token_type", "http://auth0.com/oauth/token-type/token-vault-access-token"), http.StatusBadRequest, "invalid_request"},
		"the RFC's type":              {with("requested_token_type", access), http.StatusBadRequest, "invalid_request"},
	} {
		refused(t, name, w.send(auth0, c.change), c.status, c.code)
	}
	if r := w.send(auth0, with("login_hint", "alice@vendor.example", "audience", "undefined", "requested_token_type", "")); r.status != http.StatusOK || r.str("issued_token_type") != federated {
		t.Errorf("%s", r)
	}
	w.vendor.set(func(v *vendor) { v.dead = true })
	w.clock.add(2 * time.Hour)
	r = w.send(auth0, sdk)
	refused(t, "the vendor refuses", r, http.StatusUnauthorized, "federated_connection_refresh_token_flow_failed")
	if r.str("error_reason") != "revoked" || r.str("consent_uri") == "" {
		t.Errorf("%s", r)
	}
	r = w.send(sdk)
	refused(t, "the same in the standard's names", r, http.StatusBadRequest, "consent_required")
}

// TestAuth0NotAllowed: an account that its user opened to another application is not this one's.
func TestAuth0NotAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reports := with("client_id", "reports", "client_secret", "another-"+secret, "connection", "mail", "scope", "mail.read")
	w.follow(w.send(reports), "alice", "mail.read")
	one := w.cfg.Workloads["nightly"]
	one.Connections = map[string][]string{"mail": {"mail.read"}}
	w.cfg.Workloads["nightly"] = one
	w.sts = w.over(w.Vault)
	mine := with("connection", "mail", "scope", "mail.read")
	r := w.send(mine)
	refused(t, "standard", r, http.StatusBadRequest, "consent_required")
	if r.str("error_reason") != "agent_not_allowed" {
		t.Errorf("%s", r)
	}
	refused(t, "Auth0's", w.send(auth0, mine), http.StatusForbidden, "access_denied")
	w.follow(r, "alice", "")
	if r := w.send(auth0, mine); r.status != http.StatusOK || strings.Contains(r.raw, "api_base") {
		t.Errorf("%s", r)
	}
}
