package vault_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// Of calls at the same time one has access that was given for one call; its own exchanges all go through.
func TestOnceIsOneCall(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(i int) string{
		"calls":            func(i int) string { return "call-" + string(rune('a'+i)) },
		"calls without id": func(int) string { return "" },
		"a call named like the state": func(i int) string {
			return []string{"open", "x"}[i%2]
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.connectOnce()
			var won sync.Map
			var n atomic.Int64
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					r := request(alice, agent)
					r.Call = call(i)
					if _, err := b.Exchange(t.Context(), r); err == nil {
						won.Store(r.Call, true)
						n.Add(1)
					}
				})
			}
			wg.Wait()
			ids := 0
			won.Range(func(any, any) bool { ids++; return true })
			if ids != 1 || name != "a call named like the state" && n.Load() != 1 {
				t.Errorf("%d exchanges of %d calls went through", n.Load(), ids)
			}
			b.clock.add(11 * time.Minute)
			if e := b.lack(request(alice, agent)); e.Reason != vault.AgentNotAllowed {
				t.Errorf("after its time: %s", e.Reason)
			}
		})
	}
	b := newBench(t)
	b.connectOnce()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := b.Exchange(t.Context(), request(alice, agent)); err != nil {
				t.Errorf("an exchange of the one call: %v", err)
			}
		})
	}
	wg.Wait()
}

func (b *bench) connectOnce() {
	b.t.Helper()
	a := answer(b, b.ticket(alice, agent, b.lack(request(alice, agent))), alice)
	a.Once = true
	s, err := b.Allow(b.t.Context(), a)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, _, err := b.Finish(b.t.Context(), callback(b.t, s, alice)); err != nil {
		b.t.Fatal(err)
	}
}

// A revocation during a refresh wins: the late token is not kept, and goes back to the vendor.
func TestRevokeDuringRefresh(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	other := b.open("p2")
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) {
		v.onToken = func() {
			if _, err := other.Revoke(t.Context(), alice.Caller, acc.ID); err != nil {
				t.Error(err)
			}
		}
	})
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked {
		t.Fatalf("lack = %+v", e)
	}
	if g := b.row(acc.ID); g.AccessCT != nil || g.RefreshCT != nil || g.AltCT != nil || g.State != string(vault.GrantRevoked) {
		t.Errorf("the row came back: %s", g.State)
	}
	b.vendor.set(func(v *vendor) {
		if !slices.Contains(v.revoked, v.live) {
			t.Error("the late token is alive at the vendor")
		}
	})
}

// A reconnection during a refresh wins, and the account goes on with its tokens.
func TestReconnectDuringRefresh(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	other := b.open("p2")
	b.clock.add(2 * time.Hour)
	var begun atomic.Bool
	var live string
	b.vendor.set(func(v *vendor) {
		v.onToken = func() {
			if !begun.Swap(true) {
				need := &vault.ConsentError{Reason: vault.Revoked, Options: []vault.Option{{
					Connection: "files", Scopes: []string{"files.read"}, Grant: acc.ID, VendorNeeded: true,
				}}}
				if _, _, err := other.Finish(t.Context(), b.allow(b.ticket(alice, agent, need), alice)); err != nil {
					t.Error(err)
				}
				v.set(func(v *vendor) { live = v.live })
			}
		}
	})
	tok := b.token(request(alice, agent))
	if tok.Generation != 2 || b.row(acc.ID).State != string(vault.GrantActive) {
		t.Errorf("generation %d, state %s", tok.Generation, b.row(acc.ID).State)
	}
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.live, v.onToken = live, nil })
	if tok := b.token(request(alice, agent)); tok.Generation != 3 {
		t.Errorf("the reconnected account does not refresh: generation %d", tok.Generation)
	}
}

// G6: who was frozen beyond its lease and is then refused neither ends the grant nor frees the other's lease.
func TestLateRefusalEndsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	other := b.open("p2")
	b.clock.add(2 * time.Hour)
	var n atomic.Int64
	var live string
	second, refused := make(chan struct{}), make(chan struct{})
	answered := make(chan error, 1)
	b.vendor.set(func(v *vendor) {
		live = v.live
		v.onToken = func() {
			if n.Add(1) > 1 {
				close(second)
				<-refused
				v.set(func(v *vendor) { v.live = live })
				return
			}
			b.clock.add(31 * time.Second) // frozen for longer than the lease
			go func() { _, err := other.Exchange(t.Context(), request(alice, agent)); answered <- err }()
			<-second
			v.set(func(v *vendor) { v.live = "spent by the other" })
			time.AfterFunc(300*time.Millisecond, func() { close(refused) })
		}
	})
	if tok := b.token(request(alice, agent)); tok.Generation != 2 {
		t.Errorf("generation %d", tok.Generation)
	}
	if err := <-answered; err != nil || b.row(acc.ID).State != string(vault.GrantActive) || n.Load() != 2 {
		t.Errorf("the other: %v, state %s, %d sends", err, b.row(acc.ID).State, n.Load())
	}
}

// One refused release does not take those down that share its transaction.
func TestOneOfAGroupIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.vendor.set(func(v *vendor) { v.account, v.email = "acc-2", "bob@example.com" })
	b.connect(bob, agent)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if tok, err := b.Exchange(t.Context(), request(bob, agent)); err != nil || tok.Account != "bob@example.com" {
					t.Errorf("bob: %+v, %v", tok, err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for {
			if _, err := b.Exchange(t.Context(), request(alice, agent)); err != nil {
				var e *vault.ConsentError
				if !errors.As(err, &e) || e.Reason != vault.Revoked {
					t.Errorf("alice: %v", err)
				}
				return
			}
		}
	})
	time.Sleep(50 * time.Millisecond)
	if _, err := b.Revoke(t.Context(), alice.Caller, acc.ID); err != nil {
		t.Error(err)
	}
	time.Sleep(50 * time.Millisecond)
	close(stop)
	wg.Wait()
	b.audited("token.released")
}
