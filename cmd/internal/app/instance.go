package app

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// staleInstance is how long a lock file that nobody holds is kept: a lease may name it.
const staleInstance = 24 * time.Hour

// holdInstance holds an exclusive lock on run/<instance>.lock for the life of
// the process: whoever can take it knows that the process is gone, without
// trusting process ids. It is a file of its own, so that SQLite's locks are untouched.
func (a *App) holdInstance() (*os.File, error) {
	dir := filepath.Join(a.cfg.DataDir, runFolder)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.Chmod(dir, 0o700) // a umask may take bits away from the owner, too
	}
	if err != nil {
		return nil, &UsageError{Text: fmt.Sprintf("cannot write to the data folder %s: %v; make it yours to write, or use another with --data-dir", a.cfg.DataDir, err)}
	}
	a.sweepInstances(dir)
	f, err := os.OpenFile(a.instanceFile(a.instance), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making instance lock: %w", err)
	}
	if ok, err := tryLock(f); err != nil || !ok {
		_ = f.Close()
		return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	return f, nil
}

func (a *App) instanceFile(id string) string {
	return filepath.Join(a.cfg.DataDir, runFolder, filepath.Base(id)+".lock")
}

// instanceDead says whether the process of that instance is provably gone. A
// missing file proves nothing: it may be another machine's.
func (a *App) instanceDead(id string) bool {
	if id == a.instance {
		return false
	}
	f, err := os.OpenFile(a.instanceFile(id), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	ok, err := tryLock(f)
	return err == nil && ok
}

// sweepInstances removes lock files of processes that ended without doing so themselves, a while ago.
func (a *App) sweepInstances(dir string) {
	names, _ := filepath.Glob(filepath.Join(dir, "*.lock"))
	for _, n := range names {
		info, err := os.Stat(n)
		if err != nil || time.Since(info.ModTime()) < staleInstance {
			continue
		}
		id := filepath.Base(n[:len(n)-len(".lock")])
		if a.instanceDead(id) {
			_ = os.Remove(n)
		}
	}
}
