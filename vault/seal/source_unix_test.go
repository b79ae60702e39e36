//go:build unix

package seal_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/grantry/grantry/vault/seal"
)

func writeKey(t *testing.T, path string, mode fs.FileMode) seal.Key {
	t.Helper()
	key := newKey(t)
	if err := os.WriteFile(path, []byte(key.Line()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return key
}

func TestFileSourceModes(t *testing.T) {
	t.Parallel()
	for mode, ok := range map[fs.FileMode]bool{
		0o600: true, 0o400: true, 0o700: false, 0o500: false,
		0o640: false, 0o604: false, 0o660: false, 0o644: false, 0o620: false, 0o601: false, 0o440: false,
	} {
		path := filepath.Join(t.TempDir(), "key")
		writeKey(t, path, mode)
		_, err := openSource(t, "file:"+path).Keys(t.Context())
		var perm *seal.PermissionError
		switch {
		case ok && err != nil:
			t.Errorf("%o: %v", mode, err)
		case !ok && (!errors.As(err, &perm) || perm.Path != path || perm.Mode != mode):
			t.Errorf("%o: %v, want a PermissionError with path and mode", mode, err)
		}
	}
}

// TestFileSourceFollowsLinks reads through a link, and judges the file behind it.
func TestFileSourceFollowsLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	want := writeKey(t, target, 0o600)
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	src := openSource(t, "file:"+link)
	keys, err := src.Keys(t.Context())
	if err != nil || keys[0].ID() != want.ID() {
		t.Errorf("through a link: %v", err)
	}
	if err := os.Chmod(target, 0o644); err != nil {
		t.Fatal(err)
	}
	var perm *seal.PermissionError
	if _, err := src.Keys(t.Context()); !errors.As(err, &perm) {
		t.Errorf("a link to a readable file: %v, want a PermissionError", err)
	}
}

func TestFileSourceDoesNotWaitForAPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSource(t, "file:"+path).Keys(t.Context()); err == nil {
		t.Error("a pipe was read as a key file")
	}
}

// TestSecretsMount checks that a readable file is accepted under a folder of
// root's only. Run as root it sees the acceptance, else the refusal.
func TestSecretsMount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	writeKey(t, path, 0o444)
	read := func() error {
		src, err := seal.OpenSource("file:"+path, seal.SourceOptions{LookupEnv: func(name string) (string, bool) {
			return dir, name == "CREDENTIALS_DIRECTORY"
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = src.Keys(t.Context())
		return err
	}
	var perm *seal.PermissionError
	if err := read(); (os.Geteuid() == 0) != (err == nil) || (err != nil && !errors.As(err, &perm)) {
		t.Errorf("under a mount of uid %d: %v", os.Geteuid(), err)
	}
	if err := os.Chmod(path, 0o464); err != nil {
		t.Fatal(err)
	}
	if err := read(); !errors.As(err, &perm) {
		t.Errorf("writable by the group: %v, want a PermissionError", err)
	}
	if err := errors.Join(os.Chmod(path, 0o444), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	if err := read(); !errors.As(err, &perm) {
		t.Errorf("in a folder that all can write: %v, want a PermissionError", err)
	}
}

func TestCreateWhateverTheUmask(t *testing.T) {
	t.Parallel()
	for _, mask := range []string{"000", "022", "077", "277", "777"} {
		dir := filepath.Join(t.TempDir(), "new", "folder")
		path := filepath.Join(dir, "key")
		if out, err := runChild(t, "create", mask+","+path); err != nil {
			t.Fatalf("umask %s: %v\n%s", mask, err, out)
		}
		for name, want := range map[string]fs.FileMode{path: 0o600, dir: 0o700, filepath.Dir(dir): 0o700} {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("umask %s: %s has mode %o, want %o", mask, filepath.Base(name), got, want)
			}
		}
	}
}

// TestCreateByManyProcesses starts processes at once on a new folder. Each of
// them reads a whole key, and afterwards there is one.
func TestCreateByManyProcesses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	path := filepath.Join(dir, "key")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if out, err := runChild(t, "create", "022,"+path); err != nil {
				t.Errorf("a process: %v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	if names := fileNames(t, dir); len(names) != 1 {
		t.Errorf("files: %v, want the key only", names)
	}
}
