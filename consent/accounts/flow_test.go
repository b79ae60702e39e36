package accounts_test

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// TestWholeWay: connect, the page, Google, complete, list, delete. Before complete nothing
// can be used and nothing is listed; afterwards the application's exchange goes through.
func TestWholeWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.token("alice", "portal")
	c := w.connect(alice, nil)
	if c.uri != w.url+"/connected-accounts/connect" || len(c.session) > 64 || len(c.session) < 22 {
		t.Errorf("connect_uri %s, auth_session %s", c.uri, c.session)
	}
	b := w.browser("alice")
	p := b.signedIn(c.link()).want(http.StatusOK, "portal wants to read your Google Calendar", "only if you have just started this there yourself", "goes back to portal.example.com")
	q := p.press("answer", "allow").want(http.StatusOK).goesOn().click("user", "alice").atApp(t)
	c.code = q.Get("connect_code")
	if q.Get("state") != "st/+ &?#" || len(c.code) > 46 || len(c.code) < 22 || len(q) != 2 {
		t.Errorf("the application gets %v", q)
	}
	if n := w.owned("alice"); n != 0 {
		t.Fatalf("%d accounts before complete", n)
	}
	if _, err := w.exchange("alice", portal()); err == nil {
		t.Fatal("a token of what is held")
	}
	b.get(c.link()).want(http.StatusOK, "Almost done", "portal has to finish it")

	a := c.complete(alice, nil).want(t, http.StatusCreated)
	id, _ := a.fields["id"].(string)
	created, _ := a.fields["created_at"].(string)
	if _, err := time.Parse(time.RFC3339, created); err != nil || !regexp.MustCompile(`^cac_[A-Za-z0-9]+$`).MatchString(id) ||
		a.fields["connection"] != "google" || a.fields["access_type"] != "offline" || !strings.Contains(a.raw, calendar) {
		t.Errorf("complete says %s", a.raw)
	}
	token, err := w.exchange("alice", portal())
	if err != nil || token.Account != "alice@example.com" {
		t.Fatalf("exchange: %v %v", token, err)
	}
	w.send(http.MethodGet, "/me/v1/connected-accounts/accounts", alice, "").want(t, http.StatusOK, id)
	bob := w.token("bob", "portal")
	w.send(http.MethodGet, "/me/v1/connected-accounts/accounts", bob, "").want(t, http.StatusOK, `{"accounts":[]}`)
	w.send(http.MethodDelete, "/me/v1/connected-accounts/accounts/"+id, bob, "").want(t, http.StatusNotFound)
	if !w.live("alice") {
		t.Fatal("bob ended alice's grant")
	}
	w.send(http.MethodDelete, "/me/v1/connected-accounts/accounts/"+id, alice, "").want(t, http.StatusNoContent)
	if w.live("alice") {
		t.Error("the grant lives on at Google")
	}
	w.send(http.MethodDelete, "/me/v1/connected-accounts/accounts/"+id, alice, "").want(t, http.StatusNotFound)
	for what, canary := range map[string]string{"token": alice, "code": c.code, "verifier": secret, "session": c.session, "vendor's token": token.Token.Reveal()} {
		if strings.Contains(w.log.String(), canary) {
			t.Errorf("the log has a %s", what)
		}
	}
}

