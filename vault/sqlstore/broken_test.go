package sqlstore_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
)

// numbered writes transactions 1 to n, each with an audit entry and a setting of its number.
func numbered(t *testing.T, s vault.Store, n int) {
	t.Helper()
	for i := range n {
		err := s.Update(t.Context(), func(tx vault.Tx) error {
			row := vault.AuditRow{Stream: "main", Seq: int64(i + 1), Body: make([]byte, 700), MAC: []byte("m")}
			if err := tx.Audit().Append([]vault.AuditRow{row}); err != nil {
				return err
			}
			return tx.Vault().SetSetting("n", binary.BigEndian.AppendUint64(nil, uint64(i+1)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// lastNumber wants setting and log to be of the same transaction.
func lastNumber(t *testing.T, s vault.Store) (n int64) {
	t.Helper()
	err := s.View(t.Context(), func(tx vault.Tx) error {
		head, _, err := tx.Audit().Head("main")
		if err != nil {
			return err
		}
		b, err := tx.Vault().Setting("n")
		if errors.Is(err, vault.ErrNotFound) && head == 0 {
			return nil
		}
		if err == nil && int64(binary.BigEndian.Uint64(b)) != head {
			t.Errorf("half a transaction: setting %d, log %d", binary.BigEndian.Uint64(b), head)
		}
		n = head
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTruncatedLog cuts the write-ahead log of a process that was killed at many
// places: what is left opens as whole transactions, the first ones, and the more
// of the log there is the more of them.
func TestTruncatedLog(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := openStore(t, path)
	if err := s.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	const written = 40
	numbered(t, s, written)
	base, log := readFile(t, path), readFile(t, path+"-wal")
	before := int64(-1)
	for cut := 0; cut <= len(log); cut += 4999 {
		n := lastNumber(t, openBroken(t, base, log[:cut]))
		if n < before || n > written {
			t.Errorf("%d of %d bytes leave %d transactions, fewer bytes left %d", cut, len(log), n, before)
		}
		before = n
	}
	if n := lastNumber(t, openBroken(t, base, log)); n != written {
		t.Errorf("the whole log leaves %d of %d transactions", n, written)
	}
	flipped := append([]byte(nil), log...)
	flipped[len(log)/2] ^= 1
	if n := lastNumber(t, openBroken(t, base, flipped)); n == 0 || n == written {
		t.Errorf("a flipped bit in the middle leaves %d of %d transactions, want those before it", n, written)
	}
}

func openBroken(t *testing.T, base, log []byte) *sqlstore.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vault.db")
	if err := errors.Join(os.WriteFile(path, base, 0o600), os.WriteFile(path+"-wal", log, 0o600)); err != nil {
		t.Fatal(err)
	}
	return openStore(t, path)
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
