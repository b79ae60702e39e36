package consent_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// TestConsentPage holds R08: the page names whose vault it is and where, the
// agent and how far its name is vouched for, the vendor, the exact scopes and
// the tool that led here, in the order in which a person decides.
func TestConsentPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.browser("alice").get("/consent/"+w.vault.add(w.request("alice"))).want(t, http.StatusOK)
	last := -1
	for _, s := range []string{
		"alice@example.com’s vault on testbox", "Claude Code wants to read your Google Calendar", "claude.example", "not verified", "calendar_list_events",
		"2 minutes ago", "Google", "It will be able to", "It will not be able to", "Change, send or delete anything", calendarScope,
		"never sees your password or token", "For how long?", "30 days", "7 days", "Connections", "Next: google.vendor.example", "Allow", "Allow once", "Decline",
	} {
		i := strings.Index(p.text()[last+1:], s)
		if i < 0 {
			t.Fatalf("after place %d the page does not say %q:\n%s", last, s, p.text())
		}
		last += 1 + i
	}
	// What the vendor's screen will list and no tool asks for is among the exact permissions.
	p.want(t, http.StatusOK, "Exact permissions (3)", "openid")
}

// TestAgentsOfOneName: two agents that call themselves alike are told apart by
// the client id that the issuer proved, on the request and in the list.
func TestAgentsOfOneName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	furnish(w)
	req := w.request("alice")
	req.Agent = vault.Agent{Issuer: "https://login.example", ID: "client-17", Name: "Claude Code"}
	w.vault.access[0].Agent = req.Agent
	b := w.browser("alice")
	b.get("/consent/"+w.vault.add(req)).want(t, http.StatusOK, "login.example knows it as client-17")
	b.get("/connections").want(t, http.StatusOK, "client-17")
}

// TestCutLinks: a link that lost its end is a page for people, and no method is answered that was refused before.
func TestCutLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	for _, path := range []string{"/consent/", "/consent/a/b", "/callback/", "/callback/google/x", "/connections/", "/connections/x"} {
		b.get(path).want(t, http.StatusNotFound, "There is nothing here")
	}
	for _, path := range []string{"/consent/x", "/connections", "/callback/google"} {
		b.do(http.MethodPut, path, nil).want(t, http.StatusMethodNotAllowed)
	}
}

// TestGetIsInert holds R05: fifty GETs and HEADs change nothing and contact nobody.
func TestGetIsInert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.request("alice"))
	before := w.vault.ticket(h)
	b := w.browser("alice")
	for range 50 {
		b.get("/consent/"+h).want(t, http.StatusOK)
		if p := b.do(http.MethodHead, "/consent/"+h, nil); p.status != http.StatusOK || p.body != "" {
			t.Fatalf("HEAD answered %d with %d bytes", p.status, len(p.body))
		}
	}
	stranger := w.browser("bob")
	puts := w.records.count()
	stranger.do(http.MethodHead, "/consent/"+h, nil).want(t, http.StatusSeeOther)
	if got := w.records.count(); got != puts {
		t.Errorf("a HEAD stored %d records", got-puts)
	}
	if after := w.vault.ticket(h); after.State != before.State || after.Version != before.Version {
		t.Errorf("ticket went from %+v to %+v", before, after)
	}
	if b.allow(h).refresh(t).Host != "vendor.example" {
		t.Error("the ticket no longer works")
	}
}

// TestForeignTicket holds R01: bob opens and submits alice's ticket and gets
// 403 both times; no vendor is contacted, the mismatch is audited, the page
// says nothing of the ticket, and alice's ticket still works.
func TestForeignTicket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.request("alice"))
	bob := w.browser("bob")
	p := bob.get("/consent/"+h).want(t, http.StatusForbidden, "bob@example.com", "Switch user", "for somebody else").
		without(t, "alice", "Claude", "calendar", "Google")
	bob.post("/consent/"+h, p, "answer", "allow").want(t, http.StatusForbidden).without(t, "alice", "Claude", "Google")
	if len(w.vault.answers) != 0 || w.vault.redeemed != 0 {
		t.Error("bob's answer went on")
	}
	if got := w.vault.kind("connect.subject_mismatch"); len(got) != 2 || got[0].Caller != w.owner("bob").Caller {
		t.Errorf("audit: %+v", w.vault.entries)
	}
	w.browser("alice").allow(h)
}