// TestMixUps: what does not belong together connects nothing, takes nothing away, and says no
// more to somebody else than an unknown session would.
func TestMixUps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.token("alice", "portal")
	c, second := w.connect(alice, nil), w.connect(alice, fields{"state": "2"})
	b := w.browser("alice")
	if c.code = "code-canary-not-there-yet"; c.complete(alice, nil).status != http.StatusBadRequest {
		t.Error("complete before the browser was anywhere")
	}
	c.visit(b, "alice")
	unknown := c.complete(alice, fields{"auth_session": strings.Repeat("x", 43)}).want(t, http.StatusBadRequest)
	for who, token := range map[string]string{"another person": w.token("bob", "portal"), "another application": w.token("alice", "other")} {
		if a := c.complete(token, nil); a.status != unknown.status || a.raw != unknown.raw {
			t.Errorf("%s: %d %s", who, a.status, a.raw)
		}
	}
	for what, change := range map[string]fields{
		"another redirect":       {"redirect_uri": also},
		"a wrong verifier":       {"code_verifier": strings.Repeat("w", 50)},
		"no verifier":            {"code_verifier": nil},
		"another session's code": {"auth_session": second.session},
		"a wrong code":           {"connect_code": strings.Repeat("c", 43)},
	} {
		if a := c.complete(alice, change); a.status != http.StatusBadRequest || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", what, a.status, a.raw)
		}
	}
	if w.owned("alice") != 0 || !w.live("alice") {
		t.Fatal("a wrong word connected something, or took it away")
	}
	c.complete(alice, nil).want(t, http.StatusCreated)
	c.complete(alice, nil).want(t, http.StatusConflict)
	if n := w.owned("alice"); n != 1 || !w.live("alice") {
		t.Errorf("%d accounts after a replay; lives: %v", n, w.live("alice"))
	}
	if kinds := w.audited("connect.subject_mismatch"); kinds != 2 {
		t.Errorf("%d entries of foreign completions", kinds)
	}
}

// TestFiveTries: the fifth wrong word gives the grant back to its vendor.
func TestFiveTries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.token("alice", "portal")
	c := w.connect(alice, nil)
	c.visit(w.browser("alice"), "alice")
	for range 5 {
		c.complete(alice, fields{"code_verifier": strings.Repeat("w", 50)}).want(t, http.StatusBadRequest)
	}
	c.complete(alice, nil).want(t, http.StatusBadRequest)
	if w.owned("alice") != 0 || w.live("alice") {
		t.Errorf("%d accounts; lives at Google: %v", w.owned("alice"), w.live("alice"))
	}
}

// TestLate: after ten minutes without complete the vendor has the grant back.
func TestLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.token("alice", "portal")
	c := w.connect(alice, nil)
	c.visit(w.browser("alice"), "alice")
	w.clock.add(10*time.Minute - 5*time.Second)
	if _, err := w.vault.Sweep(t.Context()); err != nil || !w.live("alice") {
		t.Fatalf("given back before its time: %v", err)
	}
	w.clock.add(6 * time.Second)
	c.complete(alice, nil).want(t, http.StatusBadRequest)
	if _, err := w.vault.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.live("alice") || w.owned("alice") != 0 {
		t.Error("the grant lives on at Google, or is an account")
	}
	c.complete(alice, nil).want(t, http.StatusBadRequest)
}

// TestTwoAtOnce: of eight words at once one connects.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.token("alice", "portal")
	c := w.connect(alice, nil)
	c.visit(w.browser("alice"), "alice")
	var wg sync.WaitGroup
	got := make([]int, 8)
	for i := range got {
		wg.Go(func() { got[i] = c.complete(alice, nil).status })
	}
	wg.Wait()
	count := map[int]int{}
	for _, status := range got {
		count[status]++
	}
	if count[http.StatusCreated] != 1 || count[http.StatusConflict] != 7 || w.owned("alice") != 1 || !w.live("alice") {
		t.Errorf("answers %v, %d accounts, lives: %v", count, w.owned("alice"), w.live("alice"))
	}
}

// TestOtherBrowsers: a page of alice's request is nobody else's; looking changes nothing; a
// vendor's page that was stolen from her browser ends in no other; and her other browser gets no code.
func TestOtherBrowsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.token("alice", "portal")
	c := w.connect(alice, nil)
	bob := w.browser("bob")
	bob.signedIn(c.link()).want(http.StatusForbidden, "for somebody else")
	a := w.browser("alice")
	for range 3 { // a scanner, a preview, the person herself
		w.browser("nobody").get(c.link())
		if r := w.send(http.MethodHead, strings.TrimPrefix(c.link(), w.url), "", ""); r.status >= 500 {
			t.Errorf("HEAD: %d", r.status)
		}
		a.signedIn(c.link()).want(http.StatusOK, "portal wants to read")
	}
	at := a.atGoogle(c)
	stolen := at
	stolen.b = bob
	if p := stolen.click("user", "bob"); p.status != http.StatusForbidden {
		t.Errorf("bob's browser got to %s (%d): %s", p.url, p.status, p.text())
	}
	if w.owned("alice")+w.owned("bob") != 0 {
		t.Error("something was connected")
	}
	c.code = a.atGoogle(c).click("user", "alice").atApp(t).Get("connect_code")
	second := w.browser("alice")
	second.signedIn(w.url + "/connections")
	path := w.url + "/consent/" + c.ticket
	if p := second.get(path + "/return"); p.status != http.StatusOK || strings.Contains(p.body, c.code) {
		t.Errorf("her other browser is at %s: %s", p.url, p.text())
	}
	if p := bob.get(path + "/return"); p.status != http.StatusForbidden {
		t.Errorf("bob is at %s (%d)", p.url, p.status)
	}
	if again := a.get(path + "/return").atApp(t); again.Get("connect_code") != c.code {
		t.Errorf("her own browser brings %v again", again)
	}
	c.complete(alice, nil).want(t, http.StatusCreated)
}

