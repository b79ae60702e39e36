package vault_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// R01, R12, R20, R23: what does not fit stops before the token request, and the flow of the right browser still works.
func TestCallbackRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.allow(b.ticket(alice, agent, b.lack(request(alice, agent))), alice)
	for name, tc := range map[string]struct {
		change func(*vault.Callback)
		want   vault.FlowFailure
	}{
		"another person":     {func(c *vault.Callback) { c.Person = bob }, vault.FlowBrowser},
		"another browser":    {func(c *vault.Callback) { c.Cookie = "" }, vault.FlowBrowser},
		"another session":    {func(c *vault.Callback) { c.Session = "s2" }, vault.FlowBrowser},
		"invented state":     {func(c *vault.Callback) { c.State = "x" }, vault.FlowState},
		"no state":           {func(c *vault.Callback) { c.State = "" }, vault.FlowState},
		"another connection": {func(c *vault.Callback) { c.Connection = "mail" }, vault.FlowState},
	} {
		wrong := c
		tc.change(&wrong)
		if e := b.failure(wrong); e.Failure != tc.want {
			t.Errorf("%s: %s, want %s", name, e.Failure, tc.want)
		}
	}
	if n := b.vendor.requests(); n != 0 {
		t.Fatalf("the token endpoint saw %d requests", n)
	}
	if _, _, err := b.Finish(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if e := b.failure(c); e.Failure != vault.FlowState {
		t.Errorf("a reloaded callback: %s", e.Failure)
	}
	if n := b.vendor.requests(); n != 1 {
		t.Errorf("the token endpoint saw %d requests", n)
	}
}

// R23: the same callback twice at once is one token request.
func TestCallbackTwiceAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.allow(b.ticket(alice, agent, b.lack(request(alice, agent))), alice)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 8 {
		wg.Go(func() {
			if _, _, err := b.Finish(t.Context(), c); err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if won != 1 || b.vendor.requests() != 1 {
		t.Errorf("%d callbacks won, %d token requests", won, b.vendor.requests())
	}
}

// R06: a ticket is answered once; a foreign one changes nothing (R42); an expired one offers a new one to its owner.
func TestTicketLife(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tk := b.ticket(alice, agent, b.lack(request(alice, agent)))
	if _, err := b.Allow(t.Context(), answer(b, tk, bob)); !errors.Is(err, vault.ErrForeign) {
		t.Errorf("foreign allow: %v", err)
	}
	if _, err := b.Decline(t.Context(), b.Handle(tk), bob); !errors.Is(err, vault.ErrForeign) {
		t.Errorf("foreign decline: %v", err)
	}
	if _, err := b.TicketByID(t.Context(), bob.Caller, tk.ID); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("foreign look: %v", err)
	}
	if _, err := b.Ticket(t.Context(), "invented"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("invented: %v", err)
	}
	if again := b.ticket(alice, agent, b.lack(request(alice, agent))); again.ID != tk.ID {
		t.Error("the open ticket was not given again")
	}
	b.clock.add(25 * time.Hour)
	if got, err := b.Ticket(t.Context(), b.Handle(tk)); err != nil || got.State != vault.TicketExpired {
		t.Fatalf("after a day: %s, %v", got.State, err)
	}
	if _, err := b.Allow(t.Context(), answer(b, tk, alice)); !errors.Is(err, vault.ErrGone) {
		t.Errorf("expired allow: %v", err)
	}
	if _, err := b.AskAgain(t.Context(), b.Handle(tk), bob); !errors.Is(err, vault.ErrForeign) {
		t.Errorf("foreign ask again: %v", err)
	}
	fresh, err := b.AskAgain(t.Context(), b.Handle(tk), alice)
	if err != nil || fresh.ID == tk.ID || fresh.State != vault.TicketOpen {
		t.Errorf("ask again: %+v, %v", fresh, err)
	}
}

// R06: of two answers to the same page, one counts.
func TestAnswersRace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tk := b.ticket(alice, agent, b.lack(request(alice, agent)))
	shown, err := b.Ticket(t.Context(), b.Handle(tk))
	if err != nil {
		t.Fatal(err)
	}
	a := answer(b, tk, alice)
	a.Version = shown.Version
	if _, err := b.Allow(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Allow(t.Context(), a); !errors.Is(err, vault.ErrStale) {
		t.Errorf("second answer: %v", err)
	}
}

// Starting again voids the flow before: its callback stops before the token request.
func TestStartingAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tk := b.ticket(alice, agent, b.lack(request(alice, agent)))
	old := b.allow(tk, alice)
	fresh := b.allow(tk, alice)
	if e := b.failure(old); e.Failure != vault.FlowState || b.vendor.requests() != 0 {
		t.Errorf("the void flow: %s, %d requests", e.Failure, b.vendor.requests())
	}
	if _, _, err := b.Finish(t.Context(), fresh); err != nil {
		t.Error(err)
	}
}

