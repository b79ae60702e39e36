package sqlstore

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// othersMay is false: Windows has access lists in place of mode bits, and a
// user's own folders are that user's by default.
func othersMay(fs.FileInfo, fs.FileMode) bool { return false }

// mayWrite looks at the read-only attribute.
func mayWrite(_ string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o200 == 0 {
		return fs.ErrPermission
	}
	return nil
}

// tryLock answers false when another open file holds the lock.
func tryLock(f *os.File) (bool, error) {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// syncFolder does nothing: NTFS journals names.
func syncFolder(string) error { return nil }
