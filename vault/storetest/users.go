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
