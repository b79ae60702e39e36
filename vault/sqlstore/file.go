package sqlstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// prepareFolder makes dir 0700 if it is missing, and refuses one that others can write.
func prepareFolder(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if info, err = makeFolder(dir); err != nil {
			return fmt.Errorf("making the folder: %w", err)
		}
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	if othersMay(info, 0o022) {
		return &PermissionError{Path: dir, Mode: info.Mode().Perm()}
	}
	return nil
}

func makeFolder(dir string) (fs.FileInfo, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	switch err := os.Mkdir(dir, 0o700); {
	case errors.Is(err, fs.ErrExist): // another process was faster
		return os.Stat(dir)
	case err != nil:
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder needs its x bit
		return nil, err
	}
	return os.Stat(dir)
}

// checkFiles refuses a file of the database that others can use, or that this
// process cannot write: SQLite would open it all the same, and fail later. It looks
// at names only: to open and close the database would drop SQLite's locks.
func checkFiles(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		info, err := os.Stat(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", path+suffix)
		}
		if othersMay(info, 0o077) {
			return &PermissionError{Path: path + suffix, Mode: info.Mode().Perm()}
		}
		if err := mayWrite(path+suffix, info); err != nil {
			return &fs.PathError{Op: "opening for writing", Path: path + suffix, Err: err}
		}
	}
	return nil
}

// createPrivate makes an empty file 0600, whatever the umask, durably. A file
// that is there is left alone and not opened. SQLite gives its other files the
// mode of the database.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// openLock opens the lock file, or makes it 0600.
func openLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case othersMay(info, 0o077):
		err = &PermissionError{Path: path, Mode: info.Mode().Perm()}
	case info.Mode().Perm() != 0o600:
		err = f.Chmod(0o600)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
