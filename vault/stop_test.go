package vault_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/storetest"
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
	own, _, err := b.OpenTicket(t.Context(), vault.TicketRequest{Owner: alice, Need: &vault.ConsentError{
		Reason: vault.NotConnected, Options: []vault.Option{{Connection: "files", Scopes: []string{"files.read"}, VendorNeeded: true}},
	}})
	if err != nil {
		t.Fatalf("the person's own connecting: %v", err)
	}
	if _, _, err := b.Finish(t.Context(), b.allow(own, alice)); err != nil {
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

// guarded is a call in flight of the second process that has a token.
func guarded(t *testing.T, v *vault.Vault, p vault.Person, a vault.Agent, r vault.Request) (context.Context, *vault.Guard) {
	t.Helper()
	ctx, g := v.Guard(t.Context(), p.Caller, a)
	t.Cleanup(g.End)
	tok, err := v.Exchange(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	g.Uses(tok.Grant)
	return ctx, g
}

// R64: whatever takes access away, in whichever process, ends the calls that run under it within 5 s.
func TestR64CallsInFlightEnd(t *testing.T) {
	t.Parallel()
	for place, server := range map[string]func(*testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": storetest.Postgres} {
		for name, act := range map[string]func(b *bench, acc vault.Account) error{
			"stop": func(b *bench, acc vault.Account) error {
				_, err := b.Stop(t.Context(), alice.Caller, vault.StopScope{Account: acc.ID})
				return err
			},
			"access": func(b *bench, _ vault.Account) error {
				return b.RevokeAccess(t.Context(), alice.Caller, b.access(alice, agent).ID)
			},
			"disconnect": func(b *bench, acc vault.Account) error {
				_, err := b.Disconnect(t.Context(), alice.Caller, acc.ID)
				return err
			},
		} {
			t.Run(place+"/"+name, func(t *testing.T) {
				t.Parallel()
				b := newBenchOn(t, server(t))
				acc := b.connect(alice, agent)
				second := b.open("p2")
				b.vendor.set(func(v *vendor) { v.account, v.email = "acc-bob", bob.Email })
				b.connect(bob, agent)
				hit, _ := guarded(t, second, alice, agent, request(alice, agent))
				here, _ := guarded(t, b.Vault, alice, agent, request(alice, agent))
				spared, _ := guarded(t, second, bob, agent, request(bob, agent))
				idle, g := second.Guard(t.Context(), alice.Caller, agent) // holds no token
				t.Cleanup(g.End)
				time.Sleep(1500 * time.Millisecond) // it has been looked at, and found in order
				if hit.Err() != nil || here.Err() != nil {
					t.Fatal("cancelled before")
				}
				if err := act(b, acc); err != nil {
					t.Fatal(err)
				}
				for where, ctx := range map[string]context.Context{"here": here, "in the other process": hit} {
					select {
					case <-ctx.Done():
					case <-time.After(5 * time.Second):
						t.Fatalf("a call %s goes on", where)
					}
					var stopped *vault.StoppedError
					if cause := context.Cause(ctx); errors.As(cause, &stopped) != (name == "stop") || name != "stop" && !errors.Is(cause, vault.ErrRevoked) {
						t.Errorf("%s: %v", where, cause)
					}
				}
				if spared.Err() != nil || idle.Err() != nil {
					t.Error("a call was cancelled that does not use it")
				}
			})
		}
	}
}

// Access for one call is spent by that call, and runs out while it runs: neither ends it. Its end ends the watch.
func TestGuardOfAccessForOneCall(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.let(older, func(a *vault.Answer) { a.Once = true })
	ctx, g := guarded(t, b.Vault, alice, older, request(alice, older))
	b.clock.add(time.Hour)
	if err := b.SetDefault(t.Context(), alice.Caller, acc.ID); err != nil { // the epoch moves
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	if ctx.Err() != nil {
		t.Errorf("cancelled: %v", context.Cause(ctx))
	}
	g.End()
	g.End()
	if !errors.Is(context.Cause(ctx), context.Canceled) {
		t.Errorf("after its end: %v", context.Cause(ctx))
	}
}

// A token that was handed out a moment before its access went, and noted a moment after, is watched all the same.
func TestGuardHearsOfUseLate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	ctx, g := b.Guard(t.Context(), alice.Caller, agent)
	t.Cleanup(g.End)
	tok := b.token(request(alice, agent))
	if err := b.RevokeAccess(t.Context(), alice.Caller, b.access(alice, agent).ID); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // the look that the revocation asked for is over
	g.Uses(tok.Grant)
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Error("the call goes on")
	}
}
