package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/pkg/client/tokenexchange"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/grantry/grantry/vault/sts"
)

const (
	calendarRead = "https://www.googleapis.com/auth/calendar.readonly"
	accessType   = "urn:ietf:params:oauth:token-type:access_token"
	workSecret   = "the-secret-of-the-workload"
)

// workEstate is an estate with the workloads "nightly" and "other", whose users sign in at the issuer
// as spa does: for Grantry itself, for nightly's own API, or for /mcp.
func workEstate(t *testing.T) *estate {
	t.Helper()
	return workEstateWith(t, func(yaml string) string { return yaml })
}

// workEstateWith is workEstate with another config.
func workEstateWith(t *testing.T, change func(yaml string) string) *estate {
	t.Helper()
	v := startVendors(t)
	i := startIssuer(t, issuerConfig{
		Clients: []map[string]any{
			confidential(pagesClient, "the-secret-of-the-pages", v.base+"/signin/callback"),
			public(mcpClient), public("spa"), public("nightly"),
		},
		Scopes:    []string{"email", "profile"},
		Resources: []string{v.base + "/", v.base + "/mcp", "https://nightly.example/api", "https://other.example/api"},
	})
	yaml := v.yaml(fmt.Sprintf(`identity:
  issuer: %[1]s
  client_id: %[2]s
  client_secret: env:OIDC_SECRET
workloads:
  nightly:
    client_secret: env:NIGHTLY
    connections: { google: [%[3]s] }
    audiences: ["https://nightly.example/api"]
  other:
    client_secret: env:NIGHTLY
    connections: { slack: ["channels:read"] }
`, i.URL, pagesClient, calendarRead))
	h := newHome(t, change(yaml), append(v.secrets(), "OIDC_SECRET=the-secret-of-the-pages", "NIGHTLY="+workSecret)...)
	return &estate{vendors: v, home: h, issuer: i, server: h.serve(t, "--log-level", "debug")}
}

// subject is an access token of who for that audience, given to the client spa.
func (e *estate) subject(t *testing.T, who, audience string) string {
	t.Helper()
	return issuerToken(t, e.issuer, who, "spa", audience)["access_token"].(string)
}

// exchange sends an exchange by hand.
func (e *estate) exchange(t *testing.T, subject string, change ...string) (int, map[string]any) {
	t.Helper()
	form := []string{
		"grant_type", sts.GrantType, "client_id", "nightly", "client_secret", workSecret,
		"subject_token", subject, "subject_token_type", accessType, "connection", "google", "scope", calendarRead,
	}
	return postForm(t, e.base+"/oauth/token", append(form, change...)...)
}

// genericGrant is what openid-client said.
type genericGrant struct {
	Metadata map[string]any `json:"metadata"`
	Answer   map[string]any `json:"answer"`
	Failure  *struct {
		Status int            `json:"status"`
		Error  string         `json:"error"`
		Cause  map[string]any `json:"cause"`
	} `json:"failure"`
}

