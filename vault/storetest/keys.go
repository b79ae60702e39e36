package storetest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/grantry/grantry/vault"
)

// RunKeys checks KeyRows.
func RunKeys(t *testing.T, open func(t *testing.T) vault.Store) {
	cases(t, open, map[string]func(*testing.T, vault.Store){
		"insert":           keysInsert,
		"insert conflicts": keysInsertConflicts,
		"of a user":        keysOf,
		"rewrap":           keysRewrap,
		"others":           keysOthers,
		"count":            keysCount,
		"parallel rewraps": func(t *testing.T, s vault.Store) { parallelRewraps(t, s, s, s, s) },
	})
}

// wrappedUnder is a wrapped data key as vault/seal draws it: version, algorithm, eight bytes of the KEK's id, the rest.
func wrappedUnder(kek, rest string) []byte {
	return slices.Concat([]byte{1, 1}, []byte(kek)[:8], []byte(rest))
}

const (
	kekA = "kek a..."
	kekB = "\xff\x00kek b."
	kekC = "kek c..."
)

func keyRow(name, user, kek string) vault.KeyRow {
	return vault.KeyRow{ID: bytes16(name), User: user, Wrapped: wrappedUnder(kek, "of "+name), Created: now}
}

func getKey(t *testing.T, s vault.Store, id []byte) vault.KeyRow {
	t.Helper()
	return read(t, s, func(tx vault.Tx) (vault.KeyRow, error) { return tx.Keys().Get(id) })
}

func keysInsert(t *testing.T, s vault.Store) {
	addUsers(t, s, "", "alice")
	for _, k := range []vault.KeyRow{keyRow("second", "alice", kekA), keyRow("vault's second", "", kekB)} {
		update(t, s, func(tx vault.Tx) error { return tx.Keys().Insert(k) })
		same(t, "inserted key", k, getKey(t, s, k.ID))
	}
	u, first := userRow("alice")
	same(t, "user", u, read(t, s, func(tx vault.Tx) (vault.UserRow, error) { return tx.Users().Get("alice") }))
	same(t, "first key", first, getKey(t, s, first.ID))
}

func keysInsertConflicts(t *testing.T, s vault.Store) {
	addUsers(t, s, "alice", "bob")
	_, first := userRow("alice")
	again := keyRow("x", "bob", kekA)
	again.ID = first.ID
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Keys().Insert(again) })
	same(t, "key", first, getKey(t, s, first.ID))
	if err := s.Update(t.Context(), func(tx vault.Tx) error { return tx.Keys().Insert(keyRow("k", "nobody", kekA)) }); err == nil {
		t.Error("a data key of nobody was stored")
	}
}

func keysRewrap(t *testing.T, s vault.Store) {
	addUsers(t, s, "alice")
	k := keyRow("k", "alice", kekA)
	update(t, s, func(tx vault.Tx) error { return tx.Keys().Insert(k) })
	to := wrappedUnder(kekB, "anew")
	for _, wrong := range []vault.KeyRow{{ID: k.ID, Wrapped: to}, {ID: bytes16("another"), Wrapped: k.Wrapped}, {ID: k.ID, Wrapped: k.Wrapped[:5]}} {
		updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Keys().Rewrap(wrong.ID, wrong.Wrapped, to) })
	}
	same(t, "after conflicts", k, getKey(t, s, k.ID))
	update(t, s, func(tx vault.Tx) error { return tx.Keys().Rewrap(k.ID, k.Wrapped, to) })
	want := k
	want.Wrapped = to
	same(t, "after a rewrap", want, getKey(t, s, k.ID))
	update(t, s, func(tx vault.Tx) error { // a conflict takes nothing down with it
		if err := tx.Keys().Rewrap(k.ID, k.Wrapped, to); err == nil {
			t.Error("rewrapped what is not there any more")
		}
		return tx.Keys().Rewrap(k.ID, to, k.Wrapped)
	})
	same(t, "after a conflict in the same transaction", k, getKey(t, s, k.ID))
}

