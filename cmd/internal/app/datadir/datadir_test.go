package datadir_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/grantry/grantry/cmd/internal/app/datadir"
)

func TestEnsureMakesAPrivateFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "share", "grantry")
	for range 2 { // the second time it is there already
		if _, err := datadir.Ensure(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		info, err := os.Stat(d)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %04o, want 0700", d, info.Mode().Perm())
		}
	}
}

func TestEnsureByManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "grantry")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := datadir.Ensure(dir); err != nil {
				t.Error(err)
			}
			if err := datadir.MarkSandbox(dir, true); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "vault.db"), nil, 0o600); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestEnsureRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(t *testing.T, dir string)
		want    string
	}{
		"readable by others": {mode(0o755), "run chmod 700"},
		"enterable by group": {mode(0o710), "run chmod 700"},
		"writable by others": {mode(0o702), "run chmod 700"},
		"a file":             {file, "is a file"},
		"a link to a folder of others": {func(t *testing.T, dir string) {
			target := dir + "-target"
			mode(0o755)(t, target)
			must(t, os.Symlink(target, dir))
		}, "run chmod 700"},
		"a dangling link": {func(t *testing.T, dir string) {
			must(t, os.Symlink(dir+"-nowhere", dir))
		}, "making the data folder"},
	}
	if os.Geteuid() == 0 {
		tests["another user's"] = struct {
			prepare func(t *testing.T, dir string)
			want    string
		}{func(t *testing.T, dir string) {
			mode(0o700)(t, dir)
			must(t, os.Chown(dir, 12345, 12345))
		}, "belongs to another user"}
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "grantry")
			tc.prepare(t, dir)
			_, err := datadir.Ensure(dir)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Ensure: %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestEnsureWantsAnAbsolutePath(t *testing.T) {
	t.Parallel()
	if _, err := datadir.Ensure("grantry"); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("Ensure of a relative path: %v", err)
	}
}

func TestMarkSandbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, datadir.MarkSandbox(dir, false)) // an empty folder is nobody's
	must(t, datadir.MarkSandbox(dir, true))
	file(t, filepath.Join(dir, "vault.db"))
	must(t, datadir.MarkSandbox(dir, true))
	info, err := os.Stat(filepath.Join(dir, datadir.Marker))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the marker has mode %04o, want 0600", info.Mode().Perm())
	}
	if err := datadir.MarkSandbox(dir, false); err == nil || !strings.Contains(err.Error(), "start with --sandbox") {
		t.Errorf("a normal start in the sandbox's folder: %v", err)
	}
}

func TestMarkSandboxRefusesARealVault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file(t, filepath.Join(dir, "vault.db"))
	must(t, datadir.MarkSandbox(dir, false))
	if err := datadir.MarkSandbox(dir, true); err == nil || !strings.Contains(err.Error(), "without --sandbox") {
		t.Errorf("the sandbox in a real vault's folder: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, datadir.Marker)); err == nil {
		t.Error("a real vault was marked as the sandbox's")
	}
}

func mode(m os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.Chmod(dir, m))
	}
}

func file(t *testing.T, name string) {
	t.Helper()
	must(t, os.WriteFile(name, []byte("x"), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
