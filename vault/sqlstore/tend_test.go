package sqlstore_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
	"github.com/grantry/grantry/vault/storetest"
)

// TestTend empties the log beside a store that goes on working.
func TestTend(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := openStore(t, path)
	for i := range 50 {
		if err := s.Update(t.Context(), func(tx vault.Tx) error {
			return tx.Vault().SetSetting("a", make([]byte, 1000+i))
		}); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
		t.Fatalf("the log is empty before: %v, %v", info, err)
	}
	if err := s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() != 0 {
		t.Errorf("the log after: %v, %v", info, err)
	}
	readSetting(t, s)
	if err := openStore(t, storetest.Postgres(t)).Tend(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTendBesideAReader leaves the log to a reader that needs it.
func TestTendBesideAReader(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := openStore(t, path)
	write := func() {
		t.Helper()
		if err := s.Update(t.Context(), func(tx vault.Tx) error { return tx.Vault().SetSetting("a", []byte("b")) }); err != nil {
			t.Fatal(err)
		}
	}
	write()
	err := openStore(t, path).View(t.Context(), func(tx vault.Tx) error {
		if _, err := tx.Vault().Setting("a"); err != nil {
			return err
		}
		write()
		return s.Tend(t.Context())
	})
	if err != nil {
		t.Fatal(err)
	}
	write()
}

// TestInspect finds damage that came while the store was open.
func TestInspect(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := openStore(t, path)
	for i := range 300 {
		row := vault.AuditRow{Stream: "main", Seq: int64(i + 1), Body: make([]byte, 1000), MAC: []byte("m")}
		if err := s.Update(t.Context(), func(tx vault.Tx) error { return tx.Audit().Append([]vault.AuditRow{row}) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Inspect(t.Context()); err != nil {
		t.Fatalf("before: %v", err)
	}
	if err := s.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, 4096), info.Size()-3*4096)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.Inspect(t.Context()); !errors.Is(err, sqlstore.ErrCorrupt) {
		t.Errorf("a page that is not one: %v", err)
	}
}
