package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// estate is Grantry on HTTP with oidc-provider as its identity issuer, emulate
// as Google and Slack, and oidc-provider once more as the connection "erp".
type estate struct {
	*vendors
	*server
	home   *home
	issuer *issuer
}

const (
	pagesClient = "grantry-pages"
	mcpClient   = "mcp-client"
)

// startEstate starts all of it.
func startEstate(t *testing.T, ttl map[string]int) *estate {
	t.Helper()
	return startVendors(t).estate(t, ttl, nil)
}

// estate starts a Grantry with an issuer before these vendors. change, if
// any, has the last word on its config.
func (v *vendors) estate(t *testing.T, ttl map[string]int, change func(yaml string) string) *estate {
	t.Helper()
	i := startIssuer(t, issuerConfig{
		Clients: []map[string]any{
			confidential(pagesClient, "the-secret-of-the-pages", v.base+"/signin/callback"),
			confidential("erp-client", "the-secret-of-the-erp", v.base+"/callback/erp"),
			public(mcpClient),
		},
		Scopes: []string{"email", "profile", "orders.read"}, Resources: []string{v.base + "/mcp", "http://other.example/mcp"}, TTL: ttl,
	})
	yaml := v.yaml(fmt.Sprintf(`  erp:
    provider: oidc
    issuer: %[1]s
    client_id: erp-client
    client_secret: env:ERP_SECRET
    scopes: [orders.read]
    api_hosts: [127.0.0.1]
identity:
  issuer: %[1]s
  client_id: %[2]s
  client_secret: env:OIDC_SECRET
`, i.URL, pagesClient))
	if change != nil {
		yaml = change(yaml)
	}
	h := newHome(t, yaml, append(v.secrets(), "OIDC_SECRET=the-secret-of-the-pages", "ERP_SECRET=the-secret-of-the-erp")...)
	return &estate{vendors: v, home: h, issuer: i, server: h.serve(t, "--log-level", "debug")}
}

// token signs who in at the issuer as an MCP client would.
func (e *estate) token(t *testing.T, who string) string {
	t.Helper()
	return issuerToken(t, e.issuer, who, mcpClient, e.MCP)["access_token"].(string)
}

// TestForeignIssuer is the main job under `serve` with an issuer that we did
// not write: the SDKs find it and sign their user in, the pages sign the same
// person in there, and Google is emulate's.
func TestForeignIssuer(t *testing.T) {
	t.Parallel()
	e := startEstate(t, nil)
	for i, k := range []kind{{"v1", "legacy", "http", "url"}, {"v2", "legacy", "http", "none"}, {"v2", "modern", "http", "url"}} {
		a := newApp(t)
		c := newClient(t, clientConfig{SDK: k.sdk, Era: k.era, Elicitation: k.elicitation, URL: e.MCP, OAuth: &clientOAuth{Redirect: a.URL, Scope: "openid"}})
		b := newBrowser(t)
		c.signIn(t, b, a, "alice")
		// Each client registered by itself, so each is an agent of its own that alice must allow.
		link, finish := startCall(t, c, k)
		if done := b.consent(link, "alice"); done.Status != http.StatusOK {
			t.Fatalf("%s: the visit ended with %d:\n%s", k, done.Status, done.text())
		}
		wantEvents(t, finish())
		if n := len(e.vendors.google.exchanges("/oauth2/token")); n != 1 {
			t.Errorf("after client %d the vendor's token endpoint was asked %d times, want 1: an account that is there needs only our page", i+1, n)
		}
	}
	scan := newCanary(t, append(e.vendors.tokens(t), e.issuer.issued(t, "")...)...)
	scan.clean(t, "the log", []byte(e.server.output()))
	e.server.stop(t)
	scan.cleanDir(t, e.home.Dir)
}

// TestOIDCConnection connects an account at a provider that Grantry knows
// only by discovery.
func TestOIDCConnection(t *testing.T) {
	t.Parallel()
	e := startEstate(t, nil)
	c := connect(t, clientConfig{SDK: "v2", Era: "modern", Elicitation: "none", URL: e.MCP, Token: e.token(t, "alice")})
	b := newBrowser(t)
	a := c.call(t, "connections_connect", map[string]any{"connection": "erp"})
	if done := b.consent(a.link(t), "alice"); done.Status != http.StatusOK {
		t.Fatalf("the visit ended with %d:\n%s", done.Status, done.text())
	}
	var list struct {
		Accounts []struct {
			Connection, Provider, Label, State string
			Scopes                             []string
		} `json:"accounts"`
	}
	c.call(t, "connections_list", map[string]any{}).structured(t, &list)
	if len(list.Accounts) != 1 || list.Accounts[0].Connection != "erp" || !strings.Contains(list.Accounts[0].Label, "alice") {
		t.Fatalf("connections_list answered %+v", list)
	}
	if scopes := strings.Join(list.Accounts[0].Scopes, " "); !strings.Contains(scopes, "orders.read") {
		t.Errorf("the account has the scopes %q, want orders.read among them", scopes)
	}
	issued := e.issuer.issued(t, "erp-client")
	if len(issued) < 2 {
		t.Fatalf("the provider issued %d tokens, want an access and a refresh token", len(issued))
	}
	scan := newCanary(t, issued...)
	scan.cleanPages(t, b, e.base)
	scan.clean(t, "the log", []byte(e.server.output()))
	scan.cleanDir(t, e.home.Dir)
}

