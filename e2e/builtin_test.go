package e2e_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// signInLink and signInCode are what `grantry signin` prints.
var (
	signInLink = regexp.MustCompile(`http://\S+/signin/[A-Za-z0-9_-]+`)
	signInCode = regexp.MustCompile(`(?m)^\s+([A-Z]{4}-[A-Z]{4})$`)
)

// TestBrowserAtTheBuiltInServer drives Chromium through a client's login on a vault
// of one person: the code of `grantry signin`, our page, and back to the client;
// and to the pages for requests that lead nowhere.
func TestBrowserAtTheBuiltInServer(t *testing.T) {
	t.Parallel()
	v, a := startVendors(t), newApp(t)
	h := newHome(t, v.yaml("clients:\n  desk: { redirect_uris: [\""+a.URL+"\"] }\nworkloads:\n  portal: { client_secret: env:PORTAL_SECRET, redirect_uris: [\""+a.URL+"\"] }\n"),
		append(v.secrets(), "PORTAL_SECRET="+workSecret)...)
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
	q := a.query(t)
	if status, body := postForm(t, s.Base+"/oauth/token", "grant_type", "authorization_code", "client_id", "desk", "code", q.Get("code"), "code_verifier", verifier); status != http.StatusOK || q.Get("state") != state {
		t.Errorf("the client got %v, and for the code %d %v", q, status, body)
	}
	c.open(authorizeURL(s.Base+"/oauth/authorize", "portal", a.URL, "openid profile email offline_access"))
	c.expect(http.StatusOK, "wants to sign you in")
	c.look("client-application")
	c.press("allow")
	q = a.query(t)
	if status, body := postForm(t, s.Base+"/oauth/token", "grant_type", "authorization_code", "client_id", "portal", "client_secret", workSecret,
		"code", q.Get("code"), "redirect_uri", a.URL, "code_verifier", verifier); status != http.StatusOK {
		t.Errorf("for its code the application got %d %v", status, body)
	}
	c.open(s.Base + "/agents")
	c.expect(http.StatusOK, "Signed in since")
	c.look("agents-logins")
	c.click("End this login")
	c.waitFor("That login is over")
	c.look("agents-login-ended")
}
