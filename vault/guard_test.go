package vault_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

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
