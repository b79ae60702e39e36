package vault_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// twice is an account that was refreshed once: its row has an alternate, the token before.
func twice(t *testing.T) (b *bench, acc vault.Account, alternate string) {
	t.Helper()
	b = newBench(t)
	acc = b.connect(alice, agent)
	b.vendor.set(func(v *vendor) { alternate = v.live })
	b.clock.add(2 * time.Hour)
	b.token(request(alice, agent))
	if b.row(acc.ID).AltCT == nil {
		t.Fatal("no alternate")
	}
	return b, acc, alternate
}

// §4.4, step 10: where the vendor refuses the token but still knows the one before, the grant lives on.
func TestAlternateSaves(t *testing.T) {
	t.Parallel()
	b, acc, alternate := twice(t)
	b.vendor.set(func(v *vendor) { v.live = alternate }) // as after a restore at the vendor
	b.clock.add(2 * time.Hour)
	if tok := b.token(request(alice, agent)); tok.Generation != 3 {
		t.Errorf("generation %d", tok.Generation)
	}
	if g := b.row(acc.ID); g.State != string(vault.GrantActive) || g.FailCount != 0 || b.audited("grant.alternate") != 1 {
		t.Errorf("row: %s, %d failures", g.State, g.FailCount)
	}
	b.clock.add(2 * time.Hour)
	if tok := b.token(request(alice, agent)); tok.Generation != 4 {
		t.Errorf("then generation %d", tok.Generation)
	}
}

// An alternate is tried once, also across processes and crashes; then it is a person's matter.
func TestAlternateIsTriedOnce(t *testing.T) {
	t.Parallel()
	b, acc, alternate := twice(t)
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.live = "another" })
	before := b.vendor.requests()
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked {
		t.Errorf("lack = %+v", e)
	}
	if n := b.vendor.requests() - before; n != 2 {
		t.Errorf("%d requests", n)
	}
	b.change(acc.ID, func(g *vault.GrantRow) { g.State = string(vault.GrantActive) })
	b.clock.add(time.Hour)
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked {
		t.Errorf("then %+v", e)
	}
	b.vendor.set(func(v *vendor) {
		if v.sent[alternate] != 3 { // as the living one, as the alternate, as what is left in the row
			t.Errorf("the alternate was sent %d times", v.sent[alternate])
		}
	})
	if b.row(acc.ID).AltCT != nil {
		t.Error("there still is an alternate")
	}
}

// An alternate is good for 24 hours: not sent afterwards, and gone at the next write.
func TestAlternateExpires(t *testing.T) {
	t.Parallel()
	b, acc, alternate := twice(t)
	b.clock.add(25 * time.Hour)
	b.vendor.set(func(v *vendor) { v.live = alternate })
	before := b.vendor.requests()
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked || b.vendor.requests()-before != 1 {
		t.Errorf("lack = %+v after %d requests", e, b.vendor.requests()-before)
	}
	b, acc, _ = twice(t)
	b.clock.add(25 * time.Hour)
	b.vendor.set(func(v *vendor) { v.noRT = true })
	if b.token(request(alice, agent)); b.row(acc.ID).AltCT != nil {
		t.Error("an alternate of yesterday is still there")
	}
	b, acc, _ = twice(t)
	b.clock.add(25 * time.Hour)
	if err := b.EraseAlternates(t.Context()); err != nil || b.row(acc.ID).AltCT != nil || b.row(acc.ID).RefreshCT == nil {
		t.Errorf("erasing: %v", err)
	}
}

// G6, G12: a process that was frozen while it held the answer does not overwrite
// what came later; its token becomes the alternate, and at most one more request went out.
func TestFrozenOwnerLosesNothing(t *testing.T) {
	t.Parallel()
	f, with := broken(t)
	b := newBench(t, with)
	acc := b.connect(alice, agent)
	other := b.open("p2")
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.grace = true })
	before := b.vendor.requests()
	var begun atomic.Bool
	answered := make(chan error, 1)
	b.vendor.set(func(v *vendor) {
		v.onToken = func() {
			if begun.Swap(true) {
				return
			}
			f.once(func() { // frozen between the answer and its storing
				b.clock.add(time.Minute)
				_, err := other.Exchange(t.Context(), request(alice, agent))
				answered <- err
			})
		}
	})
	tok := b.token(request(alice, agent))
	if err := <-answered; err != nil || tok.Generation != 2 {
		t.Errorf("generation %d, the other: %v", tok.Generation, err)
	}
	g := b.row(acc.ID)
	if n := b.vendor.requests() - before; n != 2 || g.Gen != 2 || g.AltCT == nil || g.State != string(vault.GrantActive) {
		t.Errorf("%d requests, generation %d, %s", n, g.Gen, g.State)
	}
}
