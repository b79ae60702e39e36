package vault_test

import (
	"errors"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// G4: a store that fails before the request means no request.
func TestStoreFailsBeforeTheSend(t *testing.T) {
	t.Parallel()
	f, with := broken(t)
	b := newBench(t, with)
	b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	before := b.vendor.requests()
	for failures := range 3 { // at the probe, at the intent, and at both
		n := 0
		f.set(func() error {
			if n++; n > failures%2 {
				return errDiskFull
			}
			return nil
		}, false)
		if e := b.lack(request(alice, agent)); e.Reason != vault.VaultDegraded || e.Reason.Mendable() || !errors.Is(e, errDiskFull) {
			t.Errorf("lack = %+v", e)
		}
	}
	if n := b.vendor.requests() - before; n != 0 {
		t.Errorf("the vendor saw %d requests", n)
	}
	if err := b.Ready(t.Context()); err == nil {
		t.Error("ready without a store")
	}
	f.set(nil, false)
	if tok := b.token(request(alice, agent)); tok.Generation != 2 || b.vendor.worstSpend() != 1 {
		t.Errorf("generation %d, one token sent %d times", tok.Generation, b.vendor.worstSpend())
	}
}

// G4: a store that fails after the answer loses nothing: the tokens are kept in
// memory, nothing is sent or released meanwhile, and they are stored when it works again.
func TestStoreFailsAfterTheAnswer(t *testing.T) {
	t.Parallel()
	f, with := broken(t)
	b := newBench(t, with)
	acc := b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	before := b.vendor.requests()
	b.vendor.set(func(v *vendor) { v.onToken = func() { f.set(fails, false) } })
	for range 3 {
		if e := b.lack(request(alice, agent)); e.Reason != vault.VaultDegraded {
			t.Fatalf("lack = %+v", e)
		}
	}
	if err := b.Ready(t.Context()); err == nil {
		t.Error("ready although a grant is not stored")
	}
	if n := b.vendor.requests() - before; n != 1 {
		t.Errorf("the vendor saw %d requests", n)
	}
	f.set(nil, false)
	for end := time.Now().Add(20 * time.Second); b.row(acc.ID).Gen != 2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the refreshed grant was not stored when the store worked again")
		}
	}
	if err := b.Vault.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if tok := b.token(request(alice, agent)); tok.Generation != 2 || b.vendor.worstSpend() != 1 {
		t.Errorf("generation %d, one token sent %d times", tok.Generation, b.vendor.worstSpend())
	}
}

// G4: a token whose successor is in memory only is not sent again, also when the
// store takes leases and the one of the refresh has run out.
func TestUnsavedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	f, with := broken(t)
	b := newBench(t, with)
	acc := b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	before := b.vendor.requests()
	noSwap := func(on bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.noSwap = on
	}
	b.vendor.set(func(v *vendor) { v.onToken = func() { noSwap(true) } })
	for range 3 {
		if e := b.lack(request(alice, agent)); e.Reason != vault.VaultDegraded {
			t.Fatalf("lack = %+v", e)
		}
		b.clock.add(time.Minute)
	}
	noSwap(false)
	if err := b.Vault.Close(); err != nil { // stores what is left
		t.Fatal(err)
	}
	if n := b.vendor.requests() - before; n != 1 || b.row(acc.ID).Gen != 2 {
		t.Errorf("%d requests, generation %d", n, b.row(acc.ID).Gen)
	}
}

// G4, R84: where only the audit fails, the rotated token is saved all the same,
// and nothing is released before the entry is there.
func TestAuditFailsAfterTheAnswer(t *testing.T) {
	t.Parallel()
	f, with := broken(t)
	b := newBench(t, with)
	acc := b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.onToken = func() { f.set(nil, true) } })
	for range 2 {
		if e := b.lack(request(alice, agent)); e.Reason != vault.VaultDegraded {
			t.Fatalf("lack = %+v", e)
		}
	}
	if g := b.row(acc.ID); g.Gen != 2 || !g.AuditGap {
		t.Fatalf("generation %d, gap %t", g.Gen, g.AuditGap)
	}
	f.set(nil, false)
	if tok := b.token(request(alice, agent)); tok.Generation != 2 || b.vendor.worstSpend() != 1 {
		t.Errorf("generation %d, one token sent %d times", tok.Generation, b.vendor.worstSpend())
	}
	if n := b.audited("grant.refreshed"); n != 1 || b.row(acc.ID).AuditGap {
		t.Errorf("%d entries of the refresh", n)
	}
}

// A store that fails while a new grant is stored gives the tokens back, and leaves nothing half.
func TestStoreFailsAtTheCallback(t *testing.T) {
	t.Parallel()
	for name, noAudit := range map[string]bool{"all": false, "the audit": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, with := broken(t)
			b := newBench(t, with)
			tk := b.ticket(alice, agent, b.lack(request(alice, agent)))
			c := b.allow(tk, alice)
			b.vendor.set(func(v *vendor) {
				v.onToken = func() {
					if f.set(fails, false); noAudit {
						f.set(nil, true)
					}
				}
			})
			if e := b.failure(c); e.Failure != vault.FlowVault {
				t.Errorf("failure = %+v", e)
			}
			f.set(nil, false)
			b.vendor.set(func(v *vendor) {
				v.onToken = nil
				if len(v.revoked) != 1 || v.revoked[0] != v.live {
					t.Errorf("%d tokens were given back", len(v.revoked))
				}
			})
			if all, err := b.Accounts(t.Context(), alice.Caller); err != nil || len(all) != 0 {
				t.Errorf("accounts = %+v, %v", all, err)
			}
			if _, _, err := b.Finish(t.Context(), b.allow(tk, alice)); err != nil {
				t.Errorf("trying again: %v", err)
			}
		})
	}
}

// G12: Close waits for a refresh in flight to commit, and lets none begin.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	began := make(chan struct{})
	b.vendor.set(func(v *vendor) { v.onToken = func() { close(began) }; v.delay = 300 * time.Millisecond })
	go func() { _, _ = b.Exchange(t.Context(), request(alice, agent)) }()
	<-began
	if err := b.Vault.Close(); err != nil {
		t.Fatal(err)
	}
	if gen := b.row(acc.ID).Gen; gen != 2 {
		t.Errorf("closed at generation %d", gen)
	}
	b.clock.add(2 * time.Hour)
	before := b.vendor.requests()
	if e := b.lack(request(alice, agent)); e.Reason != vault.VaultDegraded || b.vendor.requests() != before {
		t.Errorf("after Close: %+v, %d requests", e, b.vendor.requests()-before)
	}
}
