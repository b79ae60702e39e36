package app_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/vault/sts"
)

const workloadYAML = `connections:
  files: { provider: oauth2, client_id: c, client_secret: "file:SECRET", scopes: [files.read], api_hosts: [api.example.com], endpoints: { authorization: "https://vendor.example/a", token: "https://vendor.example/t", userinfo: "https://vendor.example/u" } }
workloads:
  nightly:
    client_secret: "file:SECRET"
    connections: { files: [files.read] }
    redirect_uris: [https://nightly.example.com/cb]
`

// TestTokenEndpointForms: the dispatcher takes JSON and forms alike, and what is below /oauth/ is answered in OAuth's form.
func TestTokenEndpointForms(t *testing.T) {
	t.Parallel()
	base := strings.TrimSuffix(startAlone(t, withSecret(t, workloadYAML)).MCP, "/mcp")
	form := url.Values{
		"grant_type": {sts.GrantType}, "client_id": {"nightly"}, "client_secret": {"the-secret"}, "connection": {"files"},
		"subject_token": {"x"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:refresh_token"},
	}
	for contentType, body := range map[string]string{
		"application/x-www-form-urlencoded": form.Encode(),
		"application/json": `{"grant_type":"` + sts.GrantType + `","client_id":"nightly","client_secret":"the-secret","connection":"files",
			"subject_token":"x","subject_token_type":"urn:ietf:params:oauth:token-type:refresh_token"}`,
	} {
		a := send(t, http.MethodPost, base+"/oauth/token", contentType, body)
		if a.status != http.StatusBadRequest || a.fields["error"] != "invalid_request" || !strings.Contains(a.raw, "refresh token is not the current one") {
			t.Errorf("%s: %d %s", contentType, a.status, a.raw)
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/oauth/token", http.StatusMethodNotAllowed},
		{http.MethodDelete, "/oauth/revoke", http.StatusMethodNotAllowed},
		{http.MethodGet, "/oauth/register", http.StatusMethodNotAllowed},
		{http.MethodPost, "/oauth/nowhere", http.StatusNotFound},
	} {
		a := send(t, c.method, base+c.path, "", "")
		if a.status != c.status || a.fields["error"] == nil || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %d %s %v", c.method, c.path, a.status, a.raw, a.header)
		}
		if c.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/oauth/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "elsewhere.example"
	if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode != http.StatusForbidden || res.Header.Get("Content-Type") != "application/json" || res.Body.Close() != nil {
		t.Errorf("another host name: %+v %v", res, err)
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		m := send(t, http.MethodGet, base+path, "", "").fields
		if grants, _ := m["grant_types_supported"].([]any); !slices.Contains(grants, any(sts.GrantType)) || !slices.Contains(grants, any(sts.Auth0GrantType)) || !slices.Contains(grants, any("authorization_code")) {
			t.Errorf("%s: %v", path, m)
		}
		if methods, _ := m["token_endpoint_auth_methods_supported"].([]any); !slices.Contains(methods, any("private_key_jwt")) {
			t.Errorf("%s: %v", path, m)
		}
	}
}

// TestBelowAPrefix: an application with a prefix in its domain finds discovery and endpoint below it, and nothing else.
func TestBelowAPrefix(t *testing.T) {
	t.Parallel()
	base := strings.TrimSuffix(startAlone(t, withSecret(t, workloadYAML)).MCP, "/mcp") + "/t/acme"
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		m := send(t, http.MethodGet, base+path, "", "").fields
		if m["issuer"] != base || m["token_endpoint"] != base+"/oauth/token" || m["authorization_endpoint"] != nil {
			t.Errorf("%s: %v", path, m)
		}
	}
	const form = "application/x-www-form-urlencoded"
	exchange := url.Values{
		"grant_type": {sts.Auth0GrantType}, "client_id": {"nightly"}, "client_secret": {"the-secret"}, "connection": {"files"},
		"subject_token": {"x"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	}
	if a := send(t, http.MethodPost, base+"/oauth/token", form, exchange.Encode()); a.status != http.StatusForbidden || a.fields["error"] != "invalid_grant" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if a := send(t, http.MethodPost, base+"/oauth/token", form, "grant_type=refresh_token&refresh_token=x&client_id=nightly"); a.fields["error"] != "unsupported_grant_type" {
		t.Errorf("a login: %d %s", a.status, a.raw)
	}
	for _, path := range []string{"/mcp", "/connections", "/oauth/authorize"} {
		if a := send(t, http.MethodGet, base+path, "", ""); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

// withSecret puts a file with "the-secret" where the config says SECRET.
func withSecret(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("the-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(yaml, "SECRET", path)
}

// loggedIn goes through the code flow of the built-in server as the workload nightly, and answers its tokens.
func loggedIn(t *testing.T, r app.Ready, callback string, came <-chan url.Values) answered {
	t.Helper()
	base := strings.TrimSuffix(r.MCP, "/mcp")
	verifier := strings.Repeat("v", 50)
	sum := sha256.Sum256([]byte(verifier))
	b := signedIn(t, r)
	b.get(base + "/oauth/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"nightly"}, "redirect_uri": {callback}, "state": {"s"}, "scope": {"openid offline_access"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode())
	b.get(base + b.post("answer", "allow"))
	got := send(t, http.MethodPost, base+"/oauth/token", "application/x-www-form-urlencoded", url.Values{
		"grant_type": {"authorization_code"}, "code": {(<-came).Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier},
		"client_id": {"nightly"}, "client_secret": {"the-secret"},
	}.Encode())
	if got.status != http.StatusOK || got.fields["refresh_token"] == nil {
		t.Fatalf("the login: %d %s", got.status, got.raw)
	}
	return got
}

// TestExchangeAfterOwnLogin: where the built-in server signs people in, both tokens of a workload's login are subject tokens
// and the refresh token is not spent; a rotated one ends the login, and none of them is anything at /mcp.
func TestExchangeAfterOwnLogin(t *testing.T) {
	t.Parallel()
	came := make(chan url.Values, 2)
	callback := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { came <- q.URL.Query() }))
	defer callback.Close()
	r := startAlone(t, withSecret(t, strings.Replace(workloadYAML, "https://nightly.example.com", callback.URL, 1)))
	base := strings.TrimSuffix(r.MCP, "/mcp")
	login := loggedIn(t, r, callback.URL+"/cb", came)
	access, refresh := login.fields["access_token"].(string), login.fields["refresh_token"].(string)
	exchange := func(token, kind string) answered {
		return send(t, http.MethodPost, base+"/oauth/token", "application/x-www-form-urlencoded", url.Values{
			"grant_type": {sts.GrantType}, "client_id": {"nightly"}, "client_secret": {"the-secret"}, "connection": {"files"},
			"subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:" + kind},
		}.Encode())
	}
	for kind, token := range map[string]string{"access_token": access, "refresh_token": refresh} {
		for range 2 {
			if a := exchange(token, kind); a.fields["error"] != "consent_required" || !strings.HasPrefix(a.fields["consent_uri"].(string), base+"/consent/") {
				t.Fatalf("%s: %d %s", kind, a.status, a.raw)
			}
		}
		if a := send(t, http.MethodPost, r.MCP, "application/json", initialize, "Authorization", "Bearer "+token); a.status != http.StatusUnauthorized {
			t.Errorf("%s at /mcp: %d", kind, a.status)
		}
	}
	rotate := func(token string) answered {
		return send(t, http.MethodPost, base+"/oauth/token", "application/x-www-form-urlencoded", url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {"nightly"}, "client_secret": {"the-secret"},
		}.Encode())
	}
	second := rotate(refresh).fields["refresh_token"].(string)
	third := rotate(second).fields["refresh_token"].(string)
	if a := exchange(third, "refresh_token"); a.fields["error"] != "consent_required" {
		t.Errorf("the current one: %d %s", a.status, a.raw)
	}
	if a := exchange(refresh, "refresh_token"); a.fields["error"] != "invalid_request" {
		t.Errorf("an older one: %d %s", a.status, a.raw)
	}
	if a := exchange(third, "refresh_token"); a.fields["error"] != "invalid_request" {
		t.Errorf("after an older one came the login lives: %d %s", a.status, a.raw)
	}
}
