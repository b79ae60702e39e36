package vault_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// crowd connects n people to the vendor, one account each.
func (b *bench) crowd(n int) (people []vault.Person) {
	b.t.Helper()
	for i := range n {
		p := somebody("user-" + string(rune('a'+i)))
		b.vendor.set(func(v *vendor) { v.account, v.email = p.Subject, p.Email })
		b.connect(p, agent)
		people = append(people, p)
	}
	return people
}

func (b *bench) lackOf(p vault.Person) *vault.ConsentError {
	b.t.Helper()
	return b.lack(request(p, agent))
}

// G10: a vendor that failed five times in a row, for whomever, is left alone: a
// minute, then twice as long each time up to 30. One grant tries for all.
func TestBreakerOfAConnection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people := b.crowd(8)
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.status, v.retry = 503, "1" })
	before := b.vendor.requests()
	for _, p := range people {
		if e := b.lackOf(p); e.Reason != vault.ProviderUnreachable || e.RetryAfter <= 0 {
			t.Errorf("lack = %+v", e)
		}
	}
	if n := b.vendor.requests() - before; n != 5 {
		t.Fatalf("%d requests before the breaker opened", n)
	}
	last, err := b.Account(t.Context(), people[7].Caller, people[7].Email)
	if err != nil || last.LastError != "connection_down" || !last.NextTry.After(b.clock.Now()) || last.State != vault.GrantActive {
		t.Errorf("an account that was not tried: %+v, %v", last, err)
	}
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		b.clock.add(pause*time.Minute - time.Second)
		for _, p := range people {
			b.lackOf(p)
		}
		if n := b.vendor.requests() - before; n != 5 {
			t.Fatalf("%d requests within a pause of %d minutes", n-5, pause)
		}
		b.clock.add(2 * time.Second)
		for _, p := range people[5:] {
			b.lackOf(p)
		}
		if n := b.vendor.requests() - before; n != 6 {
			t.Fatalf("%d requests after %d minutes, want one", n-5, pause)
		}
		before++
	}
	b.vendor.set(func(v *vendor) { v.noRT, v.status = true, 0 })
	b.clock.add(31 * time.Minute)
	for _, p := range people[:1] {
		if tok, err := b.Exchange(t.Context(), request(p, agent)); err == nil && tok.Generation != 2 {
			t.Errorf("generation %d", tok.Generation)
		}
	}
}

// An open breaker stops no token that lives.
func TestBreakerServesWhatLives(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people := b.crowd(6)
	b.vendor.set(func(v *vendor) { v.status, v.retry = 503, "1" })
	b.clock.add(59*time.Minute + 30*time.Second)
	before := b.vendor.requests()
	for range 2 {
		for _, p := range people {
			if tok, err := b.Exchange(t.Context(), request(p, agent)); err != nil || tok.Generation != 1 {
				t.Errorf("exchange: %+v, %v", tok, err)
			}
		}
	}
	if n := b.vendor.requests() - before; n != 5 {
		t.Errorf("%d requests", n)
	}
}

// invalid_client is the operator's: loud, once in a while, never a consent, and
// without a breaker; a token that lives still serves. Neither does invalid_grant open the breaker.
func TestMisconfigured(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"invalid_client", "unauthorized_client"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			people := b.crowd(7)
			b.vendor.set(func(v *vendor) { v.refuse = code })
			b.clock.add(59*time.Minute + 30*time.Second)
			if _, err := b.Exchange(t.Context(), request(people[0], agent)); err != nil {
				t.Errorf("a living token: %v", err)
			}
			b.clock.add(time.Hour)
			before := b.vendor.requests()
			for range 3 {
				for _, p := range people {
					if e := b.lackOf(p); e.Reason != vault.ConnMisconfigured || e.Reason.Mendable() || e.RetryAfter <= 0 {
						t.Errorf("lack = %+v", e)
					}
				}
			}
			if n := b.vendor.requests() - before; n != 7 {
				t.Errorf("%d requests of 7 accounts", n)
			}
			if n := strings.Count(b.log.String(), "refuses the client registration"); n != 2 {
				t.Errorf("the log has it %d times", n)
			}
			all, err := b.AllAccounts(t.Context())
			if err != nil || len(all) != 7 || all[3].State != vault.GrantActive || all[3].LastError != code || all[3].NextTry.IsZero() {
				t.Errorf("accounts = %+v, %v", all, err)
			}
			b.clock.add(time.Minute)
			b.vendor.set(func(v *vendor) { v.refuse = "" })
			if tok, err := b.Exchange(t.Context(), request(people[6], agent)); err != nil || tok.Generation != 2 {
				t.Errorf("after it was mended: %+v, %v", tok, err)
			}
		})
	}
	b := newBench(t)
	people := b.crowd(8)
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.live = "another" })
	for _, p := range people {
		if e := b.lackOf(p); e.Reason != vault.Revoked {
			t.Errorf("lack = %+v", e)
		}
	}
}

// shifted is a store whose clock is another than the process's.
type shifted struct {
	vault.Store
	now func() int64
}

func (s shifted) Update(ctx context.Context, fn func(vault.Tx) error) error {
	return s.Store.Update(ctx, func(tx vault.Tx) error { return fn(shiftedTx{tx, s.now}) })
}

func (s shifted) View(ctx context.Context, fn func(vault.Tx) error) error {
	return s.Store.View(ctx, func(tx vault.Tx) error { return fn(shiftedTx{tx, s.now}) })
}

type shiftedTx struct {
	vault.Tx
	now func() int64
}

func (t shiftedTx) Vault() vault.VaultRows { return shiftedRows{t.Tx.Vault(), t.now} }

type shiftedRows struct {
	vault.VaultRows
	now func() int64
}

func (r shiftedRows) Now() (int64, error) { return r.now(), nil }

// Leases and pauses are on the store's clock: a process whose own clock is a day ahead takes over nobody's lease.
func TestLeasesOnTheStoresClock(t *testing.T) {
	t.Parallel()
	at := int64(1_700_000_000_000)
	var clock atomic.Int64
	clock.Store(at)
	b := newBench(t, func(c *vault.Config) { c.Store = shifted{c.Store, clock.Load} })
	acc := b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	if tok := b.token(request(alice, agent)); tok.Generation != 2 || b.row(acc.ID).AttemptAt != at {
		t.Errorf("generation %d, tried at %d", tok.Generation, b.row(acc.ID).AttemptAt)
	}
	g := b.row(acc.ID)
	err := b.store.Update(t.Context(), func(tx vault.Tx) error {
		return tx.Grants().Lease(g.ID, g.Gen, g.LeaseSeq, vault.Lease{Owner: "other", Seq: g.LeaseSeq + 1, Until: at + 30000, AttemptAt: at, Phase: "sent"})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.clock.add(24 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	before := b.vendor.requests()
	if _, err := b.Exchange(ctx, request(alice, agent)); err == nil || b.vendor.requests() != before {
		t.Error("a lease that runs by the store's clock was ignored")
	}
	at += 31_000
	clock.Store(at)
	b.vendor.set(func(v *vendor) { v.status, v.retry = 503, "60" })
	b.lack(request(alice, agent))
	if wait := b.row(acc.ID).NextTry - at; wait < 60_000 || wait > 66_000 {
		t.Errorf("next try in %d ms of the store's clock", wait)
	}
}