// TestSwitchUser: the person whom the link is for signs in instead, and comes back to it.
func TestSwitchUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.request("alice"))
	b := w.browser("bob")
	p := b.get("/consent/"+h).want(t, http.StatusForbidden)
	b.as = "alice"
	b.follow(b.post("/signout", p, "ticket", h)).want(t, http.StatusOK, "alice@example.com’s vault")
	if got := w.issuer.lastAsked(t).Get("prompt"); got != "login" {
		t.Errorf("a switch of users asked with prompt %q", got)
	}
}

// TestOver holds R06: unknown 404; completed, declined and expired 410, for
// GET and POST, with and without a session, and no flow.
func TestOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	b.get("/connections").want(t, http.StatusOK)
	for state, says := range map[vault.TicketState]string{
		vault.TicketDone: "already allowed", vault.TicketDeclined: "declined", vault.TicketExpired: "run out",
	} {
		h := w.vault.add(w.request("alice"))
		open := b.get("/consent/"+h).want(t, http.StatusOK)
		w.vault.set(h, func(t *vault.Ticket) { t.State = state })
		b.get("/consent/"+h).want(t, http.StatusGone, says)
		b.post("/consent/"+h, open, "answer", "allow").want(t, http.StatusGone, says)
		w.browser("bob").once("/consent/"+h).want(t, http.StatusGone, "over").without(t, "alice", "Claude", "Google")
		w.browser("bob").get("/connections")
	}
	b.get("/consent/unknown").want(t, http.StatusNotFound)
	b.get("/consent/"+strings.Repeat("x", 5000)).want(t, http.StatusNotFound)
	w.browser("bob").once("/consent/unknown").want(t, http.StatusNotFound)
	if len(w.vault.answers) != 0 {
		t.Error("an answer went on")
	}
}

// TestForeignOver: another person's ticket is 403 also when it is over.
func TestForeignOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.request("alice"))
	w.vault.set(h, func(t *vault.Ticket) { t.State = vault.TicketExpired })
	bob := w.browser("bob")
	p := bob.get("/connections").want(t, http.StatusOK)
	bob.get("/consent/"+h).want(t, http.StatusForbidden).without(t, "Ask again")
	bob.post("/consent/"+h, p, "answer", "again").want(t, http.StatusForbidden)
}

// TestAskAgain: an expired ticket offers its owner a new one, by POST.
func TestAskAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.request("alice"))
	w.vault.set(h, func(t *vault.Ticket) { t.State = vault.TicketExpired })
	stranger := w.browser("alice")
	p := stranger.once("/consent/"+h).want(t, http.StatusGone, "Sign in")
	_, after, _ := strings.Cut(p.body, `href="/signin?n=`)
	n, _, _ := strings.Cut(after, `"`)
	p = stranger.get("/signin?n="+n).want(t, http.StatusGone, "Ask again")
	again := stranger.post("/consent/"+h, p, "answer", "again").want(t, http.StatusSeeOther)
	stranger.follow(again).want(t, http.StatusOK, "Claude Code wants")
}

// TestRace holds R06: of two answers from one page that race, exactly one starts.
func TestRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.request("alice"))
	b := w.browser("alice")
	p := b.get("/consent/" + h)
	got := make([]int, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = b.post("/consent/"+h, p, "answer", "allow").status })
	}
	wg.Wait()
	slices.Sort(got)
	if got[0] != http.StatusOK || got[1] != http.StatusConflict || got[len(got)-1] != http.StatusConflict {
		t.Errorf("answers: %v, want one 200 and else 409", got)
	}
	if b.allow(h).refresh(t).Query().Get("state") == "" {
		t.Error("the owner may not start again")
	}
}

// TestAllow holds R10: no flow cookie before Allow; then one that is bound to
// this browser, and a page of ours that moves on with a visible link.
func TestAllow(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]option{"http": nil, "https": {withTLS}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, opts...)
			h := w.vault.add(w.request("alice"))
			b := w.browser("alice")
			p := b.get("/consent/" + h)
			if c := flowCookie(p); c != nil {
				t.Fatalf("before Allow the browser got %s", c)
			}
			p = b.post("/consent/"+h, p, "answer", "allow", "scope", "not.offered").want(t, http.StatusOK, "Next: vendor.example")
			if u := p.refresh(t); u.Host != "vendor.example" || !strings.HasPrefix(u.Query().Get("state"), "state+") || u.Query().Get("scope") != "a b" {
				t.Errorf("the page moves on to %s", u)
			}
			c := flowCookie(p)
			if c == nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 600 || c.Path != "/" || c.Domain != "" {
				t.Fatalf("flow cookie: %v", c)
			}
			if name == "https" != (c.Secure && strings.HasPrefix(c.Name, "__Host-")) {
				t.Errorf("flow cookie on %s: %v", name, c)
			}
			a := w.vault.answers[0]
			if a.Session == "" || a.Once || a.RedirectURI != w.url+"/callback/google" || a.Person.Caller != w.owner("alice").Caller || a.Version != 1 {
				t.Errorf("the vault got %+v", a)
			}
		})
	}
}

