package vault_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
)

// copied is a bench on a plain copy of b's file.
func (b *bench) copied() *bench {
	b.t.Helper()
	if err := b.store.(*sqlstore.Store).Checkpoint(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	data, err := os.ReadFile(b.path)
	if err != nil {
		b.t.Fatal(err)
	}
	other := *b
	other.path = filepath.Join(b.t.TempDir(), "vault.db")
	if err := os.WriteFile(other.path, data, 0o600); err != nil {
		b.t.Fatal(err)
	}
	other.Vault = other.open("copy")
	return &other
}

// contacts is how often the vendor was asked for anything.
func (b *bench) contacts() (n int) {
	b.vendor.set(func(v *vendor) { n = v.tokens + v.asked + len(v.revoked) })
	return n
}

// G11: a copied vault gives out nothing and contacts no vendor, neither for a
// call, nor a callback, a person's click, a revocation or in the background; it
// can be looked at. The original does not mind.
func TestCopyWaitsForAWord(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	started := b.ticket(bob, agent, b.lack(request(bob, agent)))
	callback := b.allow(started, bob)
	open := b.ticket(bob, vault.Agent{ID: "other"}, b.lack(request(bob, vault.Agent{ID: "other"})))
	c := b.copied()
	if !c.Copied() || b.Copied() {
		t.Fatalf("copy %t, original %t", c.Copied(), b.Copied())
	}
	before := b.contacts()
	for _, later := range []time.Duration{0, 2 * time.Hour} {
		b.clock.add(later)
		if e := c.lack(request(alice, agent)); e.Reason != vault.VaultDegraded || !errors.Is(e, vault.ErrCopied) {
			t.Errorf("lack = %+v", e)
		}
	}
	if e := c.failure(callback); e.Failure != vault.FlowVault || !errors.Is(e, vault.ErrCopied) {
		t.Errorf("callback = %+v", e)
	}
	if _, err := c.Allow(t.Context(), answer(c, open, bob)); !errors.Is(err, vault.ErrCopied) {
		t.Errorf("allow = %v", err)
	}
	if all, err := c.Accounts(t.Context(), alice.Caller); err != nil || len(all) != 1 {
		t.Errorf("accounts = %+v, %v", all, err)
	}
	if at, err := c.Revoke(t.Context(), alice.Caller, acc.ID); at || !errors.Is(err, vault.ErrRevocationPending) || !errors.Is(err, vault.ErrCopied) {
		t.Errorf("revoke = %t, %v", at, err)
	}
	b.clock.add(time.Hour)
	if _, _, err := c.RetryRevocations(t.Context()); !errors.Is(err, vault.ErrCopied) {
		t.Errorf("retrying = %v", err)
	}
	if n := b.contacts() - before; n != 0 {
		t.Fatalf("the vendor was contacted %d times", n)
	}
	if was, err := c.ConfirmHome(t.Context()); !was || err != nil {
		t.Fatalf("confirming: %t, %v", was, err)
	}
	if done, left, err := c.RetryRevocations(t.Context()); done != 1 || left != 0 || err != nil {
		t.Errorf("after the word: %d, %d, %v", done, left, err)
	}
	if n := c.audited("vault.confirmed"); n != 1 || b.contacts()-before != 1 {
		t.Errorf("%d entries, %d contacts", n, b.contacts()-before)
	}
	if was, err := c.ConfirmHome(t.Context()); was || err != nil {
		t.Errorf("confirming again: %t, %v", was, err)
	}
}

// G11: another process's confirmation frees a vault that is open as a copy, and
// the same file opened again, or under another name, is no copy.
func TestConfirmedCopyLives(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	c := b.copied()
	if was, err := c.open("operator").ConfirmHome(t.Context()); !was || err != nil {
		t.Fatalf("confirming: %t, %v", was, err)
	}
	if tok := c.token(request(alice, agent)); tok.Generation != 1 {
		t.Errorf("generation %d", tok.Generation)
	}
	if b.open("p2").Copied() || c.open("p3").Copied() {
		t.Error("a vault that lives counts as a copy")
	}
}

// An old backup's token is spent: after the word the vendor's refusal is handled
// as always, by asking the person.
func TestRestoredOldVault(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	old := filepath.Join(t.TempDir(), "old.db")
	if err := b.store.(*sqlstore.Store).Backup(t.Context(), old, nil); err != nil {
		t.Fatal(err)
	}
	b.clock.add(2 * time.Hour)
	b.token(request(alice, agent)) // rotates
	c := *b
	c.path = old
	c.Vault = c.open("restored")
	before := b.contacts()
	if e := c.lack(request(alice, agent)); !errors.Is(e, vault.ErrCopied) || b.contacts() != before {
		t.Fatalf("lack = %+v, %d contacts", e, b.contacts()-before)
	}
	if _, err := c.ConfirmHome(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := c.lack(request(alice, agent)); e.Reason != vault.Revoked || !e.Reason.Mendable() {
		t.Errorf("lack = %+v", e)
	}
}
