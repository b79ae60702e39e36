package vault_test

import (
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

const day = 24 * time.Hour

func (b *bench) reap(ages vault.Ages, dry bool) []vault.Reaped {
	b.t.Helper()
	out, err := b.Reap(b.t.Context(), ages, dry)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) revocations() (n int) {
	b.vendor.set(func(v *vendor) { n = len(v.revoked) })
	return n
}

// connectBob connects an account of his own.
func (b *bench) connectBob() {
	b.t.Helper()
	b.vendor.set(func(v *vendor) { v.account, v.email = "acc-2", bob.Email })
	b.connect(bob, agent)
}

// An idle grant is revoked here and at the vendor, and not before its time; a dry run says so and does nothing.
func TestReapIdle(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *vault.Config) { c.AccessTTL = 365 * day })
	acc := b.connect(alice, agent)
	b.connectBob()
	ages := vault.Ages{Idle: 30 * day}
	b.clock.add(29 * day)
	b.token(request(bob, agent))
	b.clock.add(2 * day)
	if dry := b.reap(ages, true); len(dry) != 1 || dry[0].Account.ID != acc.ID || !dry[0].Revoke {
		t.Fatalf("a dry run says %+v, want alice's account", dry)
	}
	if n := b.revocations(); n != 0 {
		t.Fatalf("a dry run revoked %d tokens", n)
	}
	if done := b.reap(ages, false); len(done) != 1 || done[0].Account.ID != acc.ID {
		t.Fatalf("reaped %+v, want alice's account", done)
	}
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked {
		t.Errorf("an idle grant that was reaped: %s", e.Reason)
	}
	if n := b.revocations(); n == 0 {
		t.Error("the vendor was not told")
	}
	b.token(request(bob, agent))
	if again := b.reap(ages, false); len(again) != 0 {
		t.Errorf("reaped twice: %+v", again)
	}
}

// Ages are kept apart: what was revoked goes with its access, what died for another reason stays for its own time.
func TestReapEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	revoked := b.connect(alice, agent)
	b.connectBob()
	if _, err := b.Revoke(t.Context(), alice.Caller, revoked.ID); err != nil {
		t.Fatal(err)
	}
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.live = "" })
	if e := b.lack(request(bob, agent)); e.Reason != vault.Revoked {
		t.Fatalf("bob's grant is %s, want it ended by the vendor", e.Reason)
	}
	ages := vault.Ages{Revoked: 30 * day, Dead: 90 * day, Idle: day}
	if early := b.reap(ages, false); len(early) != 0 {
		t.Fatalf("reaped before its time: %+v", early)
	}
	b.clock.add(31 * day)
	b.reap(ages, false)
	if all, err := b.AllAccounts(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("after 31 days: %+v, %v", all, err)
	}
	if e := b.lack(request(alice, agent)); e.Reason != vault.NotConnected {
		t.Errorf("after its row went: %s", e.Reason)
	}
	if _, err := b.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}
