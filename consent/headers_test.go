package consent_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault"
)

// TestHeaders holds R09 on every kind of page: the policy lets in our own style
// sheet and nothing else, and no page has a script or an inline style.
func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withTLS)
	h := w.vault.add(w.request("alice"))
	over := w.vault.add(w.request("alice"))
	w.vault.set(over, func(t *vault.Ticket) { t.State = vault.TicketDone })
	b := w.browser("alice")
	first := b.once("/consent/" + h) // a redirect
	allowed := b.allow(h)
	pages := []page{
		first, allowed, b.get("/consent/" + h), b.get("/consent/" + over), b.get("/consent/none"), b.get("/connections"),
		b.get("/signout"), b.get("/signin/callback?state=x"), b.get(callbackOf(t, allowed)), b.get("/callback/google?state=x"),
		b.get("/callback/none?state=x"), w.browser("bob").get("/consent/" + h), b.post("/consent/"+h, allowed, "csrf", "x", "answer", "allow"),
	}
	for _, p := range pages {
		checkHeaders(t, p)
		if got := p.header.Get("Strict-Transport-Security"); got == "" {
			t.Errorf("%s has no HSTS", p.url)
		}
	}
	plain := newWorld(t).browser("alice").get("/connections")
	if checkHeaders(t, plain); plain.header.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS on plain http")
	}
}

var (
	style  = regexp.MustCompile(`<link rel="stylesheet" href="(/assets/style\.css\?v=[0-9a-f]{12})">`)
	quoted = regexp.MustCompile(`="(javascript:)?[^"]*"`)
	active = regexp.MustCompile(`(?i)<(?:script|iframe|object|embed|base|img)|<[a-z][^<>]*\s(?:style|on[a-z]+)=|="javascript:|<style`)
)

const wantPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func checkHeaders(t *testing.T, p page) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		"Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := strings.Join(p.header.Values(name), ", "); got != want {
			t.Errorf("%s: %s is %q, want %q", p.url, name, got, want)
		}
	}
	if !strings.Contains(p.header.Get("Permissions-Policy"), "camera=()") {
		t.Errorf("%s: no Permissions-Policy", p.url)
	}
	if got := p.header.Get("Content-Security-Policy"); got != wantPolicy {
		t.Errorf("%s: policy %s", p.url, got)
	}
	if p.body == "" {
		return
	}
	if style.FindStringSubmatch(p.body) == nil {
		t.Errorf("%s has no style sheet", p.url)
	}
	checkInert(t, p)
}

// TestAssets: the style sheet and the icon are files of ours that need no
// session; by the address that pages name them by, a browser may keep them.
func TestAssets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := w.browser("alice").get("/connections")
	b := w.browser("nobody")
	sheet := b.once(style.FindStringSubmatch(home.body)[1]).want(t, http.StatusOK, "prefers-color-scheme:dark")
	for name, want := range map[string]string{
		"Content-Type": "text/css; charset=utf-8", "Cache-Control": "public, max-age=31536000, immutable",
		"Content-Security-Policy": wantPolicy, "X-Content-Type-Options": "nosniff", "Set-Cookie": "",
	} {
		if got := sheet.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, path := range []string{"/assets/style.css", "/assets/style.css?v=0"} {
		if p := b.once(path); p.body != sheet.body || p.header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s may be kept for %q", path, p.header.Get("Cache-Control"))
		}
	}
	if p := b.once("/assets/icon.svg"); p.header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(p.body, "<svg") {
		t.Errorf("the icon is %q", p.header.Get("Content-Type"))
	}
	for _, path := range []string{"/assets/", "/assets/layout.html", "/assets/messages.txt"} {
		if p := b.once(path); p.status != http.StatusNotFound {
			t.Errorf("%s answered %d", path, p.status)
		}
	}
}

// checkInert looks at the tags alone: what stands in quotes is text.
func checkInert(t *testing.T, p page) {
	t.Helper()
	if bad := active.FindString(quoted.ReplaceAllString(p.body, `="$1"`)); bad != "" {
		t.Errorf("%s has %q", p.url, bad)
	}
}

// TestLoopbackNames: whoever comes by "localhost" is moved to the address that the cookies are for.
func TestLoopbackNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, local)
	b := w.browser("alice")
	p := b.once("http://localhost:" + port(t, w.url) + "/callback/google?state=a%26b&code=c")
	if p.status != http.StatusSeeOther || p.header.Get("Location") != w.url+"/callback/google?state=a%26b&code=c" {
		t.Errorf("%d to %s", p.status, p.header.Get("Location"))
	}
}

// TestHostileText holds R08: names, hosts, tools, scopes and labels from
// outside are inert, cut to length, and without characters that turn text around.
func TestHostileText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	evil := "<script>alert(1)</script>\"'><img src=x onerror=y>\u202egoogle\u2066\u200b\x00" + strings.Repeat("A", 5000)
	req := w.request("alice")
	req.Agent = vault.Agent{ID: "x", Name: evil, Host: evil}
	req.Tool = evil
	req.Options = []vault.Option{{Connection: "google", Scopes: []string{evil}, Missing: []string{evil}, VendorNeeded: true}}
	h := w.vault.add(req)
	w.vault.accounts = []vault.Account{{ID: "g1", Connection: "google", Label: evil, Scopes: []string{evil}, State: vault.GrantActive}}
	w.vault.owners["g1"] = "sub-alice"
	w.vault.access = []vault.Access{{ID: "a1", Account: "g1", Agent: req.Agent, Expires: w.clock.Now().AddDate(0, 1, 0)}}
	b := w.browser("alice")
	for _, p := range []page{b.get("/consent/" + h), b.get("/connections")} {
		p.want(t, http.StatusOK).without(t, "\u202e", "\u2066", "\u200b", "\x00", strings.Repeat("A", 200))
		checkInert(t, p)
	}
}

// TestQueryIsInert holds R12 for words: nothing that a vendor sends in the query is shown.
func TestQueryIsInert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	b.get("/connections")
	for _, path := range []string{"/callback/google", "/signin/callback", "/signin", "/connections", "/signout"} {
		b.get(path+"?"+encode("state", "XYZZY1", "error", "XYZZY2", "error_description", "<b>XYZZY3</b>", "n", "XYZZY4", "return_to", "https://evil.example")).
			without(t, "XYZZY", "evil.example")
	}
}