// TestNo: a no here and one at the vendor go back to the application, in our words, with its state.
func TestNo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.token("alice", "portal")
	b := w.browser("alice")
	hostile := "\r\nSet-Cookie: x=1\"><script>" + strings.Repeat("s", 3000)
	c := w.connect(alice, fields{"state": hostile, "redirect_uri": also})
	q := b.signedIn(c.link()).press("answer", "decline").want(http.StatusOK, "Declined").goesOn().atApp(t)
	if q.Get("error") != "access_denied" || q.Get("error_description") == "" || q.Get("state") != hostile || q.Get("tenant") != "7" || q.Has("connect_code") {
		t.Errorf("the application gets %v", q)
	}
	b.get(c.link()).want(http.StatusGone)
	c = w.connect(alice, fields{"state": nil})
	q = b.atGoogle(c).click("answer", "decline").atApp(t)
	if q.Get("error") != "access_denied" || q.Has("state") || q.Has("connect_code") {
		t.Errorf("the application gets %v", q)
	}
	c.complete(alice, fields{"connect_code": "c"}).want(t, http.StatusBadRequest)
}

// TestOtherAccount: alice picks bob's account. She has to confirm it on our page in that browser first, and
// only then does the application get its code.
func TestOtherAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.token("alice", "portal")
	c := w.connect(alice, nil)
	b := w.browser("alice")
	p := b.atGoogle(c).click("user", "bob").want(http.StatusForbidden, "Is this Google account yours?", "bob@example.com")
	p.url = w.url + "/consent/" + c.ticket
	c.complete(alice, fields{"connect_code": "c"}).want(t, http.StatusBadRequest)
	c.code = p.press("answer", "confirm").want(http.StatusOK, "Confirmed").goesOn().atApp(t).Get("connect_code")
	if w.owned("alice") != 0 {
		t.Fatal("connected before complete")
	}
	c.complete(alice, nil).want(t, http.StatusCreated)
	if token, err := w.exchange("alice", portal()); err != nil || token.Account != "bob@example.com" {
		t.Errorf("exchange: %v %v", token, err)
	}
}

// TestMerge: who connects again with other scopes keeps the earlier ones; the application gets what the page said and no more.
func TestMerge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, other := w.token("alice", "portal"), w.token("alice", "other")
	b := w.browser("alice")
	c := w.connect(alice, nil)
	c.visit(b, "alice")
	first := c.complete(alice, nil).want(t, http.StatusCreated)
	c = w.connect(other, fields{"scopes": []string{drive, "openid"}})
	if p := b.get(c.link()).want(http.StatusOK, calendar, drive); strings.Contains(p.text(), "See your calendars") {
		t.Errorf("the page says that the second application may read the calendar: %s", p.text())
	}
	c.visit(b, "alice")
	again := c.complete(other, nil).want(t, http.StatusCreated, calendar, drive)
	if first.fields["id"] != again.fields["id"] || w.owned("alice") != 1 {
		t.Errorf("%d accounts: %s, %s", w.owned("alice"), first.raw, again.raw)
	}
	if _, err := w.exchange("alice", portal()); err != nil {
		t.Errorf("the first application: %v", err)
	}
	var lack *vault.ConsentError
	agent, _ := application(w.tokens.good[other])
	if _, err := w.exchange("alice", agent.Agent); !errors.As(err, &lack) || lack.Reason != vault.AgentNotAllowed {
		t.Errorf("the second application may read the calendar: %v", err)
	}
}

