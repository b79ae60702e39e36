package consent_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/grantry/grantry/vault"
)

// connected is alice with a Google account that Claude Code may use, in her signed-in browser.
func (r *real) connected() (*browser, vault.Person, vault.Account) {
	r.t.Helper()
	alice := r.person("alice")
	b := r.browser("alice")
	b.signIn("/connections")
	b.click(b.allowAtGoogle(r.ask(alice)), "user", "alice").want(r.t, http.StatusOK, "Google is connected")
	accounts, err := r.keep.Accounts(r.t.Context(), alice.Caller)
	if err != nil || len(accounts) != 1 {
		r.t.Fatalf("accounts: %v %v", accounts, err)
	}
	return b, alice, accounts[0]
}

// TestStopForReal: the switch on the page ends what the agent may do in the
// vault, and gives it no link, until the person lets it ask again; the pages show what was done, to that person alone.
func TestStopForReal(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	b, alice, account := r.connected()
	if _, err := r.exchange(alice); err != nil {
		t.Fatal(err)
	}
	err := r.keep.Audit(t.Context(), vault.Entry{
		Kind: "tool.called", Caller: alice.Caller, Agent: claude(), Tool: "calendar_list_events", Account: account.ID, Connection: "google", Summary: "12 events of next week",
	})
	if err != nil {
		t.Fatal(err)
	}
	b.get("/activity").want(t, http.StatusOK, "Claude Code used calendar_list_events 12 events of next week", "You connected Google", "You signed in")
	b.get("/activity?kind=tokens").want(t, http.StatusOK, "Nothing fits") // the call stands for the token that it used
	p := b.get("/agents").want(t, http.StatusOK, "Claude Code", "May see your calendars and their events", "alice@example.com")
	key := r.keep.AgentKey(claude())
	b.get("/activity?agent="+key+"&account="+account.ID+"&tool=calendar_list_events&kind=calls").want(t, http.StatusOK, "12 events").without(t, "You connected")
	b.get("/activity?tool=mail_search").want(t, http.StatusOK, "Nothing fits")

	bob := r.browser("bob")
	bob.signIn("/activity").want(t, http.StatusOK).without(t, "12 events", "Claude Code")
	theirs := bob.get("/agents").want(t, http.StatusOK).without(t, "Claude Code")
	bob.post("/agents/stop", theirs, "agent", key).want(t, http.StatusNotFound)
	bob.post("/connections/stop", bob.get("/connections"), "account", account.ID).want(t, http.StatusNotFound)

	b.post("/agents/stop", p, "agent", key).want(t, http.StatusOK, "Claude Code is stopped", "Ended: access to one account, no open request")
	var stopped *vault.StoppedError
	if _, err := r.exchange(alice); err == nil {
		t.Error("a token after the stop")
	}
	need := &vault.ConsentError{Reason: vault.AgentNotAllowed, Options: []vault.Option{{Connection: "google", Scopes: []string{calendarScope}, Grant: account.ID}}}
	ask := vault.TicketRequest{Owner: alice, Agent: claude(), Tool: "calendar_list_events", Need: need}
	if _, _, err := r.keep.OpenTicket(t.Context(), ask); !errors.As(err, &stopped) {
		t.Errorf("a link after the stop: %v", err)
	}
	p = b.get("/agents").want(t, http.StatusOK, "You stopped it just now", "It may use none of your accounts now")
	b.follow(b.post("/agents/resume", p, "agent", key)).want(t, http.StatusOK, "Claude Code may ask you again")
	if _, _, err := r.keep.OpenTicket(t.Context(), ask); err != nil {
		t.Errorf("after letting it ask again: %v", err)
	}
	b.get("/activity").want(t, http.StatusOK, "You stopped Claude Code", "You let Claude Code go on")
}

// TestDisconnectVendorDown holds R29 on the page: the account is over here at
// once, the vendor could not be told, and the page says so.
func TestDisconnectVendorDown(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	b, alice, account := r.connected()
	r.deaf.Store(true)
	b.follow(b.post("/connections/disconnect", b.get("/connections"), "account", account.ID)).
		want(t, http.StatusOK, "alice@example.com is disconnected here", "Google could not be told yet", "seven days")
	if _, err := r.exchange(alice); err == nil {
		t.Error("a token of a disconnected account")
	}
	if !r.live("alice") {
		t.Error("the vendor was told all the same: the test shows nothing")
	}
}
