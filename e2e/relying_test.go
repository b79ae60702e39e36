package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/vault/sts"
)

// website is an application that signs people in by openid-client.
type website struct {
	*process
	seen int // lines of its output
}

// step is what it printed of one step.
type step struct {
	Authorize string         `json:"authorize"`
	Tokens    map[string]any `json:"tokens"`
	Claims    map[string]any `json:"claims"`
	Failure   *struct {
		Error, Message string
		Status         int
	} `json:"failure"`
}

func (w *website) next(t *testing.T) (s step) {
	t.Helper()
	var line string
	line, w.seen = w.line(t, w.seen, patience, func(line string) bool { return strings.HasPrefix(line, "{") })
	unmarshal(t, line, &s)
	return s
}

func (w *website) do(t *testing.T, order map[string]any) step {
	t.Helper()
	if _, err := fmt.Fprintln(w.stdin, marshal(t, order)); err != nil {
		t.Fatal(err)
	}
	return w.next(t)
}

// token is one of the tokens that it got.
func (s step) token(t *testing.T, name string) string {
	t.Helper()
	token, _ := s.Tokens[name].(string)
	if token == "" {
		t.Fatalf("there is no %s in %+v", name, s)
	}
	return token
}

// keyFiles are a key of a workload: its public half as the config's JWKS, and the whole for the application.
func keyFiles(t *testing.T) (jwks string, whole map[string]any) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private := jose.JSONWebKey{Key: key, KeyID: "one", Algorithm: "ES256", Use: "sig"}
	jwks = filepath.Join(t.TempDir(), "jwks.json")
	writeFile(t, jwks, marshal(t, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{private.Public()}}))
	raw, err := json.Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	unmarshal(t, string(raw), &whole)
	return jwks, whole
}

// TestApplicationSignsPeopleIn: openid-client, with a secret and with a key, finds the built-in
// server, signs alice in, verifies her ID token under the published keys, refreshes for the
// connected accounts, has its refresh token taken as a subject token, and revokes it.
func TestApplicationSignsPeopleIn(t *testing.T) {
	t.Parallel()
	v, a := startVendors(t), newApp(t)
	i := startIssuer(t, issuerConfig{
		Clients: []map[string]any{confidential(pagesClient, "the-secret-of-the-pages", v.base+"/signin/callback")}, Scopes: []string{"email", "profile"},
	})
	jwks, key := keyFiles(t)
	h := newHome(t, v.yaml(fmt.Sprintf(`identity:
  upstream: { issuer: %s, client_id: %s, client_secret: env:OIDC_SECRET }
workloads:
  portal: { client_secret: env:PORTAL_SECRET, redirect_uris: ["%[3]s"], connections: { google: ["%[5]s"] } }
  signing: { jwks: "file:%[4]s", redirect_uris: ["%[3]s"] }
`, i.URL, pagesClient, a.URL, jwks, calendarRead)), append(v.secrets(), "OIDC_SECRET=the-secret-of-the-pages", "PORTAL_SECRET="+workSecret)...)
	s := h.serve(t, "--log-level", "debug")
	var secrets []string
	subjects := map[string]any{}
	for name, proof := range map[string]map[string]any{"portal": {"client_secret": workSecret}, "signing": {"key": key}} {
		proof["server"], proof["client_id"], proof["redirect"], proof["scope"] = s.Base, name, a.URL, "openid profile email offline_access"
		proof["parameters"] = map[string]any{"audience": s.Base + "/"}
		site := &website{process: script(t, "relying.mjs", proof)}
		if p := newBrowser(t).consent(site.next(t).Authorize, "alice"); p.Status != http.StatusOK || !strings.HasPrefix(p.URL.String(), a.URL) {
			t.Fatalf("%s: the login ended at %s with %d:\n%s", name, p.URL, p.Status, p.text())
		}
		in := site.do(t, map[string]any{"back": a.URL + "?" + a.query(t).Encode()})
		got := map[string]any{"iss": in.Claims["iss"], "aud": in.Claims["aud"], "email": in.Claims["email"]}
		if diff := cmp.Diff(map[string]any{"iss": s.Base, "aud": name, "email": "alice@example.com"}, got); diff != "" {
			t.Fatalf("%s: the ID token says (-want +got):\n%s\n%+v", name, diff, in)
		}
		subjects[name] = in.Claims["sub"]
		me := site.do(t, map[string]any{"refresh": in.token(t, "refresh_token"), "parameters": map[string]any{
			"audience": s.Base + "/me/", "scope": "openid profile offline_access create:me:connected_accounts",
		}})
		if _, c := claims(t, me.token(t, "access_token")); c["aud"] != s.Base+"/me/" || c["sub"] != in.Claims["sub"] || c["client_id"] != name || !strings.Contains(fmt.Sprint(c["scope"]), "create:me:connected_accounts") {
			t.Errorf("%s: the token for the connected accounts says %v", name, c)
		}
		if no := site.do(t, map[string]any{"refresh": me.token(t, "refresh_token"), "parameters": map[string]any{"audience": s.MCP}}); no.Failure == nil || no.Failure.Error != "invalid_target" {
			t.Errorf("%s: a token for /mcp is answered by %+v", name, no)
		}
		for _, token := range []string{in.token(t, "access_token"), me.token(t, "access_token"), in.token(t, "id_token")} {
			if status := mcpStatus(t, s, token); status != http.StatusUnauthorized {
				t.Errorf("%s: /mcp answers %d to a token of an application", name, status)
			}
		}
		if name == "portal" {
			form := url.Values{"grant_type": {sts.GrantType}, "connection": {"google"}, "scope": {calendarRead}, "client_id": {name}, "client_secret": {workSecret}}
			form.Set("subject_token", me.token(t, "refresh_token"))
			form.Set("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token")
			if status, body := postForm(t, s.Base+"/oauth/token", flat(form)...); status != http.StatusBadRequest || body["error_reason"] != "not_connected" {
				t.Errorf("the refresh token as a subject token: %d %v", status, body)
			}
		}
		if out := site.do(t, map[string]any{"revoke": me.token(t, "refresh_token")}); out.Failure != nil {
			t.Errorf("%s: revoking ends with %+v", name, out.Failure)
		}
		if no := site.do(t, map[string]any{"refresh": me.token(t, "refresh_token")}); no.Failure == nil || no.Failure.Error != "invalid_grant" {
			t.Errorf("%s: after the revocation a refresh answers %+v", name, no)
		}
		secrets = append(secrets, in.token(t, "refresh_token"), in.token(t, "access_token"), in.token(t, "id_token"), me.token(t, "refresh_token"), me.token(t, "access_token"))
	}
	if subjects["portal"] != subjects["signing"] {
		t.Errorf("alice is %v", subjects)
	}
	newCanary(t, append(secrets, workSecret)...).clean(t, "the log", []byte(s.output()))
}

// flat is a form as names and values in turn.
func flat(form url.Values) (out []string) {
	for name := range form {
		out = append(out, name, form.Get(name))
	}
	return out
}

// mcpStatus is how /mcp answers a token.
func mcpStatus(t *testing.T, s *server, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.MCP, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