// TestHint: a login_hint goes to the vendor; one that names an account of hers pins it, so that another one that comes back is a question.
func TestHint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.token("alice", "portal")
	b := w.browser("alice")
	hint := fields{"authorization_params": fields{"login_hint": "alice@example.com", "prompt": "none"}}
	c := w.connect(alice, hint)
	at := b.atGoogle(c)
	if u, err := url.Parse(at.url); err != nil || u.Query().Get("login_hint") != "alice@example.com" || u.Query().Get("prompt") == "none" {
		t.Errorf("Google is asked by %s", at.url)
	}
	c.code = at.click("user", "alice").atApp(t).Get("connect_code")
	c.complete(alice, nil).want(t, http.StatusCreated)
	c = w.connect(alice, hint)
	b.atGoogle(c).click("user", "bob").want(http.StatusConflict, "Is this the Google account you mean?")
}

// TestVouched: with binding: app nobody signs in, the page says who answers for whom and where the answer goes, shows nothing
// of the vault, and the flow is bound to that browser.
func TestVouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kiosk := w.token("alice", "kiosk")
	c := w.connect(kiosk, nil)
	b := w.browser("nobody")
	p := b.get(c.link()).want(http.StatusOK, "Kiosk says who you are. Nobody signed in here.", "this account is for its user alice@example.com",
		"the answer goes to portal.example.com", "If you do not know Kiosk", "close this page")
	if strings.Contains(p.body, "/signout") {
		t.Error("the page shows somebody signed in")
	}
	b.get(w.url+"/connections").want(http.StatusOK, "Who are you today?") // it is signed in nowhere else
	w.browser("bob").signedIn(w.url + "/connections")
	bob := w.browser("bob")
	bob.signedIn(w.url + "/connections")
	bob.get(c.link()).want(http.StatusForbidden, "for somebody else")
	at := p.press("answer", "allow").want(http.StatusOK).goesOn()
	stolen := at
	stolen.b = w.browser("nobody")
	stolen.click("user", "bob").want(http.StatusForbidden)
	c.code = at.click("user", "alice").atApp(t).Get("connect_code")
	c.complete(w.token("bob", "kiosk"), nil).want(t, http.StatusBadRequest)
	c.complete(kiosk, nil).want(t, http.StatusCreated)
	agent, _ := application(w.tokens.good[kiosk])
	if token, err := w.exchange("alice", agent.Agent); err != nil || token.Account != "alice@example.com" {
		t.Errorf("exchange: %v %v", token, err)
	}
	// A form that another browser was shown counts in none.
	c = w.connect(kiosk, nil)
	p = b.get(c.link())
	p.b = w.browser("nobody")
	p.press("answer", "allow").want(http.StatusForbidden)
	// A client that is not marked so has no such page.
	c = w.connect(w.token("alice", "portal"), nil)
	w.browser("nobody").get(c.link()).want(http.StatusOK, "Who are you today?")
}

// TestStopped: whom the person has stopped can neither begin nor complete.
func TestStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.token("alice", "portal")
	c := w.connect(alice, nil)
	c.visit(w.browser("alice"), "alice")
	if _, err := w.vault.Stop(t.Context(), w.person("alice").Caller, vault.StopScope{}); err != nil {
		t.Fatal(err)
	}
	if a := c.complete(alice, nil); a.status < 400 || a.status >= 500 {
		t.Errorf("complete: %d %s", a.status, a.raw)
	}
	w.send(http.MethodPost, "/me/v1/connected-accounts/connect", alice, asking().encode(nil)).want(t, http.StatusForbidden, "stopped")
	if w.owned("alice") != 0 {
		t.Error("connected all the same")
	}
}

// audited is how many entries of a kind there are.
func (w *world) audited(kind string) (n int) {
	w.t.Helper()
	for _, err := range w.vault.AuditLog(w.t.Context(), vault.AuditQuery{Kind: kind}) {
		if err != nil {
			w.t.Fatal(err)
		}
		n++
	}
	return n
}
