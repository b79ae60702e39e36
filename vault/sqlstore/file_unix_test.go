//go:build unix

package sqlstore_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/grantry/grantry/vault/sqlstore"
)

func systemChildren() map[string]func(ctx context.Context, path, arg string) error {
	return map[string]func(ctx context.Context, path, arg string) error{
		"modes": modesChild, "take": takeChild, "full": fullChild, "readonly": readOnlyChild,
	}
}

// takeChild takes the lock with which SQLite has a database for itself.
func takeChild(_ context.Context, path, _ string) error {
	const sharedFirst, sharedSize = 0x40000002, 510
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: sharedFirst, Len: sharedSize}
	return errors.Join(unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock), f.Close())
}

// modesChild opens and writes under umask arg, and checks the modes while all files are there.
func modesChild(ctx context.Context, path, arg string) error {
	mask, err := strconv.ParseUint(arg, 8, 16)
	if err != nil {
		return err
	}
	syscall.Umask(int(mask))
	s, err := sqlstore.Open(ctx, sqlstore.Config{Path: path})
	if err != nil {
		return err
	}
	if err := s.Check(ctx); err != nil {
		return err
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + ".lock": 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if got := info.Mode().Perm(); got != want {
			return errors.New(filepath.Base(name) + " has mode " + got.String())
		}
	}
	return s.Close()
}

func TestModesWhateverTheUmask(t *testing.T) {
	t.Parallel()
	for _, mask := range []string{"000", "022", "027", "077", "277", "777"} {
		if out, err := runChild(t, "modes", newPath(t), mask); err != nil {
			t.Errorf("umask %s: %v\n%s", mask, err, out)
		}
	}
}

func TestBackupMode(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	withSetting(t, path)
	s, err := sqlstore.OpenWith(t.Context(), sqlstore.Config{Path: path}, future(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(backupOf(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("the backup has mode %o", got)
	}
}

func TestOpenRefusesFilesOfAll(t *testing.T) {
	t.Parallel()
	for suffix, mode := range map[string]fs.FileMode{"": 0o644, "-wal": 0o640, "-shm": 0o604, ".lock": 0o660} {
		path := newPath(t)
		if err := openStore(t, path).Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+"-wal", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+"-shm", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, path, path+suffix, mode)
	}
}

func TestOpenRefusesAFolderThatOthersWrite(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o720, 0o702, 0o777} {
		path := newPath(t)
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, path, filepath.Dir(path), mode)
	}
}

func wantRefusal(t *testing.T, path, of string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(of, mode); err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
	if err == nil {
		_ = s.Close()
	}
	var perm *sqlstore.PermissionError
	if !errors.As(err, &perm) || perm.Path != of || perm.Mode != mode {
		t.Errorf("%s with mode %o: %v, want a PermissionError", filepath.Base(of), mode, err)
	}
}
