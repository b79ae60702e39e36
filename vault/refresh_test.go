package vault_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// G1, G6: many callers in several processes on one expired single-use grant are one spend, and all are served.
func TestRefreshOnceForAll(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.vendor.set(func(v *vendor) { v.delay = 50 * time.Millisecond })
	b.clock.add(2 * time.Hour)
	before := b.vendor.requests()
	vaults := []*vault.Vault{b.Vault, b.open("p2"), b.open("p3")}
	var wg sync.WaitGroup
	for _, v := range vaults {
		for range 20 {
			wg.Go(func() {
				tok, err := v.Exchange(t.Context(), request(alice, agent))
				if err != nil || tok.Generation != 2 {
					t.Errorf("exchange: %+v, %v", tok, err)
				}
			})
		}
	}
	wg.Wait()
	if n := b.vendor.requests() - before; n != 1 || b.vendor.worstSpend() != 1 {
		t.Errorf("%d refreshes, one token sent %d times", n, b.vendor.worstSpend())
	}
}

// G3: a caller that goes away does not take the rotated token with it.
func TestCallerGoesAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	b.vendor.set(func(v *vendor) { v.onToken = cancel; v.delay = 30 * time.Millisecond })
	if _, err := b.Exchange(ctx, request(alice, agent)); !errors.Is(err, context.Canceled) {
		t.Fatalf("exchange: %v", err)
	}
	if err := b.Vault.Close(); err != nil { // waits for the commit
		t.Fatal(err)
	}
	b.vendor.set(func(v *vendor) { v.onToken = nil })
	if tok := b.token(request(alice, agent)); tok.Generation != 2 || b.vendor.worstSpend() != 1 {
		t.Errorf("generation %d, one token sent %d times", tok.Generation, b.vendor.worstSpend())
	}
}

// G8: an answer without a refresh token keeps the old one.
func TestRefreshWithoutRotation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.vendor.set(func(v *vendor) { v.noRT = true })
	for gen := int64(2); gen < 4; gen++ {
		b.clock.add(2 * time.Hour)
		if tok := b.token(request(alice, agent)); tok.Generation != gen {
			t.Errorf("generation %d, want %d", tok.Generation, gen)
		}
	}
}

// A refused refresh token is a person's matter; a dead vendor is nobody's fault, and is left alone for 30 s (G10).
func TestRefreshRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.status = 502 })
	before := b.vendor.requests()
	for range 5 {
		e := b.lack(request(alice, agent))
		if e.Reason != vault.ProviderUnreachable || e.Reason.Mendable() || e.RetryAfter <= 0 {
			t.Fatalf("lack = %+v", e)
		}
	}
	if n := b.vendor.requests() - before; n != 2 { // the second 2 s after the first
		t.Errorf("a dead vendor saw %d requests", n)
	}
	b.clock.add(34 * time.Second)
	b.vendor.set(func(v *vendor) { v.status = 0; v.live = "another" })
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked || !e.Reason.Mendable() {
		t.Fatalf("lack = %+v", e)
	}
	all, err := b.Accounts(t.Context(), alice.Caller)
	if err != nil || all[0].State != vault.GrantRevoked || !all[0].Taken || all[0].LastError != "invalid_grant" {
		t.Errorf("account = %+v, %v", all, err)
	}
}

// A refresh token that nobody used for long has run out rather than been taken back.
func TestRefreshRefusedAfterALongTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *vault.Config) { c.AccessTTL = 365 * 24 * time.Hour })
	b.connect(alice, agent)
	b.clock.add(61 * 24 * time.Hour)
	b.vendor.set(func(v *vendor) { v.live = "another" })
	if e := b.lack(request(alice, agent)); e.Reason != vault.Expired {
		t.Errorf("lack = %+v", e)
	}
}

// While the vendor is down, a token with some life left still serves.
func TestOutageServesWhatLives(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.clock.add(59*time.Minute + 30*time.Second) // inside the margin of a minute
	b.vendor.set(func(v *vendor) { v.status = 503 })
	if tok := b.token(request(alice, agent)); tok.Generation != 1 {
		t.Errorf("generation %d", tok.Generation)
	}
}

// G9: a 401 of the API on the current generation forces one refresh; on an older one the newer token is enough.
func TestForcedRefresh(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	first := b.token(request(alice, agent))
	r := request(alice, agent)
	r.Stale = &first.Bearer
	second := b.token(r)
	if second.Generation != 2 || second.Token.Reveal() == first.Token.Reveal() {
		t.Fatalf("generation %d", second.Generation)
	}
	before := b.vendor.requests()
	if third := b.token(r); third.Generation != 2 || b.vendor.requests() != before {
		t.Error("a stale bearer of an older generation forced another refresh")
	}
	for range 30 { // at most 10 a minute
		tok, err := b.Exchange(t.Context(), r)
		if err != nil {
			break
		}
		r.Stale = &tok.Bearer
	}
	if n := b.vendor.requests() - before; n > 10 {
		t.Errorf("%d forced refreshes in a minute", n)
	}
}

// A lease of a process that is gone is taken over at once; that of a living one is waited for.
func TestLeaseOfADeadProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	err := b.store.Update(t.Context(), func(tx vault.Tx) error {
		g, err := tx.Grants().Get(acc.ID)
		if err != nil {
			return err
		}
		now := vault.Millis(b.clock.Now())
		return tx.Grants().Lease(g.ID, g.Gen, g.LeaseSeq, vault.Lease{Owner: "dead", Seq: g.LeaseSeq + 1, Until: now + 30000, AttemptAt: now, Phase: "sent"})
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := b.Exchange(ctx, request(alice, agent)); err == nil {
		t.Fatal("a living process's lease was ignored")
	}
	v := b.open("p2", func(c *vault.Config) { c.OwnerDead = func(id string) bool { return id == "dead" } })
	if tok, err := v.Exchange(t.Context(), request(alice, agent)); err != nil || tok.Generation != 2 {
		t.Errorf("after the owner's death: %+v, %v", tok, err)
	}
}
