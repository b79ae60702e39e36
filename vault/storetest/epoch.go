package storetest

import (
	"errors"
	"testing"

	"github.com/grantry/grantry/vault"
)

// RunEpoch checks which transactions VaultRows.Epoch counts.
func RunEpoch(t *testing.T, open func(t *testing.T) vault.Store) {
	cases(t, open, map[string]func(*testing.T, vault.Store){
		"moves with":         epochMoves,
		"does not move with": epochStands,
		"once a transaction": epochOnce,
	})
}

// epochShared checks that handles of one database count together.
func epochShared(t *testing.T, handles ...vault.Store) {
	g := withGrant(t, handles[0])
	before := epoch(t, handles[1])
	for i := range 6 {
		next := g
		next.Gen++
		update(t, handles[i%2], func(tx vault.Tx) error { return tx.Grants().Swap(next, g.Gen) })
		g = next
		for _, s := range handles {
			if got := epoch(t, s); got != before+int64(i)+1 {
				t.Errorf("after %d changes the epoch is %d, and was %d", i+1, got, before)
			}
		}
	}
}

func epoch(t *testing.T, s vault.Store) int64 {
	t.Helper()
	return read(t, s, func(tx vault.Tx) (int64, error) { return tx.Vault().Epoch() })
}

// stage is a store with alice, bob, a grant and an access of alice's.
func stage(t *testing.T, s vault.Store) (vault.GrantRow, vault.AccessRow) {
	t.Helper()
	g := withGrant(t, s)
	addUsers(t, s, "bob")
	a := accessRow("a1", "agent", g.ID)
	update(t, s, func(tx vault.Tx) error { return tx.Access().Put(a) })
	return g, a
}

func epochMoves(t *testing.T, s vault.Store) {
	g, a := stage(t, s)
	other := grantRow("g2", "alice")
	for _, step := range []struct {
		name string
		do   func(tx vault.Tx) error
	}{
		{"a grant's insert", func(tx vault.Tx) error { return tx.Grants().Insert(other) }},
		{"a grant's swap", func(tx vault.Tx) error { return tx.Grants().Swap(nextGen(g), g.Gen) }},
		{"a grant's delete", func(tx vault.Tx) error { return tx.Upkeep().Delete(other.ID, other.Gen) }},
		{"an access", func(tx vault.Tx) error { return tx.Access().Put(a) }},
		{"the use of access for one call", func(tx vault.Tx) error { return tx.Access().Touch(a.ID, "open", "call", now) }},
		{"an access's delete", func(tx vault.Tx) error { return tx.Access().Delete("alice", a.ID) }},
		{"a user's delete", func(tx vault.Tx) error { return tx.Users().Delete("bob") }},
	} {
		before := epoch(t, s)
		update(t, s, func(tx vault.Tx) error {
			if err := step.do(tx); err != nil {
				return err
			}
			_, err := tx.Vault().Epoch()
			return err
		})
		if after := epoch(t, s); after != before+1 {
			t.Errorf("%s: the epoch went from %d to %d", step.name, before, after)
		}
	}
}

func epochStands(t *testing.T, s vault.Store) {
	g, a := stage(t, s)
	r := record("ticket", "a")
	_, k := userRow("alice")
	before := epoch(t, s)
	for name, do := range map[string]func(tx vault.Tx) error{
		"a lease": func(tx vault.Tx) error {
			return tx.Grants().Lease(g.ID, g.Gen, g.LeaseSeq, vault.Lease{Seq: g.LeaseSeq})
		},
		"a last use": func(tx vault.Tx) error { return tx.Access().Touch(a.ID, a.Once, a.Once, now+1) },
		"a record":   put(r),
		"an entry":   appendRows(auditRow("main", 1)),
		"a setting":  set("a"),
		"a process":  func(tx vault.Tx) error { return tx.Processes().Put(vault.ProcessRow{ID: "p1", Keys: []byte(kekA)}) },
		"a rewrap":   func(tx vault.Tx) error { return tx.Keys().Rewrap(k.ID, k.Wrapped, wrappedUnder(kekB, "anew")) },
		"a reading":  func(tx vault.Tx) error { _, err := tx.Grants().Get(g.ID); return err },
	} {
		update(t, s, do)
		if after := epoch(t, s); after != before {
			t.Errorf("%s: the epoch went from %d to %d", name, before, after)
		}
	}
	updateErr(t, s, errTest, func(tx vault.Tx) error {
		return errors.Join(tx.Grants().Swap(nextGen(g), g.Gen), tx.Users().Delete("bob"), errTest)
	})
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Grants().Swap(nextGen(g), g.Gen+1) })
	if after := epoch(t, s); after != before {
		t.Errorf("what was taken back moved the epoch from %d to %d", before, after)
	}
}

func epochOnce(t *testing.T, s vault.Store) {
	g, a := stage(t, s)
	before := epoch(t, s)
	update(t, s, func(tx vault.Tx) error {
		return errors.Join(tx.Grants().Swap(nextGen(g), g.Gen), tx.Access().Delete("alice", a.ID), tx.Users().Delete("bob"))
	})
	if after := epoch(t, s); after != before+1 {
		t.Errorf("one transaction moved the epoch from %d to %d", before, after)
	}
}
