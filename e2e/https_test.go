package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// TestBrowsersOnHTTPS drives Chromium against Grantry on https, with
// oidc-provider as the issuer and emulate as Google, behind two more hosts
// that it redirects over. All visits share one Grantry and one Chromium, each
// person has a browser of their own.
func TestBrowsersOnHTTPS(t *testing.T) {
	t.Parallel()
	e := startHTTPS(t)
	c := newChrome(t, chromedp.IgnoreCertErrors)
	t.Run("first consent, over a vendor of three hosts", func(t *testing.T) { e.firstConsent(t, c.other(t)) })
	t.Run("TestR09 cookies on https", func(t *testing.T) { e.hostCookies(t, c.other(t)) })
	t.Run("TestR01 a link in another's browser", func(t *testing.T) { e.foreignLink(t, c.other(t), c.other(t)) })
	t.Run("TestR03 a vendor's page in another's browser", func(t *testing.T) { e.foreignVendorPage(t, c.other(t), c.other(t), c.other(t)) })
	t.Run("TestR02 a planted session", func(t *testing.T) { e.plantedSession(t, c.other(t), c.other(t)) })
	t.Run("seldom asked", func(t *testing.T) { e.rare(t, c.other(t), c.other(t)) })
	t.Run("another's address", func(t *testing.T) { e.heldEmail(t, c.other(t)) })
	t.Run("expired", func(t *testing.T) { e.expired(t, c.other(t)) })
	t.Run("paired with a terminal", func(t *testing.T) { e.paired(t, c.other(t)) })
}

// overHTTPS is an estate on https, and how its certificate is proven.
type overHTTPS struct {
	*estate
	trust *tls.Config
	shut  atomic.Bool // the vendor's front answers nothing, so that a browser stays where it is
}

func startHTTPS(t *testing.T) *overHTTPS {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	e := &overHTTPS{trust: &tls.Config{RootCAs: certificate(t, cert, key)}}
	v := startVendorsFor(t, "https")
	e.estate = v.estate(t, nil, func(yaml string) string {
		authorization := v.emulated.Google + "/o/oauth2/v2/auth"
		yaml = strings.Replace(yaml, "authorization: "+authorization, "authorization: "+e.hops(t, authorization), 1)
		return fmt.Sprintf("public_url: %s\ntls: { cert: %s, key: %s }\n", v.base, cert, key) + yaml
	})
	return e
}

// hops is a vendor's front that sends people over another host to its pages.
func (e *overHTTPS) hops(t *testing.T, last string) string {
	t.Helper()
	hop := func(to string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if e.shut.Load() {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			http.Redirect(w, r, to+"?"+r.URL.RawQuery, http.StatusFound)
		}))
		t.Cleanup(s.Close)
		return s.URL + "/authorize"
	}
	// "localhost" is another host than 127.0.0.1 to a browser.
	return hop(strings.Replace(hop(last), "127.0.0.1", "localhost", 1))
}

// agent is an MCP client of who, and the link that its first call gets.
func (e *overHTTPS) agent(t *testing.T, who string) (*raw, string) {
	t.Helper()
	r := newRaw(t, e.MCP, e.token(t, who))
	r.client.Transport.(*http.Transport).TLSClientConfig = e.trust
	r.initialize(t)
	return r, r.legacy(t, "calendar_list_events", map[string]any{}).final(t).link(t)
}

// asked signs who in at oidc-provider, up to the consent page.
func (c *chrome) asked(link, who string) {
	c.t.Helper()
	c.signIn(link, who)
	c.expect(http.StatusOK, who+"@example.com’s vault")
}

func (c *chrome) signIn(link, who string) {
	c.t.Helper()
	c.open(link)
	c.fill("login", who)
	c.fill("password", "any")
	c.click(opSignIn)
	c.click(opContinue)
}

// exchanges is how many codes were redeemed at Google.
func (e *overHTTPS) redeemed() int { return len(e.vendors.google.exchanges("/oauth2/token")) }

func (e *overHTTPS) firstConsent(t *testing.T, c *chrome) {
	r, link := e.agent(t, "alice")
	c.asked(link, "alice")
	c.look("connect")
	e.shut.Store(true)
	c.press("allow")
	c.expect(http.StatusOK, "Now confirm at Google")
	c.look("next")
	e.shut.Store(false)
	c.click("Next: ")
	c.click("alice@example.com") // emulate's page, two redirects later
	c.expect(http.StatusOK, "is connected")
	c.look("connected")
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
}

func (e *overHTTPS) hostCookies(t *testing.T, c *chrome) {
	c.signIn(e.Base+"/connections", "alice")
	c.expect(http.StatusOK, "What alice@example.com has connected")
	got := c.cookies(e.Base)
	// The issuer's are among them: it is on the same host, and on plain http.
	got = slices.DeleteFunc(got, func(k *network.Cookie) bool { return k.SourceScheme == network.CookieSourceSchemeNonSecure })
	if len(got) == 0 {
		t.Error("a signed-in browser has no cookie")
	}
	for _, k := range got {
		if !strings.HasPrefix(k.Name, "__Host-") || !k.Secure || !k.HTTPOnly || k.Path != "/" || k.Domain != "127.0.0.1" {
			t.Errorf("a cookie on https is %+v", *k)
		}
	}
}

