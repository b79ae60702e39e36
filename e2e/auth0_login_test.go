package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const driveRead = "https://www.googleapis.com/auth/drive.readonly"

// startAuth0Login is Grantry with --tls-dev and nothing else in place of Auth0: people sign in
// to the application at Grantry's own authorization server.
func startAuth0Login(t *testing.T, redirect string) *auth0Estate {
	t.Helper()
	v := startVendorsFor(t, "https")
	i := startIssuer(t, issuerConfig{
		Clients: []map[string]any{confidential(pagesClient, "the-secret-of-the-pages", v.base+"/signin/callback")}, Scopes: []string{"email", "profile"},
	})
	h := newHome(t, v.yaml(fmt.Sprintf(`identity:
  upstream: { issuer: %s, client_id: %s, client_secret: env:OIDC_SECRET }
workloads:
  app:
    client_secret: env:APP
    redirect_uris: [%q]
    connections: { google: [%s, %s] }
`, i.URL, pagesClient, redirect, calendarRead, driveRead)), append(v.secrets(), "OIDC_SECRET=the-secret-of-the-pages", "APP="+workSecret)...)
	e := &auth0Estate{estate: &estate{vendors: v, home: h, issuer: i, server: h.serve(t, "--tls-dev", "--log-level", "debug")}}
	e.cert = filepath.Join(h.data(), "tls", "ca.pem")
	e.trust = trusted(t, e.cert)
	return e
}

// browser trusts the authority of --tls-dev.
func (e *auth0Estate) browser(t *testing.T) *browser {
	t.Helper()
	b := newBrowser(t)
	b.client.Transport.(*http.Transport).TLSClientConfig = e.trust
	return b
}

// post sends a form of the application to the token endpoint.
func (e *auth0Estate) post(t *testing.T, form url.Values) (body map[string]any) {
	t.Helper()
	form.Set("client_id", "app")
	form.Set("client_secret", workSecret)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: e.trust}}
	resp, err := client.PostForm(e.base+"/oauth/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return body
}

// auth0User is signed in at the application.
type auth0User struct {
	name, access, refresh string
}

func (e *auth0Estate) signIn(t *testing.T, a *app, who string) auth0User {
	t.Helper()
	link := authorizeURL(e.base+"/oauth/authorize", "app", a.URL, "openid profile email offline_access", "audience", e.base+"/")
	if p := e.browser(t).consent(link, who); p.Status != http.StatusOK || !strings.HasPrefix(p.URL.String(), a.URL) {
		t.Fatalf("%s: the login ended at %s with %d:\n%s", who, p.URL, p.Status, p.text())
	}
	body := e.post(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {a.query(t).Get("code")}, "redirect_uri": {a.URL}, "code_verifier": {verifier},
	})
	u := auth0User{name: who}
	u.access, _ = body["access_token"].(string)
	u.refresh, _ = body["refresh_token"].(string)
	if u.access == "" || u.refresh == "" {
		t.Fatalf("%s: no tokens: %v", who, body)
	}
	return u
}

// connect has the user connect their account, for the calendar alone.
func (e *auth0Estate) connect(t *testing.T, u auth0User) {
	t.Helper()
	body := e.post(t, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {u.access}, "subject_token_type": {accessType},
		"connection": {"google"}, "scope": {calendarRead},
	})
	link, _ := body["consent_uri"].(string)
	if link == "" {
		t.Fatalf("%s: no link: %v", u.name, body)
	}
	if p := e.browser(t).consent(link, u.name); p.Status != http.StatusOK {
		t.Fatalf("%s: the visit ended with %d:\n%s", u.name, p.Status, p.text())
	}
}

// TestAuth0LoginAndVault: an application that signs its users in and keeps their accounts at one Auth0
// domain does both at Grantry: with refresh tokens and access tokens as subjects, without an
// account, with too few scopes, for two users at once, and after a revocation in the middle.
func TestAuth0LoginAndVault(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	e := startAuth0Login(t, a.URL)
	alice, bob := e.signIn(t, a, "alice"), e.signIn(t, a, "bob")
	fails := func(what string, got auth0Answer, code string) {
		t.Helper()
		if got.Failure == nil || got.Failure.Cause["error"] != code {
			t.Errorf("%s: %+v %+v, want %s", what, got, got.Failure, code)
		}
	}
	fails("a refresh token without an account", e.app(t, "auth-js", alice.refresh, "refresh", true), "federated_connection_refresh_token_not_found")
	fails("an access token without an account", e.app(t, "auth-js", alice.access), "federated_connection_refresh_token_not_found")
	if got := e.app(t, "ai", alice.refresh, "refresh", true); got.Failure == nil || !strings.Contains(got.Failure.Message, "Authorization required") {
		t.Errorf("@auth0/ai without an account: %+v %+v", got, got.Failure)
	}
	e.connect(t, alice)
	e.connect(t, bob)

	var all sync.WaitGroup
	for _, u := range []auth0User{alice, bob} {
		for _, sdk := range []string{"ai", "auth-js"} {
			all.Go(func() {
				for what, got := range map[string]auth0Answer{
					"refresh token": e.app(t, sdk, u.refresh, "refresh", true), "access token": e.app(t, sdk, u.access),
				} {
					if got.Failure != nil || got.Expires <= 0 || e.calledBy(t, got.Token) != u.name+"@example.com" {
						t.Errorf("%s, %s of %s: %+v %+v", sdk, what, u.name, got, got.Failure)
					}
				}
			})
		}
	}
	all.Wait()

	fails("too few scopes", e.app(t, "auth-js", alice.refresh, "refresh", true, "scope", calendarRead+" "+driveRead), "invalid_scope")
	if got := e.app(t, "ai", alice.access, "scopes", []string{calendarRead, driveRead}); got.Failure == nil || !strings.Contains(got.Failure.Message, driveRead) {
		t.Errorf("@auth0/ai with too few scopes: %+v %+v", got, got.Failure)
	}
	e.revoke(t, "alice@example.com")
	fails("a revoked account", e.app(t, "auth-js", alice.refresh, "refresh", true), "federated_connection_refresh_token_flow_failed")
	if got := e.app(t, "ai", bob.refresh, "refresh", true); got.Failure != nil || e.calledBy(t, got.Token) != "bob@example.com" {
		t.Errorf("bob after alice's revocation: %+v %+v", got, got.Failure)
	}
	newCanary(t, alice.access, alice.refresh, bob.access, bob.refresh, workSecret).clean(t, "the log", []byte(e.server.output()))
}

// revoke disconnects the account of that label, as its operator does.
func (e *estate) revoke(t *testing.T, label string) {
	t.Helper()
	out, _, code := e.home.run(t, "connections", "list", "--json")
	var list []struct{ ID, Label string }
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 {
		t.Fatalf("listing accounts (%d): %v %s", code, err, out)
	}
	for _, account := range list {
		if account.Label != label {
			continue
		}
		if out, errs, code := e.home.run(t, "connections", "revoke", account.ID); code != 0 {
			t.Fatalf("revoking (%d): %s%s", code, out, errs)
		}
		return
	}
	t.Fatalf("no account of %s: %s", label, out)
}
