package vault_test

import (
	"errors"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// refusedStopped wants err to say what was stopped.
func refusedStopped(t *testing.T, err error, want vault.StopScope) {
	t.Helper()
	var stopped *vault.StoppedError
	if !errors.As(err, &stopped) || stopped.StopScope != want || stopped.Since.IsZero() {
		t.Errorf("%v, want a StoppedError of %+v", err, want)
	}
}

// asks is what an agent's call comes to that lacks something.
func (b *bench) asks(v *vault.Vault, p vault.Person, a vault.Agent) error {
	b.t.Helper()
	_, err := v.Exchange(b.t.Context(), request(p, a))
	var lack *vault.ConsentError
	if !errors.As(err, &lack) {
		b.t.Fatalf("exchange: %v", err)
	}
	_, _, err = v.OpenTicket(b.t.Context(), vault.TicketRequest{Owner: p, Agent: a, Tool: "files_list", Need: lack})
	return err
}

// What is stopped is over at once, in every process: nothing is released, no link is given
// and an open one is closed, until the person lets it go on. Then agents ask again.
func TestStop(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scope func(b *bench, acc vault.Account) vault.StopScope
		other bool // another agent is stopped, too
	}{
		"agent":   {func(b *bench, _ vault.Account) vault.StopScope { return vault.StopScope{Agent: b.AgentKey(agent)} }, false},
		"account": {func(_ *bench, acc vault.Account) vault.StopScope { return vault.StopScope{Account: acc.ID} }, true},
		"all":     {func(*bench, vault.Account) vault.StopScope { return vault.StopScope{} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			acc := b.connect(alice, agent)
			b.let(older)
			second := b.open("p2")
			open := b.ticket(alice, agent, b.lack(request(alice, agent, writes)))
			scope := test.scope(b, acc)
			if _, err := second.Exchange(t.Context(), request(alice, agent)); err != nil {
				t.Fatal(err)
			}
			out, err := b.Stop(t.Context(), alice.Caller, scope)
			if err != nil || out.Access != map[bool]int{false: 1, true: 2}[test.other] || out.Tickets != 1 {
				t.Fatalf("stopped %+v, %v", out, err)
			}
			for _, v := range []*vault.Vault{b.Vault, second} {
				refusedStopped(t, b.asks(v, alice, agent), scope)
			}
			if test.other {
				refusedStopped(t, b.asks(b.Vault, alice, older), scope)
			} else {
				b.token(request(alice, older))
			}
			if tk, err := b.TicketByID(t.Context(), alice.Caller, open.ID); err != nil || tk.State != vault.TicketDeclined {
				t.Errorf("the open ticket is %s, %v", tk.State, err)
			}
			if stops, err := b.Stops(t.Context(), alice.Caller); err != nil || len(stops) != 1 || stops[0].StopScope != scope {
				t.Errorf("stops %+v, %v", stops, err)
			}
			b.clock.add(200 * 24 * time.Hour)
			refusedStopped(t, b.asks(b.Vault, alice, agent), scope)
			if err := b.Resume(t.Context(), alice.Caller, scope); err != nil {
				t.Fatal(err)
			}
			if e := b.lack(request(alice, agent)); e.Reason != vault.AgentNotAllowed {
				t.Errorf("access came back: %s", e.Reason)
			}
			b.let(agent)
			b.token(request(alice, agent))
			if err := b.Resume(t.Context(), alice.Caller, scope); !errors.Is(err, vault.ErrNotFound) {
				t.Errorf("again: %v", err)
			}
			if b.audited("person.stopped") != 1 || b.audited("person.resumed") != 1 {
				t.Error("a stop or its end is not in the audit")
			}
		})
	}
}

var writes = provider.Need{Provider: "oauth2", Groups: [][]string{{"files.write"}}}

// An answer that comes after the stop gives nothing: neither the page that was open, nor the vendor's callback.
func TestStopOvertakesAnAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	page := b.ticket(alice, older, b.lack(request(alice, older)))
	visit := b.allow(b.ticket(alice, agent, b.lack(request(alice, agent, writes))), alice)
	if _, err := b.Stop(t.Context(), alice.Caller, vault.StopScope{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Allow(t.Context(), answer(b, page, alice)); !errors.Is(err, vault.ErrGone) {
		t.Errorf("the page: %v", err)
	}
	if e := b.failure(visit); e.Failure != vault.FlowState {
		t.Errorf("the callback: %s", e.Failure)
	}
	if _, err := b.visitOwn(alice); err != nil {
		t.Errorf("the person's own connecting: %v", err)
	}
}

// Who is stopped stays in sight, also without any access, so that the person can let it go on.
func TestStoppedAgentIsListed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.let(older)
	if _, err := b.Stop(t.Context(), alice.Caller, vault.StopScope{Agent: b.AgentKey(older)}); err != nil {
		t.Fatal(err)
	}
	since := b.clock.Now()
	b.clock.add(time.Hour)
	if _, err := b.Stop(t.Context(), alice.Caller, vault.StopScope{Agent: b.AgentKey(older)}); err != nil {
		t.Fatalf("twice: %v", err)
	}
	all, err := b.Agents(t.Context(), alice.Caller)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, k := range all {
		if stopped := k.Agent.ID == older.ID; stopped != k.Stopped.Equal(since) || k.Agent.Name == "" {
			t.Errorf("agent %+v", k)
		}
	}
}

