package sqlstore_test

import (
	"errors"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
)

// TestTextThatNoDatabaseTakes wants both databases to treat a NUL and what is
// not UTF-8 alike: nothing of the kind is stored, and nothing is found by it.
func TestTextThatNoDatabaseTakes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, place string) {
		s := openStore(t, place)
		user := vault.UserRow{Key: "u", DEK: []byte("d")}
		if err := s.Update(t.Context(), func(tx vault.Tx) error {
			return tx.Users().Put(user, vault.KeyRow{ID: []byte("d"), User: "u", Wrapped: []byte("w")})
		}); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"\x00", "a\x00b", "\xff", "a\xc3", "\xed\xa0\x80"} {
			for name, write := range map[string]func(tx vault.Tx) error{
				"a grant's scopes": func(tx vault.Tx) error {
					return tx.Grants().Insert(vault.GrantRow{ID: "g", User: "u", Connection: "c", AccountKey: "a", Scopes: text})
				},
				"who asked for a grant": func(tx vault.Tx) error {
					return tx.Grants().Insert(vault.GrantRow{ID: "g", User: "u", Connection: "c", AccountKey: "a", GrantedBy: text})
				},
				"a record's kind": func(tx vault.Tx) error {
					return tx.Records().Put(vault.Record{Kind: text, Hash: []byte("h"), Value: []byte("v"), Version: 1, Expires: 9}, 1)
				},
				"a setting's name": func(tx vault.Tx) error { return tx.Vault().SetSetting(text, []byte("v")) },
				"an audit entry": func(tx vault.Tx) error {
					return tx.Audit().Append([]vault.AuditRow{{Stream: "main", Seq: 1, Kind: text, Body: []byte("b"), MAC: []byte("m")}})
				},
			} {
				if err := s.Update(t.Context(), write); !errors.Is(err, sqlstore.ErrText) {
					t.Errorf("%q in %s: %v, want ErrText", text, name, err)
				}
			}
			for name, read := range map[string]func(tx vault.Tx) error{
				"grant":  func(tx vault.Tx) error { _, err := tx.Grants().Get(text); return err },
				"user":   func(tx vault.Tx) error { _, err := tx.Users().Get(text); return err },
				"record": func(tx vault.Tx) error { _, err := tx.Records().Get(text, []byte("h"), 1); return err },
				"grants": func(tx vault.Tx) error {
					rows, err := tx.Grants().List(vault.GrantFilter{User: text})
					if err == nil && len(rows) == 0 {
						err = vault.ErrNotFound
					}
					return err
				},
			} {
				if err := s.View(t.Context(), read); !errors.Is(err, vault.ErrNotFound) {
					t.Errorf("looking for the %s %q: %v, want ErrNotFound", name, text, err)
				}
			}
		}
		if err := s.View(t.Context(), func(tx vault.Tx) error { _, err := tx.Users().Get("u"); return err }); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