// R14: after a decline no new dialog for two minutes, then four; the person's own way stays open.
func TestDeclineBacksOff(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	need := b.lack(request(alice, agent))
	if _, err := b.Decline(t.Context(), b.Handle(b.ticket(alice, agent, need)), alice); err != nil {
		t.Fatal(err)
	}
	ask := func(a vault.Agent) error {
		_, _, err := b.OpenTicket(t.Context(), vault.TicketRequest{Owner: alice, Agent: a, Need: need})
		return err
	}
	var back *vault.BackOffError
	if err := ask(agent); !errors.As(err, &back) {
		t.Fatalf("asking again at once: %v", err)
	}
	if err := ask(vault.Agent{}); err != nil {
		t.Errorf("the person's own way: %v", err)
	}
	if err := ask(vault.Agent{ID: "other"}); err != nil {
		t.Errorf("another agent: %v", err)
	}
	other := vault.Agent{ID: "third"}
	open := b.ticket(alice, other, need)
	if err := b.BackOff(t.Context(), alice.Caller, other, "files", true); err != nil {
		t.Fatal(err)
	}
	if err := ask(other); !errors.As(err, &back) {
		t.Errorf("an open ticket was shown although its dialog was just closed: %v", err)
	}
	b.clock.add(31 * time.Second)
	if again := b.ticket(alice, other, need); again.ID != open.ID {
		t.Error("after the back-off there is another link")
	}
	b.clock.add(2*time.Minute + time.Second)
	tk := b.ticket(alice, agent, need)
	c := b.allow(tk, alice)
	c.Code, c.Error = "", "access_denied"
	if e := b.failure(c); e.Failure != vault.FlowDenied {
		t.Fatalf("declined at the vendor: %s", e.Failure)
	}
	b.clock.add(3 * time.Minute)
	if err := ask(agent); !errors.As(err, &back) {
		t.Errorf("the second back-off did not double: %v", err)
	}
}

func TestTicketLimits(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *vault.Config) { c.Limits = vault.Limits{OpenTickets: 2, TicketsPerHour: 3} })
	var limit *vault.LimitError
	ask := func(scope string) error {
		_, _, err := b.OpenTicket(t.Context(), vault.TicketRequest{Owner: alice, Agent: agent, Need: &vault.ConsentError{
			Reason: vault.NotConnected, Options: []vault.Option{{Connection: "files", Scopes: []string{scope}, VendorNeeded: true}},
		}})
		return err
	}
	if err := errors.Join(ask("a"), ask("b")); err != nil {
		t.Fatal(err)
	}
	if err := ask("c"); !errors.As(err, &limit) || limit.What != "open_tickets" {
		t.Errorf("third open ticket: %v", err)
	}
	if err := ask("a"); err != nil {
		t.Errorf("the open one again: %v", err)
	}
}

func TestFewerScopesAndNoRefreshToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.set(func(v *vendor) { v.scopes = "openid" })
	tk := b.ticket(alice, agent, b.lack(request(alice, agent)))
	if e := b.failure(b.allow(tk, alice)); e.Failure != vault.FlowScopes || !slices.Equal(e.Missing, []string{"files.read"}) {
		t.Errorf("failure = %+v", e)
	}
	b.vendor.set(func(v *vendor) { v.scopes, v.noRT = "", true })
	if e := b.failure(b.allow(tk, alice)); e.Failure != vault.FlowNoRefresh {
		t.Errorf("failure = %+v", e)
	}
	if got, _ := b.Ticket(t.Context(), b.Handle(tk)); got.State != vault.TicketOpen || got.Failure != vault.FlowNoRefresh {
		t.Errorf("the ticket is %s (%s); its owner may try again", got.State, got.Failure)
	}
	b.vendor.set(func(v *vendor) { v.life = 0 }) // no end named: works without one
	if _, _, err := b.Finish(t.Context(), b.allow(tk, alice)); err != nil {
		t.Errorf("a token without an end needs no refresh token: %v", err)
	}
}

// R24: a token endpoint that fails or answers nonsense gets one request, and nothing is stored.
func TestRedeemFailures(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*vendor){
		"down":      func(v *vendor) { v.status = 503 },
		"truncated": func(v *vendor) { v.cut = true },
	} {
		b := newBench(t)
		b.vendor.set(set)
		c := b.allow(b.ticket(alice, agent, b.lack(request(alice, agent))), alice)
		if e := b.failure(c); e.Failure != vault.FlowUnreachable || b.vendor.requests() != 1 {
			t.Errorf("%s: %s after %d requests", name, e.Failure, b.vendor.requests())
		}
		if all, _ := b.Accounts(t.Context(), alice.Caller); len(all) != 0 {
			t.Errorf("%s: something was stored", name)
		}
	}
}
