package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/grantry/grantry/vault"
)

// RunEpoch checks with which transactions VaultRows.Epoch moves, and whose change VaultRows.Changed takes them for.
func RunEpoch(t *testing.T, open func(t *testing.T) vault.Store) {
	cases(t, open, map[string]func(*testing.T, vault.Store){
		"moves with":         epochMoves,
		"does not move with": epochStands,
		"once a transaction": epochOnce,
		"changed":            epochChanged,
		"too many changed":   epochChangedAll,
	})
}

// epochShared checks that handles of one database count together.
func epochShared(t *testing.T, handles ...vault.Store) {
	g := withGrant(t, handles[0])
	last := epoch(t, handles[1])
	for i := range 6 {
		next := g
		next.Gen++
		update(t, handles[i%2], func(tx vault.Tx) error { return tx.Grants().Swap(next, g.Gen) })
		g = next
		for _, s := range handles {
			if got := epoch(t, s); got <= last {
				t.Errorf("after %d changes the epoch is %d, and was %d", i+1, got, last)
			}
			same(t, "changed", ofUsers("alice"), changed(t, s, last))
		}
		last = epoch(t, handles[1])
	}
}

func epoch(t *testing.T, s vault.Store) int64 {
	t.Helper()
	return read(t, s, func(tx vault.Tx) (int64, error) { return tx.Vault().Epoch() })
}

// changes is what Changed answers, each user once.
type changes struct {
	Users []string
	All   bool
}

func ofUsers(users ...string) changes { return changes{Users: users} }

func changed(t *testing.T, s vault.Store, since int64) changes {
	t.Helper()
	return read(t, s, func(tx vault.Tx) (changes, error) {
		users, all, err := tx.Vault().Changed(since)
		slices.Sort(users)
		return changes{slices.Compact(users), all}, err
	})
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
		name, whose string
		do          func(tx vault.Tx) error
	}{
		{"a grant's insert", "alice", func(tx vault.Tx) error { return tx.Grants().Insert(other) }},
		{"a grant's swap", "alice", func(tx vault.Tx) error { return tx.Grants().Swap(nextGen(g), g.Gen) }},
		{"a grant's delete", "alice", func(tx vault.Tx) error { return tx.Upkeep().Delete(other.ID, other.Gen) }},
		{"an access", "alice", func(tx vault.Tx) error { return tx.Access().Put(a) }},
		{"the use of access for one call", "alice", func(tx vault.Tx) error { return tx.Access().Touch(a.ID, "open", "call", now) }},
		{"an access's delete", "alice", func(tx vault.Tx) error { return tx.Access().Delete("alice", a.ID) }},
		{"a user's delete", "bob", func(tx vault.Tx) error { return tx.Users().Delete("bob") }},
	} {
		before := epoch(t, s)
		update(t, s, func(tx vault.Tx) error {
			if err := step.do(tx); err != nil {
				return err
			}
			_, err := tx.Vault().Epoch()
			return err
		})
		if after := epoch(t, s); after <= before {
			t.Errorf("%s: the epoch went from %d to %d", step.name, before, after)
		}
		same(t, step.name+": changed", ofUsers(step.whose), changed(t, s, before))
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
	same(t, "changed", changes{}, changed(t, s, before))
}

func epochOnce(t *testing.T, s vault.Store) {
	g, a := stage(t, s)
	before := epoch(t, s)
	update(t, s, func(tx vault.Tx) error {
		err := errors.Join(tx.Grants().Swap(nextGen(g), g.Gen), tx.Access().Delete("alice", a.ID), tx.Users().Delete("bob"))
		if inside, readErr := tx.Vault().Epoch(); inside != before {
			t.Errorf("inside of the transaction the epoch is %d, and was %d: %v", inside, before, readErr)
		}
		return err
	})
	same(t, "changed", ofUsers("alice", "bob"), changed(t, s, before))
}

// epochChanged looks back from the end to every epoch that there was, and to some that there were not.
func epochChanged(t *testing.T, s vault.Store) {
	g, _ := stage(t, s)
	addUsers(t, s, "carol")
	all := []int64{epoch(t, s)}
	steps := []string{"alice", "bob", "carol"}
	for _, do := range []func(tx vault.Tx) error{
		func(tx vault.Tx) error { return tx.Grants().Swap(nextGen(g), g.Gen) },
		func(tx vault.Tx) error { return tx.Users().Delete("bob") },
		func(tx vault.Tx) error { return tx.Users().Delete("carol") },
	} {
		update(t, s, do)
		all = append(all, epoch(t, s))
	}
	for i, since := range all {
		want := ofUsers(steps[i:]...)
		if i == len(steps) {
			want = changes{}
		}
		same(t, fmt.Sprintf("changed since %d of %d", i, len(all)), want, changed(t, s, since))
	}
	last := all[len(all)-1]
	for _, never := range []int64{0, 1<<62 - 1, all[0] - 1, last - 1, last + 1} {
		if got := changed(t, s, never); !got.All {
			t.Errorf("changed since %d, which was no epoch of %v: %+v", never, all, got)
		}
	}
}

// epochChangedAll has more people change at once than are noted by name, and not all of a store's.
func epochChangedAll(t *testing.T, s vault.Store) {
	users := make([]string, 1000)
	for i := range users {
		users[i] = fmt.Sprintf("user %d", i)
	}
	addUsers(t, s, users...)
	before := epoch(t, s)
	update(t, s, func(tx vault.Tx) error {
		for _, u := range users[1:] {
			if err := tx.Users().Delete(u); err != nil {
				return err
			}
		}
		return nil
	})
	got := changed(t, s, before)
	if !got.All && len(got.Users) < len(users)-1 {
		t.Errorf("changed: %d users of %d", len(got.Users), len(users)-1)
	}
	between := epoch(t, s)
	update(t, s, func(tx vault.Tx) error { return tx.Users().Delete(users[0]) })
	same(t, "changed after it", ofUsers(users[0]), changed(t, s, between))
	if got := changed(t, s, before); !got.All && len(got.Users) < len(users) {
		t.Errorf("changed since before: %d users", len(got.Users))
	}
}
