package app_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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

// withSecret puts a file with "the-secret" where the config says SECRET.
func withSecret(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("the-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(yaml, "SECRET", path)
}
