package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// openTicket is a text-row client in a sandbox with a link that waits for alice.
func openTicket(t *testing.T) (*sandbox, *raw, string) {
	t.Helper()
	s := startSandbox(t)
	r := newRaw(t, s.MCP, s.token(t, "alice", "ticket-agent"))
	r.initialize(t)
	return s, r, r.legacy(t, "calendar_list_events", map[string]any{}).final(t).link(t)
}

// TestLinksOfEverySort holds the answers to invented, foreign, declined and
// completed links (DESIGN 4).
func TestLinksOfEverySort(t *testing.T) {
	t.Parallel()
	s, r, link := openTicket(t)
	alice, bob := newBrowser(t), newBrowser(t)
	alice.signInOnly(link, "alice")
	invented := s.Base + "/consent/" + strings.Repeat("A", len(link)-len(s.Base+"/consent/"))
	if p := alice.open(invented); p.Status != http.StatusNotFound {
		t.Errorf("an invented link answered %d", p.Status)
	}
	if p := bob.signInOnly(link, "bob"); p.Status != http.StatusForbidden {
		t.Errorf("another person's link answered %d:\n%s", p.Status, p.text())
	}
	alice.consent(link, "alice")
	if p := alice.open(link); p.Status != http.StatusGone {
		t.Errorf("a completed link answered %d:\n%s", p.Status, p.text())
	}
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))

	other := newRaw(t, s.MCP, s.token(t, "alice", "declined-agent"))
	other.initialize(t)
	declined := other.legacy(t, "calendar_list_events", map[string]any{}).final(t).link(t)
	alice.signInOnly(declined, "alice")
	alice.press("decline")
	if p := alice.open(declined); p.Status != http.StatusGone {
		t.Errorf("a declined link answered %d:\n%s", p.Status, p.text())
	}
	a := other.legacy(t, "calendar_list_events", map[string]any{}).final(t)
	if !a.IsError || consentLink.MatchString(a.Text) || !strings.Contains(a.Text, "/connections") {
		t.Errorf("after a decline on the page the call answered %s", a.show())
	}
}

// TestPrefetchChangesNothing holds R05: a link survives every machine that
// looks at it before its person does.
func TestPrefetchChangesNothing(t *testing.T) {
	t.Parallel()
	s, r, link := openTicket(t)
	for range 50 {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			req, err := http.NewRequestWithContext(t.Context(), method, link, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
	}
	if n := s.counts(t)["google"]["authorize"]; n != 0 {
		t.Errorf("looking at the link reached the vendor %d times", n)
	}
	newBrowser(t).consent(link, "alice")
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
}

// TestConsentNeedsItsForm holds R11: a consent cannot be posted from
// elsewhere, nor without the form's own token.
func TestConsentNeedsItsForm(t *testing.T) {
	t.Parallel()
	s, r, link := openTicket(t)
	b := newBrowser(t)
	b.signInOnly(link, "alice")
	f, ok := b.page.answerForm("allow")
	if !ok {
		t.Fatalf("no consent form at %s:\n%s", b.page.URL, b.page.text())
	}
	crossSite := func(values url.Values, from string) int {
		resp, _ := b.request(http.MethodPost, f.Action, values, b.parse(from))
		return resp.StatusCode
	}
	if status := crossSite(f.Values, "https://evil.example/page"); status != http.StatusForbidden {
		t.Errorf("a post from another site was answered %d", status)
	}
	without := url.Values{"answer": {"allow"}}
	if status := crossSite(without, link); status != http.StatusForbidden && status != http.StatusBadRequest {
		t.Errorf("a post without the form's token was answered %d", status)
	}
	if n := s.counts(t)["google"]["authorize"]; n != 0 {
		t.Errorf("the vendor was contacted %d times", n)
	}
	b.consent(link, "alice")
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
}

// TestCallbacksThatLie holds R12 and access_denied: an altered, missing or
// reused state spends no code; a person who declines at the vendor may still
// change their mind.
func TestCallbacksThatLie(t *testing.T) {
	t.Parallel()
	s, r, link := openTicket(t)
	b := newBrowser(t).stopAt(s.Base + "/callback/")
	back := b.consent(link, "alice").Held
	if back == nil {
		t.Fatalf("the vendor did not send the browser back; it stands at %s:\n%s", b.page.URL, b.page.text())
	}
	b.stopAt("")
	before := s.counts(t)["google"]["token"]
	for name, change := range map[string]func(url.Values){
		"another state":      func(q url.Values) { q.Set("state", "A"+q.Get("state")[1:]+"x") },
		"no state":           func(q url.Values) { q.Del("state") },
		"markup as an error": func(q url.Values) { q.Set("state", "x"); q.Set("error", "<script>alert(1)</script>") },
	} {
		query := back.Query()
		change(query)
		p := b.open(s.Base + back.Path + "?" + query.Encode())
		if p.Status < 400 || strings.Contains(p.Body, "<script>alert") {
			t.Errorf("%s was answered %d:\n%s", name, p.Status, p.Body)
		}
	}
	if p := b.open(s.Base + "/callback/slack?" + back.RawQuery); p.Status < 400 {
		t.Errorf("the code at another connection's callback was answered %d", p.Status)
	}
	stranger := newBrowser(t)
	if p := stranger.open(back.String()); p.Status < 400 {
		t.Errorf("a browser that never pressed Allow was answered %d", p.Status)
	}
	if after := s.counts(t)["google"]["token"]; after != before {
		t.Errorf("codes were sent to the vendor %d times", after-before)
	}
	b.signInOnly(link, "alice")
	b.press("allow")
	if p := b.click("Decline"); p.Status >= 500 || s.live(t, "google", "alice") {
		t.Errorf("declining at the vendor was answered %d:\n%s", p.Status, p.text())
	}
	if a := r.legacy(t, "calendar_list_events", map[string]any{}).final(t); !a.IsError {
		t.Errorf("after access_denied the call answered %s", a.show())
	}
}

// TestCallbackTwice holds R23: reloading the callback redeems the code once.
func TestCallbackTwice(t *testing.T) {
	t.Parallel()
	s, r, link := openTicket(t)
	b := newBrowser(t).stopAt(s.Base + "/callback/")
	back := b.consent(link, "alice").Held
	b.stopAt("")
	b.open(back.String())
	b.open(back.String())
	if n := s.counts(t)["google"]["token"]; n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
}

// TestPagesAreHardened holds R09 on the pages of the way.
func TestPagesAreHardened(t *testing.T) {
	t.Parallel()
	s, _, link := openTicket(t)
	b := newBrowser(t)
	b.signInOnly(link, "alice")
	for _, at := range []string{link, s.Connections, s.Base + "/consent/unknown"} {
		p := b.open(at)
		for header, want := range map[string]string{
			"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if got := p.Header.Get(header); !strings.Contains(got, want) {
				t.Errorf("%s sends %s: %q, want %q in it", p.URL.Path, header, got, want)
			}
		}
	}
}
