//go:build unix

package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
)

// fullChild appends to the audit while its files may not grow beyond arg bytes,
// prints each number once it is committed, and ends with the first failure.
func fullChild(ctx context.Context, path, arg string) error {
	limit, err := strconv.ParseUint(arg, 10, 64)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	s, err := sqlstore.Open(ctx, sqlstore.Config{Path: path})
	if err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	for seq := int64(1); ; seq++ {
		row := vault.AuditRow{Stream: "main", Seq: seq, Kind: "k", Body: []byte(strings.Repeat("x", 500)), MAC: []byte("mac")}
		err := s.Update(ctx, func(tx vault.Tx) error { return tx.Audit().Append([]vault.AuditRow{row}) })
		if err == nil {
			fmt.Println(seq)
			continue
		}
		err = s.View(ctx, func(tx vault.Tx) error {
			if head, _, err := tx.Audit().Head("main"); head != seq-1 || err != nil {
				return fmt.Errorf("head is %d after %d, %w", head, seq-1, err)
			}
			return nil
		})
		_ = s.Close() // it may not be able to empty its log
		return err
	}
}

// TestFullDisk fills the disk under a process: the write that does not fit is an
// error and leaves nothing, reading goes on, and with room again all is there.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	if err := openStore(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	out, err := runChild(t, "full", path, strconv.Itoa(400<<10))
	if err != nil {
		t.Fatalf("the process: %v\n%s", err, out)
	}
	said := numbers(t, strings.NewReader(out))
	if len(said) == 0 {
		t.Fatal("nothing fitted")
	}
	s := openStore(t, path)
	err = s.View(t.Context(), func(tx vault.Tx) error {
		if head, _, err := tx.Audit().Head("main"); head != said[len(said)-1] || err != nil {
			return fmt.Errorf("head is %d, the process said %d: %w", head, said[len(said)-1], err)
		}
		return nil
	})
	if err = errors.Join(err, s.Check(t.Context())); err != nil {
		t.Error(err)
	}
}

// TestNearlyFullDisk refuses before a write fails: what a refresh spends must be storable afterwards.
func TestNearlyFullDisk(t *testing.T) {
	t.Parallel()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: newPath(t), Reserve: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Check(t.Context()); !errors.Is(err, sqlstore.ErrNoSpace) {
		t.Errorf("Check: %v, want ErrNoSpace", err)
	}
	if err := s.View(t.Context(), func(vault.Tx) error { return nil }); err != nil {
		t.Error(err)
	}
}

// readOnlyChild opens the vault as its owner, who is not root, and wants a clear refusal.
func readOnlyChild(ctx context.Context, path, _ string) error {
	if os.Getuid() == 0 {
		if err := errors.Join(os.Chown(filepath.Dir(path), nobody, nobody), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			return err
		}
	}
	s, err := sqlstore.Open(ctx, sqlstore.Config{Path: path})
	if err == nil {
		return errors.Join(errors.New("it opened"), s.Close())
	}
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), filepath.Base(path)) {
		return fmt.Errorf("not a clear refusal: %w", err)
	}
	return nil
}

const nobody = 65534

// TestReadOnly opens a folder, new and with a vault, and a file that cannot be written.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		existing bool
		only     string // what is read-only
	}{
		"new folder": {only: "."}, "folder": {existing: true, only: "."}, "file": {existing: true, only: "vault.db"},
	} {
		path := filepath.Join(shared(t), "vault", "vault.db")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if test.existing {
			if err := openStore(t, path).Close(); err != nil {
				t.Fatal(err)
			}
			if os.Getuid() == 0 {
				for _, name := range []string{path, path + ".lock"} {
					if err := os.Chown(name, nobody, nobody); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if err := os.Chmod(filepath.Join(filepath.Dir(path), test.only), 0o500); err != nil { //nolint:gosec // a folder needs its x bit
			t.Fatal(err)
		}
		if out, err := runChild(t, "readonly", path, ""); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// shared is a temporary folder that another user can walk into.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sqlstore")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.Chmod(filepath.Join(dir, "vault"), 0o700)
		_ = os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // on purpose
		t.Fatal(err)
	}
	return dir
}
