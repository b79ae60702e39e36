package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/storetest/port"
)

// lodge is Grantry with its own authorization server, at which MCP clients log
// in; its people sign in at oidc-provider.
type lodge struct {
	*vendors
	*server
	home   *home
	issuer *issuer
}

func startLodge(t *testing.T) *lodge {
	t.Helper()
	v := startVendors(t)
	i := startIssuer(t, issuerConfig{
		Clients: []map[string]any{confidential(pagesClient, "the-secret-of-the-pages", v.base+"/signin/callback")}, Scopes: []string{"email", "profile"},
	})
	h := newHome(t, v.yaml(fmt.Sprintf(`identity:
  upstream: { issuer: %s, client_id: %s, client_secret: env:OIDC_SECRET }
clients:
  conformance: { redirect_uris: [http://127.0.0.1/callback] }
`, i.URL, pagesClient)), append(v.secrets(), "OIDC_SECRET=the-secret-of-the-pages")...)
	return &lodge{vendors: v, home: h, issuer: i, server: h.serve(t, "--log-level", "debug")}
}

// TestLoginAtGrantry is the main job with nothing but Grantry for the clients: each SDK
// finds the server by a 401, registers, sends its person's browser with S256 and
// resource, redeems the code, calls, is sent to consent, and calls again.
func TestLoginAtGrantry(t *testing.T) {
	t.Parallel()
	l := startLodge(t)
	b := newBrowser(t)
	for _, k := range []kind{{"v1", "legacy", "http", "url"}, {"v2", "legacy", "http", "none"}, {"v2", "modern", "http", "url"}} {
		a := newApp(t)
		c := newClient(t, clientConfig{SDK: k.sdk, Era: k.era, Elicitation: k.elicitation, URL: l.MCP, OAuth: &clientOAuth{Redirect: a.URL}})
		at := c.authorize(t)
		if q := b.parse(at).Query(); q.Get("resource") != l.MCP || q.Get("code_challenge_method") != "S256" || !strings.HasPrefix(at, l.Base+"/oauth/authorize?") {
			t.Fatalf("%s: the SDK wants its user at %s", k, at)
		}
		if p := b.consent(at, "alice"); p.Status != http.StatusOK || !strings.HasPrefix(p.URL.String(), a.URL) {
			t.Fatalf("%s: the login ended at %s with %d:\n%s", k, p.URL, p.Status, p.text())
		}
		q := a.query(t)
		if q.Get("iss") != l.Base || q.Get("code") == "" {
			t.Fatalf("%s: the client got %v", k, q)
		}
		c.write(t, map[string]any{"op": "code", "code": q.Get("code"), "iss": q.Get("iss")})
		c.ready(t)
		wantReaders(t, c.list(t))
		link, finish := startCall(t, c, k)
		if done := b.consent(link, "alice"); done.Status != http.StatusOK {
			t.Fatalf("%s: the visit ended with %d:\n%s", k, done.Status, done.text())
		}
		wantEvents(t, finish())
		wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
	}
	scan := newCanary(t, append(l.vendors.tokens(t), l.issuer.issued(t, "")...)...)
	scan.clean(t, "the log", []byte(l.server.output()))
	l.server.stop(t)
	scan.cleanDir(t, l.home.Dir)
}

// wantReaders checks that a client which asked for what the 401 named is shown the
// tools that read, and no others: its person allowed no more.
func wantReaders(t *testing.T, tools []tool) {
	t.Helper()
	names := map[string]bool{}
	for _, one := range tools {
		names[one.Name] = true
		if one.Annotations["readOnlyHint"] != true {
			t.Errorf("%s is offered to a token that may read", one.Name)
		}
	}
	if !names["calendar_list_events"] || !names["connections_list"] {
		t.Errorf("offered are %v", names)
	}
}

// TestLoginDeclined: a no on the page is the client's access_denied, from us.
func TestLoginDeclined(t *testing.T) {
	t.Parallel()
	l := startLodge(t)
	a, b := newApp(t), newBrowser(t)
	b.signInOnly(authorizeURL(l.Base+"/oauth/authorize", "conformance", a.URL, "tools:read", "resource", l.MCP), "bob")
	b.press("decline")
	if q := a.query(t); q.Get("error") != "access_denied" || q.Get("iss") != l.Base || q.Get("state") != state {
		t.Errorf("the client got %v", q)
	}
}

var authorizeLine = regexp.MustCompile(`http://[^\s]+/oauth/authorize\?[^\s]+`)

// TestConformanceOfAuthorization runs the official suite's scenarios for authorization servers. All pass.
func TestConformanceOfAuthorization(t *testing.T) {
	t.Parallel()
	l := startLodge(t)
	path, err := node()
	if err != nil {
		t.Fatal(err)
	}
	entry, err := filepath.Abs(filepath.Join("counterparties", "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js"))
	if err != nil {
		t.Fatal(err)
	}
	_, callback, _ := strings.Cut(port.Get(t).Addr(), ":")
	p := start(t, spec{
		Path: path, Args: []string{entry, "authorization", "--url", l.Base, "--client-id", "conformance", "--resource", l.MCP, "-p", callback},
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NO_COLOR=1"}, Dir: t.TempDir(),
	})
	at := ""
	eventually(t, patience, "the suite's request for a browser", func() bool {
		at = authorizeLine.FindString(p.output())
		return at != ""
	})
	b := newBrowser(t)
	if done := b.consent(at, "alice"); done.Status != http.StatusOK {
		t.Fatalf("the login ended at %s with %d:\n%s", done.URL, done.Status, done.text())
	}
	if code := p.wait(t, patience); code != 0 || strings.Contains(p.output(), "✗") || !strings.Contains(p.output(), "✓") {
		t.Errorf("the suite ends with %d:\n%s", code, p.output())
	}
}
