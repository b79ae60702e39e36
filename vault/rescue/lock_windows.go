package rescue

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock takes an exclusive lock without waiting; it ends with the file's
// handle. The byte lies beyond any record: Windows lets nobody read a locked one.
func tryLock(f *os.File) (bool, error) {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 0x7fffffff})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// remove closes the file first: Windows removes none that is open.
func remove(f *os.File) error {
	if err := f.Close(); err != nil {
		return err
	}
	err := os.Remove(f.Name())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// syncFolder does nothing: NTFS journals names.
func syncFolder(string) error { return nil }
