package e2e_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/sts"
)

const ownAccounts = "create:me:connected_accounts read:me:connected_accounts delete:me:connected_accounts"

// accountsEstate is an estate whose issuer knows the application nightly, which is a workload here, too.
func accountsEstate(t *testing.T, back string) *estate {
	t.Helper()
	v := startVendors(t)
	i := startIssuer(t, issuerConfig{
		Clients: []map[string]any{
			confidential(pagesClient, "the-secret-of-the-pages", v.base+"/signin/callback"), public("nightly"), public("spa"), public("stranger"),
		},
		Scopes:    append(strings.Fields(ownAccounts), "email", "profile"),
		Resources: []string{v.base + "/", v.base + "/me/", v.base + "/mcp"},
	})
	h := newHome(t, v.yaml(fmt.Sprintf(`identity: { issuer: %s, client_id: %s, client_secret: env:OIDC_SECRET }
workloads:
  nightly: { client_secret: env:NIGHTLY, connections: { google: [%s] }, redirect_uris: [%q] }
clients:
  spa: { redirect_uris: [%[4]q] }
`, i.URL, pagesClient, calendarRead, back)), append(v.secrets(), "OIDC_SECRET=the-secret-of-the-pages", "NIGHTLY="+workSecret)...)
	return &estate{vendors: v, home: h, issuer: i, server: h.serve(t, "--log-level", "debug")}
}

// mine calls the connected-accounts API.
func (e *estate) mine(t *testing.T, method, path, token string, body any) (int, map[string]any) {
	t.Helper()
	text := ""
	if body != nil {
		text = marshal(t, body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, e.base+"/me/v1/connected-accounts/"+path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if resp.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s %s: %d %q %v", method, path, resp.StatusCode, resp.Header.Get("Content-Type"), err)
		}
	}
	return resp.StatusCode, out
}

// connectAccount begins a connection, and answers the link for the browser and the session.
func (e *estate) connectAccount(t *testing.T, token, back string) (link, session string) {
	t.Helper()
	digest := sha256.Sum256([]byte(verifier))
	status, out := e.mine(t, http.MethodPost, "connect", token, map[string]any{
		"connection": "google", "redirect_uri": back, "state": state, "scopes": []string{calendarRead}, "code_challenge": base64.RawURLEncoding.EncodeToString(digest[:]), "code_challenge_method": "S256",
	})
	if status != http.StatusCreated {
		t.Fatalf("connect: %d %v", status, out)
	}
	params, _ := out["connect_params"].(map[string]any)
	return fmt.Sprint(out["connect_uri"], "?ticket=", url.QueryEscape(fmt.Sprint(params["ticket"]))), fmt.Sprint(out["auth_session"])
}

// TestConnectedAccounts: at an issuer that nobody here wrote, an application has alice connect Google, exchanges for a token that
// Google takes, and disconnects. Bob, whom she sends the link, gets nowhere, and no secret is left anywhere.
func TestConnectedAccounts(t *testing.T) {
	t.Parallel()
	const back = "https://nightly.example/callback"
	e := accountsEstate(t, back)
	token := func(who, client string) string {
		return issuerToken(t, e.issuer, who, client, e.base+"/me/", strings.Fields(ownAccounts)...)["access_token"].(string)
	}
	alice := token("alice", "nightly")
	mcp := issuerToken(t, e.issuer, "alice", "nightly", e.base+"/mcp", strings.Fields(ownAccounts)...)["access_token"].(string)
	for what, c := range map[string]struct {
		token  string
		status int
	}{"an MCP token": {mcp, http.StatusUnauthorized}, "a client of nobody's": {token("alice", "stranger"), http.StatusForbidden}, "her own": {alice, http.StatusOK}} {
		if status, out := e.mine(t, http.MethodGet, "accounts", c.token, nil); status != c.status {
			t.Errorf("%s: %d %v", what, status, out)
		}
	}
	link, session := e.connectAccount(t, alice, back)
	if p := newBrowser(t).stopAt(back).consent(link, "bob"); p.Status != http.StatusForbidden || p.Held != nil {
		t.Fatalf("bob is at %s (%d)", p.URL, p.Status)
	}
	b := newBrowser(t).stopAt(back)
	p := b.consent(link, "alice")
	if p.Held == nil || p.Held.Query().Get("state") != state || p.Held.Query().Get("connect_code") == "" {
		t.Fatalf("alice is at %s (%d, %v):\n%s", p.URL, p.Status, p.Held, p.text())
	}
	word := map[string]any{"auth_session": session, "connect_code": p.Held.Query().Get("connect_code"), "redirect_uri": back, "code_verifier": verifier}
	for what, other := range map[string]string{"bob's token": token("bob", "nightly"), "another application's": token("alice", "spa")} {
		if status, out := e.mine(t, http.MethodPost, "complete", other, word); status != http.StatusBadRequest {
			t.Errorf("%s: %d %v", what, status, out)
		}
	}
	status, done := e.mine(t, http.MethodPost, "complete", alice, word)
	if status != http.StatusCreated || done["connection"] != "google" {
		t.Fatalf("complete: %d %v", status, done)
	}
	if status, out := e.mine(t, http.MethodPost, "complete", alice, word); status != http.StatusConflict {
		t.Errorf("again: %d %v", status, out)
	}
	exchange := func() (int, map[string]any) {
		return postForm(t, e.base+"/oauth/token", "grant_type", sts.GrantType, "client_id", "nightly", "client_secret", workSecret, "subject_token", e.subject(t, "alice", e.base+"/"),
			"subject_token_type", accessType, "connection", "google", "scope", calendarRead)
	}
	status, got := exchange()
	if status != http.StatusOK || e.calledBy(t, fmt.Sprint(got["access_token"])) != "alice@example.com" {
		t.Fatalf("exchange: %d %v", status, got["error"])
	}
	if status, out := e.mine(t, http.MethodDelete, fmt.Sprint("accounts/", done["id"]), alice, nil); status != http.StatusNoContent {
		t.Errorf("delete: %d %v", status, out)
	}
	if status, _ := exchange(); status == http.StatusOK {
		t.Error("a token after delete")
	}
	scan := newCanary(t, alice, session, verifier, fmt.Sprint(word["connect_code"]))
	scan.clean(t, "the log", []byte(e.server.output()))
	e.server.stop(t)
	newCanary(t, append(e.vendors.tokens(t), alice, session, fmt.Sprint(word["connect_code"]))...).cleanDir(t, e.home.Dir)
}
