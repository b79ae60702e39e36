package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// stale is how long a lock file that nobody holds is kept: a lease may name it.
const stale = 24 * time.Hour

// Folder is where the lock files of a vault's processes lie.
type Folder string

// Hold takes the lock file of id for the life of this process, and removes those
// of processes that died long ago. The folder is made (0700) if missing. Who is
// done closes the file and removes it. A *FolderError says that the folder cannot be made.
func (f Folder) Hold(id string) (*os.File, error) {
	err := os.MkdirAll(string(f), 0o700)
	if err == nil {
		err = os.Chmod(string(f), 0o700) // a umask may take bits away from the owner, too
	}
	if err != nil {
		return nil, &FolderError{Err: err}
	}
	f.sweep(id)
	file, err := os.OpenFile(f.path(id), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making instance lock: %w", err)
	}
	ok, err := tryLock(file)
	if ok && err == nil {
		return file, nil
	}
	_ = file.Close()
	if err == nil {
		err = errors.New("another process has this id")
	}
	return nil, fmt.Errorf("locking %s: %w", file.Name(), err)
}

// FolderError says that the folder of the lock files cannot be made or made private.
type FolderError struct{ Err error }

// Error says so.
func (e *FolderError) Error() string {
	return fmt.Sprintf("making the folder of lock files: %v", e.Err)
}

// Unwrap is the cause.
func (e *FolderError) Unwrap() error { return e.Err }

func (f Folder) path(id string) string {
	return filepath.Join(string(f), filepath.Base(id)+".lock")
}

// Dead says whether the process of that id is provably gone. A missing file
// proves nothing: it may be another machine's. A process must not ask about itself.
func (f Folder) Dead(id string) bool {
	file, err := os.OpenFile(f.path(id), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	ok, err := tryLock(file)
	return err == nil && ok
}

// sweep removes lock files of processes that ended without doing so themselves, a while ago.
func (f Folder) sweep(self string) {
	names, _ := filepath.Glob(filepath.Join(string(f), "*.lock"))
	for _, n := range names {
		info, err := os.Stat(n)
		if err != nil || time.Since(info.ModTime()) < stale {
			continue
		}
		if id := filepath.Base(n[:len(n)-len(".lock")]); id != self && f.Dead(id) {
			_ = os.Remove(n)
		}
	}
}

// Others counts the processes beside self that hold a lock file here.
func (f Folder) Others(self string) (n int) {
	names, _ := filepath.Glob(filepath.Join(string(f), "*.lock"))
	for _, name := range names {
		id := filepath.Base(name[:len(name)-len(".lock")])
		if _, err := os.Stat(name); err == nil && id != self && !f.Dead(id) {
			n++
		}
	}
	return n
}
