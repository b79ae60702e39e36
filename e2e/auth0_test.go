package e2e_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// auth0Estate is Grantry on https, as Auth0's SDKs want it.
type auth0Estate struct {
	*estate
	cert  string // that Node is told to trust
	trust *tls.Config
}

func startAuth0(t *testing.T) *auth0Estate {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	e := &auth0Estate{cert: cert, trust: &tls.Config{RootCAs: certificate(t, cert, key)}}
	v := startVendorsFor(t, "https")
	i := startIssuer(t, issuerConfig{
		Clients:   []map[string]any{confidential(pagesClient, "the-secret-of-the-pages", v.base+"/signin/callback"), public("spa")},
		Scopes:    []string{"email", "profile"},
		Resources: []string{v.base + "/", v.base + "/mcp"},
	})
	yaml := fmt.Sprintf("public_url: %s\ntls: { cert: %s, key: %s }\n", v.base, cert, key) + v.yaml(fmt.Sprintf(`identity:
  issuer: %[1]s
  client_id: %[2]s
  client_secret: env:OIDC_SECRET
workloads:
  app:
    client_secret: env:APP
    connections: { google: [%[3]s] }
`, i.URL, pagesClient, calendarRead))
	h := newHome(t, yaml, append(v.secrets(), "OIDC_SECRET=the-secret-of-the-pages", "APP="+workSecret)...)
	e.estate = &estate{vendors: v, home: h, issuer: i, server: h.serve(t, "--log-level", "debug")}
	return e
}

// auth0Answer is what an application on one of the SDKs got.
type auth0Answer struct {
	Token   string  `json:"token"`
	Scope   string  `json:"scope"`
	Expires float64 `json:"expires_in"`
	Failure *struct {
		Name    string         `json:"name"`
		Code    string         `json:"code"`
		Message string         `json:"message"`
		Cause   map[string]any `json:"cause"`
	} `json:"failure"`
}

// app runs the application, which knows a domain and nothing else of Grantry.
func (e *auth0Estate) app(t *testing.T, sdk, subject string, change ...any) (out auth0Answer) {
	t.Helper()
	path, err := node()
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]any{
		"sdk": sdk, "domain": strings.TrimPrefix(e.base, "https://"), "client_id": "app", "client_secret": workSecret,
		"subject": subject, "connection": "google", "scopes": []string{calendarRead},
	}
	for i := 0; i+1 < len(change); i += 2 {
		settings[change[i].(string)] = change[i+1]
	}
	p := start(t, spec{
		Path: path, Args: []string{filepath.Join("counterparties", "auth0.mjs"), marshal(t, settings)},
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NODE_NO_WARNINGS=1", "NODE_EXTRA_CA_CERTS=" + e.cert},
	})
	line, _ := p.line(t, 0, patience, func(line string) bool { return strings.HasPrefix(line, "{") })
	if err := json.Unmarshal([]byte(line), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAuth0Applications: applications on Auth0's own SDKs run by changing their domain; also one whose domain has a prefix.
func TestAuth0Applications(t *testing.T) {
	t.Parallel()
	e := startAuth0(t)
	subject := e.subject(t, "alice", e.base+"/")
	if got := e.app(t, "ai", subject); got.Failure == nil || got.Failure.Code != "TOKEN_VAULT_ERROR" || !strings.Contains(got.Failure.Message, "Authorization required") {
		t.Fatalf("@auth0/ai without an account: %+v", got)
	}
	got := e.app(t, "auth-js", subject)
	if got.Failure == nil || got.Failure.Code != "token_exchange_error" || got.Failure.Cause["error"] != "federated_connection_refresh_token_not_found" {
		t.Fatalf("auth0-auth-js without an account: %+v %+v", got, got.Failure)
	}
	b := newBrowser(t)
	b.client.Transport.(*http.Transport).TLSClientConfig = e.trust
	if p := b.consent(e.link(t, subject), "alice"); p.Status != http.StatusOK {
		t.Fatalf("the visit ended with %d:\n%s", p.Status, p.text())
	}
	prefixed := strings.TrimPrefix(e.base, "https://") + "/t/acme"
	for name, got := range map[string]auth0Answer{
		"@auth0/ai":                  e.app(t, "ai", subject),
		"auth0-auth-js":              e.app(t, "auth-js", subject),
		"@auth0/ai with a hint":      e.app(t, "ai", subject, "login_hint", "alice@example.com"),
		"@auth0/ai with a prefix":    e.app(t, "ai", subject, "domain", prefixed),
		"auth0-auth-js and a prefix": e.app(t, "auth-js", subject, "domain", prefixed),
	} {
		if got.Failure != nil || got.Expires <= 0 || e.calledBy(t, got.Token) != "alice@example.com" {
			t.Errorf("%s: %+v %+v", name, got, got.Failure)
		}
	}
	for name, c := range map[string]struct {
		got  auth0Answer
		code string
	}{
		"a hint of nobody":    {e.app(t, "auth-js", subject, "login_hint", "bob@example.com"), "user_not_found"},
		"another connection":  {e.app(t, "auth-js", subject, "connection", "slack"), "unauthorized_client"},
		"a wrong secret":      {e.app(t, "auth-js", subject, "client_secret", "guessed"), "invalid_client"},
		"a bad subject token": {e.app(t, "auth-js", "garbage"), "invalid_grant"},
	} {
		if c.got.Failure == nil || c.got.Failure.Cause["error"] != c.code {
			t.Errorf("%s: %+v %+v", name, c.got, c.got.Failure)
		}
	}
}

// link is what Grantry says beside the code that the SDKs hand on.
func (e *auth0Estate) link(t *testing.T, subject string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: e.trust}}
	body := marshal(t, map[string]string{
		"grant_type": "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token", "client_id": "app", "client_secret": workSecret,
		"subject_token": subject, "subject_token_type": accessType, "connection": "google",
	})
	resp, err := client.Post(e.base+"/oauth/token", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var refused struct {
		Link string `json:"consent_uri"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&refused); err != nil || refused.Link == "" {
		t.Fatalf("no link: %d %v", resp.StatusCode, err)
	}
	return refused.Link
}
