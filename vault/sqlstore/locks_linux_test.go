package sqlstore_test

import (
	"os"
	"testing"

	"github.com/grantry/grantry/vault"
)

// TestLocksSurviveAClose opens and closes the database file beside SQLite. With
// POSIX locks that frees ours, and another process may take the file for its own.
func TestLocksSurviveAClose(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := openStore(t, path)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := runChild(t, "take", path, ""); err == nil {
		t.Errorf("another process took the lock that we hold\n%s", out)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := runChild(t, "take", path, ""); err != nil {
		t.Errorf("another process after our end: %v\n%s", err, out)
	}
}

// TestOneWriterAmongProcesses has another process try during our transaction.
func TestOneWriterAmongProcesses(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := openStore(t, path)
	err := s.Update(t.Context(), func(vault.Tx) error {
		if out, err := runChild(t, "write", path, ""); err == nil {
			t.Errorf("another process wrote during our transaction\n%s", out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := runChild(t, "write", path, ""); err != nil {
		t.Errorf("another process after our transaction: %v\n%s", err, out)
	}
}