func flowCookie(p page) *http.Cookie {
	for _, c := range (&http.Response{Header: p.header}).Cookies() {
		if strings.Contains(c.Name, "flow") && c.MaxAge >= 0 {
			return c
		}
	}
	return nil
}

// TestOnceAndDecline: the other two buttons, and an answer that is none.
func TestOnceAndDecline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	h := w.vault.add(w.request("alice"))
	p := b.get("/consent/" + h)
	b.post("/consent/"+h, p, "answer", "perhaps").want(t, http.StatusBadRequest)
	b.post("/consent/"+h, p, "answer", "once").want(t, http.StatusOK)
	if !w.vault.answers[0].Once {
		t.Error("once was not passed on")
	}
	h = w.vault.add(w.request("alice"))
	p = b.get("/consent/" + h)
	b.post("/consent/"+h, p, "answer", "decline").want(t, http.StatusOK, "Declined", "Nothing was connected")
	if w.vault.ticket(h).State != vault.TicketDeclined {
		t.Error("not declined")
	}
	b.get("/consent/"+h).want(t, http.StatusGone)
}

// TestAccessOnly: an account that is there needs only our page.
func TestAccessOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.accounts = []vault.Account{{ID: "g1", Connection: "google", Label: "alice@corp.example", State: vault.GrantActive}}
	w.vault.owners["g1"] = "sub-alice"
	req := w.request("alice")
	req.Kind, req.Reason = vault.KindAccess, vault.AgentNotAllowed
	req.Options = []vault.Option{{Connection: "google", Scopes: []string{calendarScope}, Grant: "g1"}}
	h := w.vault.add(req)
	b := w.browser("alice")
	p := b.get("/consent/"+h).want(t, http.StatusOK, "alice@corp.example", "Next: nothing more", "not allowed Claude Code")
	p = b.post("/consent/"+h, p, "answer", "allow").want(t, http.StatusOK, "Claude Code may go on", "alice@corp.example")
	if flowCookie(p) != nil || strings.Contains(p.body, "http-equiv") {
		t.Error("the vendor was brought into it")
	}
}

// TestSeveralOptions: the page asks which connection, and never guesses.
func TestSeveralOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	req := w.request("alice")
	req.Options = append(req.Options, vault.Option{Connection: "slack", Scopes: []string{"chat:write"}, Missing: []string{"chat:write"}, VendorNeeded: true})
	h := w.vault.add(req)
	b := w.browser("alice")
	p := b.get("/consent/"+h).want(t, http.StatusOK, "Which account", "Google", "Slack")
	b.post("/consent/"+h, p, "answer", "allow").want(t, http.StatusBadRequest, "Choose an account")
	b.post("/consent/"+h, p, "answer", "allow", "connection", "github").want(t, http.StatusBadRequest)
	b.post("/consent/"+h, p, "answer", "allow", "connection", "slack").want(t, http.StatusOK)
	if n := len(w.vault.answers); n != 1 || w.vault.answers[0].Connection != "slack" {
		t.Errorf("answers: %+v", w.vault.answers)
	}
}

// TestLocal: on a local vault nobody signs in, and the forms are bound to the browser all the same.
func TestLocal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, local)
	h := w.vault.add(w.request("alice"))
	b := w.browser("alice")
	p := b.once("/consent/"+h).want(t, http.StatusOK, "alice@example.com’s vault")
	w.browser("alice").post("/consent/"+h, p, "answer", "allow").want(t, http.StatusForbidden)
	p = b.post("/consent/"+h, p, "answer", "allow").want(t, http.StatusOK)
	b.get(callbackOf(t, p)).want(t, http.StatusOK, "Google is connected")
	b.get("/signout").want(t, http.StatusOK, "Nobody signs in here")
}

// TestFailureShown: a ticket whose last visit to the vendor failed says so, and can be answered again.
func TestFailureShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	req := w.request("alice")
	req.State, req.Failure, req.Started = vault.TicketStarted, vault.FlowScopes, w.clock.Now().Add(-time.Minute)
	h := w.vault.add(req)
	w.browser("alice").get("/consent/"+h).want(t, http.StatusOK, "allowed less than what is needed", "try again")
}