// R42: nobody stops what is another's, and no stop holds for another.
func TestR42StopIsOnesOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	for _, s := range []vault.StopScope{{Account: acc.ID}, {Agent: b.AgentKey(agent)}, {Account: "unknown"}} {
		if _, err := b.Stop(t.Context(), bob.Caller, s); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if _, err := b.Stop(t.Context(), bob.Caller, vault.StopScope{}); err != nil {
		t.Fatal(err)
	}
	b.token(request(alice, agent))
	if err := b.Resume(t.Context(), alice.Caller, vault.StopScope{}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("alice lets bob's go on: %v", err)
	}
}

// Deleting a user takes their stops along.
func TestStopGoesWithItsUser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.Stop(t.Context(), alice.Caller, vault.StopScope{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.DeleteUser(t.Context(), b.Pseudonym(alice.Caller)); err != nil {
		t.Fatal(err)
	}
	if stops, err := b.Stops(t.Context(), alice.Caller); err != nil || len(stops) != 0 {
		t.Errorf("%+v, %v", stops, err)
	}
}

// What was approved and did not run, what stands, and what is asked for: a stop voids them all.
func TestStopVoidsApprovals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.approve(b.ask(alice, agent, write(`{"n":1}`)), alice, vault.ApproveHour)
	open := b.ask(alice, agent, write(`{"n":2}`))
	first := b.approved(alice, agent, write(`{"n":1}`))
	if first == "" {
		t.Fatal("nothing was approved")
	}
	if out, err := b.Stop(t.Context(), alice.Caller, vault.StopScope{Agent: b.AgentKey(agent)}); err != nil || out.Tickets != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	if err := b.Resume(t.Context(), alice.Caller, vault.StopScope{Agent: b.AgentKey(agent)}); err != nil {
		t.Fatal(err)
	}
	b.let(agent)
	for _, w := range []string{`{"n":1}`, `{"n":2}`} {
		if id := b.approved(alice, agent, write(w)); id != "" {
			t.Errorf("%s may run under %s", w, id)
		}
	}
	b.refused(writing(alice, agent, "c1", first))
	for _, id := range []string{first, open.Approval} {
		if a, err := b.Approval(t.Context(), alice.Caller, id); err != nil || a.State != vault.ApprovalDeclined {
			t.Errorf("approval %s is %s, %v", id, a.State, err)
		}
	}
	if all, err := b.StandingApprovals(t.Context(), alice.Caller); err != nil || len(all) != 0 {
		t.Errorf("standing: %+v, %v", all, err)
	}
}

// An agent that its person names for an account of theirs gets no access to it while it is stopped, be it before or after their visit to the vendor.
func TestStoppedAgentIsNotLetIn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	own := func() (vault.Start, error) {
		tk, _, err := b.OpenTicket(t.Context(), vault.TicketRequest{Owner: alice, Need: &vault.ConsentError{
			Reason: vault.NotConnected, Options: []vault.Option{{Connection: "files", Grant: acc.ID, Scopes: []string{"files.read"}, VendorNeeded: true}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		ans := answer(b, tk, alice)
		ans.Agents = []string{b.AgentKey(older)}
		return b.Allow(t.Context(), ans)
	}
	b.let(older)
	s, err := own()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Stop(t.Context(), alice.Caller, vault.StopScope{Account: acc.ID}); err != nil {
		t.Fatal(err)
	}
	if _, got, err := b.Finish(t.Context(), callback(t, s, alice)); err != nil || got.ID != acc.ID {
		t.Errorf("the person's account: %+v, %v", got, err)
	}
	if list, err := b.AccessList(t.Context(), alice.Caller); err != nil || len(list) != 0 {
		t.Errorf("access while stopped: %+v, %v", list, err)
	}
	b.vendor.set(func(v *vendor) { v.account = "acc-2" })
	second, err := b.visitOwn(alice)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Resume(t.Context(), alice.Caller, vault.StopScope{Account: acc.ID}); err != nil {
		t.Fatal(err)
	}
	r := request(alice, older)
	r.Account = second.ID
	if s, err := b.Allow(t.Context(), answer(b, b.ticket(alice, older, b.lack(r)), alice)); err != nil || s.AuthURL != "" {
		t.Fatal(err)
	}
	if _, err := b.Stop(t.Context(), alice.Caller, vault.StopScope{Account: acc.ID}); err != nil {
		t.Fatal(err)
	}
	_, err = own()
	refusedStopped(t, err, vault.StopScope{Account: acc.ID})
}

// visitOwn is a person's own connecting, for nobody.
func (b *bench) visitOwn(p vault.Person) (vault.Account, error) {
	b.t.Helper()
	tk, _, err := b.OpenTicket(b.t.Context(), vault.TicketRequest{Owner: p, Need: &vault.ConsentError{
		Reason: vault.NotConnected, Options: []vault.Option{{Connection: "files", Scopes: []string{"files.read"}, VendorNeeded: true}},
	}})
	if err != nil {
		return vault.Account{}, err
	}
	_, acc, err := b.Finish(b.t.Context(), b.allow(tk, p))
	return acc, err
}
