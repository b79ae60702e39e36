package e2e_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var signInLink = regexp.MustCompile(`http://\S+/signin/[A-Za-z0-9_-]+`)

// TestBrowserAtTheBuiltInServer drives Chromium through a client's login on a vault
// of one person: the code of `grantry signin`, our page, and back to the client;
// and to the pages for requests that lead nowhere.
func TestBrowserAtTheBuiltInServer(t *testing.T) {
	t.Parallel()
	v, a := startVendors(t), newApp(t)
	h := newHome(t, v.yaml("clients:\n  desk: { redirect_uris: [\""+a.URL+"\"] }\n"), v.secrets()...)
	s := h.serve(t)
	signIn := func() (link, code string) {
		out, errs, exit := h.run(t, "signin")
		m := signInCode.FindStringSubmatch(out)
		if link = signInLink.FindString(out); exit != 0 || m == nil || link == "" {
			t.Fatalf("signin ended with %d: %s%s", exit, out, errs)
		}
		return link, m[1]
	}
	c := newChrome(t).other(t)
	link, _ := signIn()
	c.open(link)
	c.expect(http.StatusOK, "vault in this browser?")
	c.look("link")
	c.click("Sign in here")
	c.expect(http.StatusOK, "Nothing is connected yet")
	c.open(link)
	c.expect(http.StatusOK, "You are signed in already")
	c.look("link-signed-in")
	stranger := c.other(t)
	stranger.open(link)
	stranger.expect(http.StatusGone, "This link is over")
	stranger.look("link-over")

	ask := func(client string) string {
		return authorizeURL(s.Base+"/oauth/authorize", client, a.URL, "tools:read connections", "resource", s.MCP)
	}
	c.open(ask("nobody"))
	c.expect(http.StatusBadRequest, "This vault does not know that client")
	c.look("client-unknown")
	c.open(strings.Replace(ask("desk"), url.QueryEscape(a.URL), url.QueryEscape("https://elsewhere.example/callback"), 1))
	c.expect(http.StatusBadRequest, "That answer would go to somebody else")
	c.look("client-redirect")
	c.open(ask("desk"))
	c.expect(http.StatusOK, "wants to act for you")
	c.look("client")
	a.shut.Store(true)
	c.press("allow")
	c.expect(http.StatusOK, "is logged in")
	c.look("client-allowed")
	a.shut.Store(false)
	c.click("Go on to")
	c.waitFor("You may close this window.")
	if q := a.query(t); q.Get("code") == "" || q.Get("state") != state {
		t.Errorf("the client got %v", q)
	}
}
