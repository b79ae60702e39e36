package sqlstore_test

import (
	"path/filepath"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
	"github.com/grantry/grantry/vault/storetest"
)

// newPath is a database file that is not there yet, in a folder that is neither.
func newPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "vault", "vault.db")
}

// openStore opens a store at a path or a URL, closed with the test.
func openStore(t *testing.T, place string) *sqlstore.Store {
	t.Helper()
	s, err := openDatabase(t.Context(), place, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// databases answer a new, empty database of each kind.
func databases() map[string]func(t *testing.T) string {
	return map[string]func(t *testing.T) string{
		"sqlite": newPath, "postgres": storetest.Postgres,
		"postgres without prepared statements": func(t *testing.T) string {
			return storetest.Postgres(t) + "&default_query_exec_mode=exec"
		},
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	for name, place := range databases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) vault.Store { return openStore(t, place(t)) })
		})
	}
}

func TestStoreShared(t *testing.T) {
	t.Parallel()
	for name, newPlace := range databases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.RunShared(t, func(t *testing.T) func(t *testing.T) vault.Store {
				place := newPlace(t)
				return func(t *testing.T) vault.Store { return openStore(t, place) }
			})
		})
	}
}
