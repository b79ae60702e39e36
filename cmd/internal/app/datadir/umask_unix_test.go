//go:build unix

package datadir_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/grantry/grantry/cmd/internal/app/datadir"
)

// TestEnsureWhateverTheUmask is not parallel: the umask is the process's.
func TestEnsureWhateverTheUmask(t *testing.T) {
	dirs := map[int]string{}
	for _, mask := range []int{0, 0o022, 0o077, 0o377} {
		dirs[mask] = filepath.Join(t.TempDir(), "grantry")
		before := syscall.Umask(mask)
		_, err := datadir.Ensure(dirs[mask])
		syscall.Umask(before)
		must(t, err)
	}
	for mask, dir := range dirs {
		info, err := os.Stat(dir)
		must(t, err)
		if info.Mode().Perm() != 0o700 {
			t.Errorf("umask %04o: mode %04o, want 0700", mask, info.Mode().Perm())
		}
	}
}
