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

func openStore(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
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

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) vault.Store { return openStore(t, newPath(t)) })
}

func TestStoreShared(t *testing.T) {
	t.Parallel()
	storetest.RunShared(t, func(t *testing.T) func(t *testing.T) vault.Store {
		path := newPath(t)
		return func(t *testing.T) vault.Store { return openStore(t, path) }
	})
}
