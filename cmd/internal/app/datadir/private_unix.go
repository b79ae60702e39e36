//go:build unix

package datadir

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkPrivate refuses a folder that is not ours, or that others can enter.
func checkPrivate(dir string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("the data folder %s belongs to another user (uid %d): run Grantry as that user, or use another folder with --data-dir", dir, st.Uid)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("others can enter the data folder %s (mode %04o): run chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}
