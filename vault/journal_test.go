package vault_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// synced is the number up to which the audit is known to be on the disk, and head that of its last entry.
func (b *bench) synced() (synced, head int64) {
	b.t.Helper()
	err := b.store.View(b.t.Context(), func(tx vault.Tx) error {
		raw, err := tx.Vault().Setting("audit_synced/" + vault.Stream)
		if len(raw) == 8 {
			synced = int64(binary.BigEndian.Uint64(raw))
		}
		if errors.Is(err, vault.ErrNotFound) {
			err = nil
		}
		if err != nil {
			return err
		}
		head, _, err = tx.Audit().Head(vault.Stream)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return synced, head
}

// DESIGN 6: a release is synced soon after its entry is committed, and at the latest when the vault is closed.
func TestReleasesAreSynced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.token(request(alice, agent))
	_, released := b.synced()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if synced, _ := b.synced(); synced >= released && b.row(acc.ID).Used == b.clock.Now().UnixMilli() {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nobody syncs the audit")
		}
	}
	b.token(request(alice, agent))
	if err := b.Vault.Close(); err != nil {
		t.Fatal(err)
	}
	if synced, head := b.synced(); synced != head || head <= released {
		t.Errorf("closed at %d of %d, after %d", synced, head, released)
	}
	b.token(request(alice, agent))
	if n := b.audited("token.released"); n != 3 {
		t.Errorf("%d releases", n)
	}
}

// Where syncing fails, no release goes on unsynced; when it works again, so do they.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	f, with := broken(t)
	b := newBench(t, with)
	b.connect(alice, agent)
	b.token(request(alice, agent))
	f.failUpdates(errDiskFull) // appending still works
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := b.Exchange(t.Context(), request(alice, agent)); errors.Is(err, errDiskFull) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("releases go on although nothing is synced")
		}
	}
	f.failUpdates(nil)
	b.token(request(alice, agent))
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if synced, head := b.synced(); synced == head {
			break
		}
		if time.Now().After(end) {
			t.Fatal("syncing is not tried again")
		}
	}
	b.audited("token.released")
}

// Last use is written for every account of a crowd, sooner or later, and at most once a minute.
func TestLastUse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	used := func() int64 {
		t.Helper()
		if err := b.Vault.Close(); err != nil { // writes what waits
			t.Fatal(err)
		}
		list, err := b.AccessList(t.Context(), alice.Caller)
		if err != nil || len(list) != 1 || list[0].Used.UnixMilli() != b.row(acc.ID).Used {
			t.Fatalf("access = %+v, %v; the grant was used at %d", list, err, b.row(acc.ID).Used)
		}
		return b.row(acc.ID).Used
	}
	start := b.clock.Now().UnixMilli()
	for _, step := range []struct{ after, want time.Duration }{{0, 0}, {30 * time.Second, 0}, {31 * time.Second, 61 * time.Second}} {
		b.clock.add(step.after)
		b.token(request(alice, agent))
		if got := used(); got != start+step.want.Milliseconds() {
			t.Errorf("used %d ms after the start, want %s", got-start, step.want)
		}
	}
}