// TestTokensThatAreNotForUs holds what /mcp refuses, and how.
func TestTokensThatAreNotForUs(t *testing.T) {
	t.Parallel()
	e := startEstate(t, map[string]int{"AccessToken": 3600})
	good := e.token(t, "alice")
	parts := strings.Split(good, ".")
	tokens := map[string]string{
		"none":             "",
		"garbage":          "not-a-token-at-all",
		"another audience": issuerToken(t, e.issuer, "alice", mcpClient, "http://other.example/mcp")["access_token"].(string),
		"an id token":      issuerToken(t, e.issuer, "alice", mcpClient, e.MCP)["id_token"].(string),
		"cut signature":    parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-8] + "AAAAAAAA",
		"no signature":     "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + parts[1] + ".",
	}
	for name, token := range tokens {
		w := newRaw(t, e.MCP, token).post(t, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, nil)
		challenge := w.Header.Get("WWW-Authenticate")
		if w.Status != http.StatusUnauthorized || !strings.Contains(challenge, `resource_metadata="`+e.Base+"/.well-known/oauth-protected-resource") {
			t.Errorf("with %s: %d and the challenge %q", name, w.Status, challenge)
		}
		if token != "" && strings.Contains(w.Body, token) {
			t.Errorf("with %s: the answer repeats the token", name)
		}
	}
	if w := newRaw(t, e.MCP, good).initialize(t); w.Status != http.StatusOK {
		t.Errorf("the right token was answered %d: %s", w.Status, w.Body)
	}
}

// TestResourceMetadata reads the RFC 9728 document.
func TestResourceMetadata(t *testing.T) {
	t.Parallel()
	e := startEstate(t, nil)
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
		resp, err := http.Get(e.Base + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		var doc struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
		}
		if err := json.Unmarshal(text, &doc); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s answered %d %s", path, resp.StatusCode, text)
		}
		if doc.Resource != e.MCP || len(doc.Servers) != 1 || doc.Servers[0] != e.issuer.URL {
			t.Errorf("%s says %+v", path, doc)
		}
	}
}

// TestTicketOfAnotherPerson holds R01 and R03 with two people: bob can do
// nothing with alice's link, nor with the vendor's page that she was sent to.
func TestTicketOfAnotherPerson(t *testing.T) {
	t.Parallel()
	e := startEstate(t, nil)
	c := connect(t, clientConfig{SDK: "v2", Era: "legacy", Elicitation: "none", URL: e.MCP, Token: e.token(t, "alice")})
	link := c.call(t, "calendar_list_events", map[string]any{}).link(t)

	bob := newBrowser(t)
	if p := bob.signInOnly(link, "bob"); p.Status != http.StatusForbidden {
		t.Errorf("bob's visit to alice's link answered %d:\n%s", p.Status, p.text())
	}
	alice := newBrowser(t)
	alice.signInOnly(link, "alice")
	if !alice.asks() {
		t.Fatalf("alice is not asked at her own link (%d):\n%s", alice.page.Status, alice.page.text())
	}
	alice.stopAt(e.emulated.Google)
	vendorPage := alice.press("allow").Held.String()

	bob.open(vendorPage) // the raw provider URL, forwarded
	if p := bob.click("bob@example.com"); p.Status < 400 {
		t.Errorf("bob finished alice's flow with %d:\n%s", p.Status, p.text())
	}
	if n := len(e.vendors.google.exchanges("/oauth2/token")); n != 0 {
		t.Errorf("the code was redeemed %d times", n)
	}
	alice.stopAt("")
	alice.consent(link, "alice")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
}

// TestForeignAccountIsRefused holds the e-mail rule of DESIGN 7: alice, signed
// in as herself, picks bob's account at the vendor. It is kept unusable until she
// has seen both names, and goes back to the vendor when she says that it is not hers.
func TestForeignAccountIsRefused(t *testing.T) {
	t.Parallel()
	e := startEstate(t, nil)
	c := connect(t, clientConfig{SDK: "v2", Era: "legacy", Elicitation: "none", URL: e.MCP, Token: e.token(t, "alice")})
	b := newBrowser(t)
	b.signInOnly(c.call(t, "calendar_list_events", map[string]any{}).link(t), "alice")
	b.press("allow")
	p := b.click("bob@example.com")
	if p.Status < 400 || !strings.Contains(p.text(), "bob@example.com") {
		t.Errorf("connecting bob's account answered %d:\n%s", p.Status, p.text())
	}
	revoked := func() int { return len(e.vendors.google.exchanges("/oauth2/revoke")) }
	if a := c.call(t, "calendar_list_events", map[string]any{}); !a.IsError || revoked() != 0 {
		t.Errorf("with the account held a call answered %s, %d tokens were given back", a.show(), revoked())
	}
	b.click("give it back")
	if n := revoked(); n != 1 {
		t.Errorf("the new token was revoked %d times, want once", n)
	}
	if a := c.call(t, "calendar_list_events", map[string]any{}); !a.IsError {
		t.Errorf("a call answered %s", a.show())
	}
}
