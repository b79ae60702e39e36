package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestLoginWithNothingButGrantry: `grantry serve` without any identity provider, as a
// process. `grantry signin`, another one, prints a code; an SDK sends its person's browser,
// which is asked for that code, goes on to the client's request, and brings a login by
// which tools are called. The person ends it on the page, and the client has nothing any more.
func TestLoginWithNothingButGrantry(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	s := h.serve(t, "--log-level", "debug")
	a, b := newApp(t), newBrowser(t)
	k := kind{"v2", "modern", "http", "url"}
	c := newClient(t, clientConfig{SDK: k.sdk, Era: k.era, Elicitation: k.elicitation, URL: s.MCP, OAuth: &clientOAuth{Redirect: a.URL}})
	at := c.authorize(t)
	if b.open(at); !strings.Contains(b.page.text(), "grantry signin") || b.asks() {
		t.Fatalf("a browser that nobody let in is at %s:\n%s", b.page.URL, b.page.text())
	}
	if p := b.click("Sign in", "code", "BBBB-BBBB"); !strings.Contains(p.text(), "That code is wrong") {
		t.Fatalf("a wrong code leads to %s:\n%s", p.URL, p.text())
	}
	out, errs, code := h.run(t, "signin")
	m := signInCode.FindStringSubmatch(out)
	if code != 0 || m == nil {
		t.Fatalf("signin ended with %d: %s%s", code, out, errs)
	}
	b.click("Sign in", "code", m[1])
	if !b.asks() || !strings.Contains(b.page.text(), "wants to act for you") {
		t.Fatalf("after the code the browser is at %s:\n%s", b.page.URL, b.page.text())
	}
	b.press("allow")
	q := a.query(t)
	if q.Get("iss") != s.Base || q.Get("code") == "" {
		t.Fatalf("the client got %v", q)
	}
	c.write(t, map[string]any{"op": "code", "code": q.Get("code"), "iss": q.Get("iss")})
	c.ready(t)
	wantReaders(t, c.list(t))
	link, finish := startCall(t, c, k)
	if done := b.consent(link, "alice"); done.Status != http.StatusOK {
		t.Fatalf("the visit ended with %d:\n%s", done.Status, done.text())
	}
	wantEvents(t, finish())

	stranger := newBrowser(t)
	stranger.open(s.Connections)
	if p := stranger.click("Sign in", "code", m[1]); !strings.Contains(p.text(), "That code is wrong") {
		t.Errorf("a code that was used leads another browser to %s:\n%s", p.URL, p.text())
	}
	if b.open(s.Base + "/agents"); !strings.Contains(b.page.text(), "Signed in since") {
		t.Fatalf("/agents does not say who is logged in:\n%s", b.page.text())
	}
	if p := b.click("End this login"); !strings.Contains(p.text(), "That login is over") || strings.Contains(p.text(), "Signed in since") {
		t.Fatalf("after the end the page says:\n%s", p.text())
	}
	if got := c.call(t, "calendar_list_events", map[string]any{}); got.Error == nil {
		t.Errorf("after the end a call still answers %+v", got)
	}
	newCanary(t, v.tokens(t)...).clean(t, "the log", []byte(s.output()))
	if strings.Contains(s.output(), m[1]) {
		t.Error("the log has the code of the sign-in")
	}
}
