//go:build unix

package sqlstore

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// othersMay says whether group or others have one of bits.
func othersMay(info fs.FileInfo, bits fs.FileMode) bool { return info.Mode().Perm()&bits&0o077 != 0 }

// mayWrite says whether this process can write a file, also where the file system is mounted read-only.
func mayWrite(path string, _ fs.FileInfo) error {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS)
}

// tryLock answers false when another open file holds the lock.
func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) //nolint:gosec // a descriptor fits
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		default:
			return false, err
		}
	}
}

// syncFolder makes a new name in dir durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