// cookies are those that go to a URL.
func (c *chrome) cookies(url string) []*network.Cookie {
	c.t.Helper()
	return do(c, "reading cookies", func(ctx context.Context, _ *chromedp.Target) ([]*network.Cookie, error) {
		got, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{url}})
		return got.Cookies, err
	})
}

// plant gives the browser cookies of another one.
func (c *chrome) plant(url string, cookies []*network.Cookie) {
	c.t.Helper()
	var planted []*network.CookieParam
	for _, k := range cookies {
		planted = append(planted, &network.CookieParam{Name: k.Name, Value: k.Value, URL: url, Path: k.Path, Secure: k.Secure, HTTPOnly: k.HTTPOnly, SameSite: k.SameSite})
	}
	do(c, "planting cookies", func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, network.SetCookies, network.SetCookiesParams{Cookies: planted})
		return chromedp.Void{}, err
	})
}

// foreignLink is alice's link that bob opens: it is not his, nothing is asked
// of a vendor, and the audit says who looked.
func (e *overHTTPS) foreignLink(t *testing.T, alice, bob *chrome) {
	before := len(e.vendors.google.exchanges(""))
	_, link := e.agent(t, "bob")
	alice.signIn(link, "alice")
	alice.expect(http.StatusForbidden, "This link is for somebody else")
	alice.look("foreign")
	if !strings.Contains(alice.text(), "Switch user") {
		t.Errorf("the page offers no other user:\n%s", alice.text())
	}
	if n := len(e.vendors.google.exchanges("")); n != before {
		t.Errorf("the vendor was asked %d times", n-before)
	}
	out, errs, code := e.home.run(t, "audit", "export")
	if code != 0 || !strings.Contains(out, `"reason":"foreign"`) {
		t.Errorf("the audit (%d, %s) does not say that a stranger looked:\n%s", code, errs, out)
	}
	bob.asked(link, "bob") // it is still his
}

// foreignVendorPage copies the address that alice was sent to into two other
// browsers: bob's, who is signed in, and one where nobody is.
func (e *overHTTPS) foreignVendorPage(t *testing.T, alice, bob, nobody *chrome) {
	r, link := e.agent(t, "bob")
	before := e.redeemed()
	bob.asked(link, "bob")
	bob.press("allow")
	eventually(t, patience, "going to the vendor", func() bool { return strings.HasPrefix(bob.url(), e.emulated.Google) })
	vendor := bob.url()

	alice.signIn(e.Base+"/connections", "alice")
	alice.waitFor("What alice@example.com has connected")
	alice.open(vendor)
	alice.click("alice@example.com")
	alice.expect(http.StatusForbidden, "Another browser started this")
	alice.look("another-browser")
	nobody.open(vendor)
	nobody.click("alice@example.com")
	nobody.waitFor("Open the link again in this browser")
	nobody.look("open-again")
	if n := e.redeemed(); n != before {
		t.Fatalf("%d codes were redeemed", n-before)
	}
	bob.click("bob@example.com")
	bob.expect(http.StatusOK, "is connected")
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
}

// plantedSession gives alice's browser bob's session. Every page says whose
// vault it is, and her account is nobody's until she has read both names.
func (e *overHTTPS) plantedSession(t *testing.T, bob, alice *chrome) {
	bob.signIn(e.Base+"/connections", "bob")
	bob.waitFor("What bob@example.com has connected")
	// Bob's account from before goes, so that hers would be the only one.
	bob.click("Disconnect")
	bob.waitFor("is disconnected")
	r, link := e.agent(t, "bob")
	alice.plant(e.Base, bob.cookies(e.Base))
	alice.open(link)
	alice.expect(http.StatusOK, "bob@example.com’s vault")
	alice.press("allow")
	alice.click("alice@example.com")
	alice.waitFor("give it back")
	alice.look("held")
	for _, name := range []string{"alice@example.com", "bob"} {
		if !strings.Contains(alice.text(), name) {
			t.Errorf("the page does not name %s:\n%s", name, alice.text())
		}
	}
	if a := r.legacy(t, "connections_list", map[string]any{}).final(t); strings.Contains(a.Text, "alice@example.com") {
		t.Errorf("an account that nobody has confirmed is bob's: %s", a.show())
	}
	alice.press("refuse")
	alice.waitFor("bob@example.com")
	if told := e.vendors.google.exchanges("/oauth2/revoke"); len(told) == 0 || !slices.ContainsFunc(told, func(x exchange) bool { return x.Status == http.StatusOK }) {
		t.Errorf("the vendor heard of %d revocations", len(told))
	}
}
