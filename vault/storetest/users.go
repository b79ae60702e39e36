package storetest

import (
	"testing"

	"github.com/grantry/grantry/vault"
)

// RunUsers checks UserRows.
func RunUsers(t *testing.T, open func(t *testing.T) vault.Store) {
	cases(t, open, map[string]func(*testing.T, vault.Store){
		"put and get":     usersPut,
		"not there":       usersMissing,
		"twice":           usersTwice,
		"key id twice":    usersKeyTwice,
		"settings":        usersSettings,
		"key of a nobody": usersKeyOfNobody,
		"use":             usersUse,
		"list":            usersList,
		"delete":          usersDelete,
	})
}

func usersPut(t *testing.T, s vault.Store) {
	addUsers(t, s, "", "alice")
	for _, key := range []string{"", "alice"} {
		u, k := userRow(key)
		same(t, "user", u, read(t, s, func(tx vault.Tx) (vault.UserRow, error) { return tx.Users().Get(key) }))
		same(t, "data key", k, read(t, s, func(tx vault.Tx) (vault.KeyRow, error) { return tx.Keys().Get(k.ID) }))
	}
	u, k := userRow("no profile")
	u.ProfileCT = nil
	update(t, s, func(tx vault.Tx) error { return tx.Users().Put(u, k) })
	same(t, "user", u, read(t, s, func(tx vault.Tx) (vault.UserRow, error) { return tx.Users().Get(u.Key) }))
}

func usersMissing(t *testing.T, s vault.Store) {
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.UserRow, error) { return tx.Users().Get("") })
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.KeyRow, error) { return tx.Keys().Get(bytes16("x")) })
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) ([]byte, error) { return tx.Vault().Setting("x") })
}

func usersTwice(t *testing.T, s vault.Store) {
	addUsers(t, s, "alice")
	u, k := userRow("alice")
	k.ID = bytes16("another")
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Users().Put(u, k) })
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.KeyRow, error) { return tx.Keys().Get(k.ID) })
}

func usersKeyTwice(t *testing.T, s vault.Store) {
	addUsers(t, s, "alice")
	_, k := userRow("alice")
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error {
		return tx.Users().Put(vault.UserRow{Key: "bob", DEK: k.ID, Created: now}, vault.KeyRow{ID: k.ID, User: "bob", Wrapped: k.Wrapped})
	})
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.UserRow, error) { return tx.Users().Get("bob") })
}

// usersKeyOfNobody wants a data key to belong to a user that exists.
func usersKeyOfNobody(t *testing.T, s vault.Store) {
	u, k := userRow("alice")
	k.User = "nobody"
	if err := s.Update(t.Context(), func(tx vault.Tx) error { return tx.Users().Put(u, k) }); err == nil {
		t.Error("a data key of nobody was stored")
	}
}

func usersSettings(t *testing.T, s vault.Store) {
	for _, value := range [][]byte{[]byte("one"), {0, 0xff, 0}} {
		update(t, s, func(tx vault.Tx) error { return tx.Vault().SetSetting("a", value) })
		same(t, "setting", value, read(t, s, func(tx vault.Tx) ([]byte, error) { return tx.Vault().Setting("a") }))
	}
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) ([]byte, error) { return tx.Vault().Setting("b") })
}

func usersUse(t *testing.T, s vault.Store) {
	addUsers(t, s, "alice", "bob")
	u, first := userRow("alice")
	_, bobs := userRow("bob")
	next := keyRow("next", "alice", kekA)
	update(t, s, func(tx vault.Tx) error { return tx.Keys().Insert(next) })
	profile := []byte("profile under the next key")
	for key, from := range map[string][]byte{"alice": next.ID, "bob": first.ID, "carol": first.ID} {
		updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Users().Use(key, from, next.ID, profile) })
	}
	update(t, s, func(tx vault.Tx) error { return tx.Users().Use("alice", first.ID, next.ID, profile) })
	want := u
	want.DEK, want.ProfileCT = next.ID, profile
	same(t, "user", want, read(t, s, func(tx vault.Tx) (vault.UserRow, error) { return tx.Users().Get("alice") }))
	for _, k := range []vault.KeyRow{first, next, bobs} {
		same(t, "key", k, getKey(t, s, k.ID))
	}
	bob, _ := userRow("bob")
	same(t, "another user", bob, read(t, s, func(tx vault.Tx) (vault.UserRow, error) { return tx.Users().Get("bob") }))
}

func usersList(t *testing.T, s vault.Store) {
	addUsers(t, s, "c", "", "a", "b")
	for after, want := range map[string][]string{"": {"a", "b", "c"}, "a": {"b", "c"}, "bb": {"c"}, "c": nil} {
		var rows []vault.UserRow
		for _, key := range want {
			u, _ := userRow(key)
			rows = append(rows, u)
		}
		same(t, "after "+after, rows, read(t, s, func(tx vault.Tx) ([]vault.UserRow, error) { return tx.Users().List(after, 9) }))
	}
	u, _ := userRow("a")
	same(t, "at most one", []vault.UserRow{u}, read(t, s, func(tx vault.Tx) ([]vault.UserRow, error) { return tx.Users().List("", 1) }))
}

// usersDelete wants everything of alice's to go, all of bob's to stay, and the audit whole.
func usersDelete(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	addUsers(t, s, "", "bob")
	bobs := grantRow("g2", "bob")
	second := keyRow("second", "alice", kekA)
	mine, others := record("ticket", "mine"), record("ticket", "others")
	mine.Owner, others.Owner = "alice", "bob"
	entry := auditRow("main", 1)
	entry.User = "alice"
	update(t, s, func(tx vault.Tx) error { return tx.Grants().Insert(bobs) })
	update(t, s, func(tx vault.Tx) error { return tx.Access().Put(accessRow("a1", "agent", g.ID)) })
	update(t, s, func(tx vault.Tx) error { return tx.Keys().Insert(second) })
	update(t, s, put(mine))
	update(t, s, put(others))
	update(t, s, appendRows(entry))

	updateErr(t, s, vault.ErrNotFound, func(tx vault.Tx) error { return tx.Users().Delete("carol") })
	update(t, s, func(tx vault.Tx) error { return tx.Users().Delete("alice") })
	updateErr(t, s, vault.ErrNotFound, func(tx vault.Tx) error { return tx.Users().Delete("alice") })

	_, first := userRow("alice")
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.UserRow, error) { return tx.Users().Get("alice") })
	for _, id := range [][]byte{first.ID, second.ID} {
		readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.KeyRow, error) { return tx.Keys().Get(id) })
	}
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.GrantRow, error) { return tx.Grants().Get(g.ID) })
	same(t, "access", nil, read(t, s, func(tx vault.Tx) ([]vault.AccessRow, error) { return tx.Access().List("alice") }))
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.Record, error) { return getRecord(mine.Kind, mine.Hash, now)(tx) })
	same(t, "another's record", others, read(t, s, getRecord(others.Kind, others.Hash, now)))
	same(t, "another's grant", bobs, getGrant(t, s, bobs.ID))
	same(t, "audit", []vault.AuditRow{entry}, auditRead(t, s, "main", 1, 10))
	u, _ := userRow("")
	same(t, "the vault's own", u, read(t, s, func(tx vault.Tx) (vault.UserRow, error) { return tx.Users().Get("") }))
}