func keysOf(t *testing.T, s vault.Store) {
	addUsers(t, s, "", "alice")
	_, first := userRow("alice")
	later := keyRow("later", "alice", kekA)
	later.Created++
	for _, k := range []vault.KeyRow{later, keyRow("vault's second", "", kekB)} {
		update(t, s, func(tx vault.Tx) error { return tx.Keys().Insert(k) })
	}
	for user, want := range map[string][]vault.KeyRow{"alice": {first, later}, "bob": nil} {
		same(t, "keys of "+user, want, read(t, s, func(tx vault.Tx) ([]vault.KeyRow, error) { return tx.Keys().Of(user) }))
	}
}

func keysOthers(t *testing.T, s vault.Store) {
	addUsers(t, s, "", "alice")
	_, roots := userRow("")
	_, alices := userRow("alice")
	all := []vault.KeyRow{roots, alices}
	update(t, s, func(tx vault.Tx) error {
		for _, k := range []vault.KeyRow{
			keyRow("\xffe", "alice", kekA), keyRow("d", "", kekB), keyRow("c", "alice", kekA), keyRow("b", "alice", kekC), keyRow("a", "alice", kekB),
		} {
			all = append(all, k)
			if err := tx.Keys().Insert(k); err != nil {
				return err
			}
		}
		return nil
	})
	slices.SortFunc(all, func(a, b vault.KeyRow) int { return bytes.Compare(a.ID, b.ID) })
	for _, kek := range []string{kekA, kekB, kekC, "unknown."} {
		var want, got []vault.KeyRow
		for _, k := range all {
			if string(k.Wrapped[2:10]) != kek {
				want = append(want, k)
			}
		}
		var after []byte
		for {
			page := read(t, s, func(tx vault.Tx) ([]vault.KeyRow, error) { return tx.Keys().Others([]byte(kek), after, 2) })
			if len(page) == 0 {
				break
			}
			got, after = append(got, page...), page[len(page)-1].ID
		}
		same(t, "others than "+kek, want, got)
	}
}

func keysCount(t *testing.T, s vault.Store) {
	none := read(t, s, func(tx vault.Tx) ([]vault.KeyCount, error) { return tx.Keys().Count() })
	same(t, "count of an empty store", nil, none)
	update(t, s, func(tx vault.Tx) error {
		u, _ := userRow("alice")
		if err := tx.Users().Put(u, keyRow("dek alice", "alice", kekC)); err != nil {
			return err
		}
		for name, kek := range map[string]string{"a": kekB, "b": kekA, "c": kekB} {
			if err := tx.Keys().Insert(keyRow(name, "alice", kek)); err != nil {
				return err
			}
		}
		return nil
	})
	want := []vault.KeyCount{{KEK: []byte(kekA), N: 1}, {KEK: []byte(kekC), N: 1}, {KEK: []byte(kekB), N: 2}}
	same(t, "count", want, read(t, s, func(tx vault.Tx) ([]vault.KeyCount, error) { return tx.Keys().Count() }))
}

// parallelRewraps has all handles race to replace one wrapped form: one of them does.
func parallelRewraps(t *testing.T, handles ...vault.Store) {
	addUsers(t, handles[0], "alice")
	k := keyRow("k", "alice", kekA)
	update(t, handles[0], func(tx vault.Tx) error { return tx.Keys().Insert(k) })
	from := k.Wrapped
	for range 10 {
		wins := race(t, handles, func(tx vault.Tx, racer int) error {
			return tx.Keys().Rewrap(k.ID, from, wrappedUnder(kekB, string(from)+string(rune('a'+racer))))
		})
		if len(wins) != 1 {
			t.Fatalf("%v rewrapped it, want one", wins)
		}
		got := getKey(t, handles[0], k.ID).Wrapped
		if want := wrappedUnder(kekB, string(from)+string(rune('a'+wins[0]))); !bytes.Equal(got, want) {
			t.Fatalf("the wrapped form is not the winner's")
		}
		from = got
	}
}
