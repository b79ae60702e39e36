//go:build unix

package seal

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// openKeyFile does not wait for a writer if the path turns out to be a pipe.
func openKeyFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// ownersOnly says whether the mode is 0600 or 0400: nobody else has access, and it is no program.
func ownersOnly(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	return mode == 0o600 || mode == 0o400
}

// rootOwned says whether dir is root's and nobody else may add files to it.
func rootOwned(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0 && info.Mode().Perm()&0o022 == 0
}

// syncDir makes a new name in dir durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