func (e *estate) openidClient(t *testing.T, method, algorithm string, parameters map[string]any) (out genericGrant) {
	t.Helper()
	p := script(t, "exchange.mjs", map[string]any{
		"server": e.base, "client_id": "nightly", "client_secret": workSecret, "method": method, "algorithm": algorithm,
		"grant": sts.GrantType, "parameters": parameters,
	})
	line, _ := p.line(t, 0, patience, func(line string) bool { return strings.HasPrefix(line, `{"metadata"`) })
	if err := json.Unmarshal([]byte(line), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestExchangeByOpenIDClient: npm's openid-client finds the endpoint and exchanges in the standard form, and where a person is needed it gets the link.
func TestExchangeByOpenIDClient(t *testing.T) {
	t.Parallel()
	e := workEstate(t)
	subject := e.subject(t, "alice", e.base+"/")
	params := map[string]any{"subject_token": subject, "subject_token_type": accessType, "connection": "google", "scope": calendarRead}
	first := e.openidClient(t, "basic", "oidc", params)
	if first.Failure == nil || first.Failure.Error != "consent_required" || first.Failure.Status != http.StatusBadRequest || first.Failure.Cause["error_reason"] != "not_connected" {
		t.Fatalf("without an account: %+v", first)
	}
	link, _ := first.Failure.Cause["consent_uri"].(string)
	if !strings.HasPrefix(link, e.base+"/consent/") {
		t.Fatalf("no link: %+v", first.Failure)
	}
	b := newBrowser(t)
	if p := b.consent(link, "alice"); p.Status != http.StatusOK {
		t.Fatalf("the visit ended with %d:\n%s", p.Status, p.text())
	}
	for _, how := range [][2]string{{"basic", "oidc"}, {"post", "oauth2"}} {
		got := e.openidClient(t, how[0], how[1], params)
		token, _ := got.Answer["access_token"].(string)
		life, _ := got.Answer["expires_in"].(float64)
		if token == "" || got.Answer["issued_token_type"] != accessType || life <= 0 || got.Answer["refresh_token"] != nil || !strings.Contains(fmt.Sprint(got.Answer["scope"]), calendarRead) {
			t.Fatalf("%v: %+v %+v", how, got.Answer, got.Failure)
		}
		if who := e.calledBy(t, token); who != "alice@example.com" {
			t.Errorf("%v: the token is %q's", how, who)
		}
		if got.Metadata["token_endpoint"] != e.base+"/oauth/token" || got.Metadata["authorization_endpoint"] != nil {
			t.Errorf("%v: the metadata says %v", how, got.Metadata)
		}
		scan := newCanary(t, token, subject, workSecret)
		scan.clean(t, "the log", []byte(e.server.output()))
	}
	e.server.stop(t)
	newCanary(t, append(e.vendors.tokens(t), subject)...).cleanDir(t, e.home.Dir)
}

// calledBy asks the vendor whose a token is.
func (e *estate) calledBy(t *testing.T, token string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.emulated.Google+"/oauth2/v2/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var who struct{ Email string }
	if err := json.NewDecoder(resp.Body).Decode(&who); err != nil {
		t.Fatal(err)
	}
	return who.Email
}

// TestExchangeByZitadel: the token exchange client of zitadel/oidc, which has no parameter of ours, names the connection as audience.
func TestExchangeByZitadel(t *testing.T) {
	t.Parallel()
	e := workEstate(t)
	status, body := e.exchange(t, e.subject(t, "bob", "https://nightly.example/api"))
	link, _ := body["consent_uri"].(string)
	if status != http.StatusBadRequest || link == "" {
		t.Fatalf("%d %v", status, body)
	}
	if p := newBrowser(t).consent(link, "bob"); p.Status != http.StatusOK {
		t.Fatalf("the visit ended with %d:\n%s", p.Status, p.text())
	}
	te, err := tokenexchange.NewTokenExchangerClientCredentials(t.Context(), e.base, "nightly", workSecret)
	if err != nil {
		t.Fatal(err)
	}
	subject := e.subject(t, "bob", e.base+"/")
	got, err := tokenexchange.ExchangeToken(t.Context(), te, subject, oidc.AccessTokenType, "", "", nil, []string{"google"}, []string{calendarRead}, oidc.AccessTokenType)
	if err != nil || got.IssuedTokenType != oidc.AccessTokenType || got.TokenType != "Bearer" || got.ExpiresIn == 0 || got.RefreshToken != "" {
		t.Fatalf("%+v %v", got, err)
	}
	if who := e.calledBy(t, got.AccessToken); who != "bob@example.com" {
		t.Errorf("the token is %q's", who)
	}
	_, err = tokenexchange.ExchangeToken(t.Context(), te, subject, oidc.AccessTokenType, "", "", nil, []string{"slack"}, nil, oidc.AccessTokenType)
	if err == nil || !strings.Contains(err.Error(), "invalid_target") {
		t.Errorf("a connection of another workload: %v", err)
	}
}

// TestR58MixUps: at the real door with an issuer that nobody here wrote, what is meant for one is refused at the other's.
func TestR58MixUps(t *testing.T) {
	t.Parallel()
	e := workEstate(t)
	ours := e.subject(t, "alice", e.base+"/")
	parts := strings.Split(ours, ".")
	id := issuerToken(t, e.issuer, "alice", "spa", e.base+"/")["id_token"].(string)
	for name, subject := range map[string]string{
		"an MCP token":         issuerToken(t, e.issuer, "alice", mcpClient, e.MCP)["access_token"].(string),
		"another audience":     e.subject(t, "alice", "https://other.example/api"),
		"an ID token":          id,
		"alg none":             "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + parts[1] + ".",
		"a cut signature":      parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-8] + "AAAAAAAA",
		"another's signature":  strings.Join([]string{parts[0], parts[1], strings.Split(id, ".")[2]}, "."),
		"a token of the vault": "garbage",
	} {
		if status, body := e.exchange(t, subject); status != http.StatusBadRequest || body["error"] != "invalid_request" || body["access_token"] != nil || body["consent_uri"] != nil {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	if status, body := e.exchange(t, e.subject(t, "alice", "https://nightly.example/api"), "client_id", "other", "connection", "slack", "scope", ""); status != http.StatusBadRequest || body["error"] != "invalid_request" {
		t.Errorf("nightly's audience presented by other: %d %v", status, body)
	}
	if status, body := e.exchange(t, issuerToken(t, e.issuer, "alice", "nightly", e.base+"/")["access_token"].(string), "client_id", "other", "connection", "slack", "scope", ""); status != http.StatusBadRequest || body["error"] != "invalid_request" {
		t.Errorf("issued to nightly, presented by other: %d %v", status, body)
	}
	for name, token := range map[string]string{
		"issued to a workload":     issuerToken(t, e.issuer, "alice", "nightly", e.MCP)["access_token"].(string),
		"a subject token":          ours,
		"one for nightly's own":    e.subject(t, "alice", "https://nightly.example/api"),
		"the workload's own proof": workSecret,
	} {
		if w := newRaw(t, e.MCP, token).initialize(t); w.Status != http.StatusUnauthorized {
			t.Errorf("at /mcp %s: %d %s", name, w.Status, w.Body)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		req, err := http.NewRequestWithContext(t.Context(), method, e.base+"/oauth/token?"+url.Values{"subject_token": {ours}}.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", method, resp.StatusCode, resp.Header)
		}
	}
}
