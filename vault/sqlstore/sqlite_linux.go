package sqlstore

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// useSafeLocks has SQLite use locks that belong to an open file and not to the
// process: POSIX locks go when anything in the process closes the database file.
// The choice is the process's and must come before its first connection.
func useSafeLocks() error {
	if _, err := sqlite.OFDLocking(true); err != nil && !errors.Is(err, sqlite.ErrOFDLockingUnavailable) {
		return fmt.Errorf("choosing locks: %w", err)
	}
	return nil
}

// warnAboutLocks tells when the kernel or the file system had no such locks.
func (f *sqliteFile) warnAboutLocks() {
	if !sqlite.OFDLockingEnabled() {
		f.cfg.Logger.Warn("the file system has no locks of open files, SQLite falls back to locks of the process", "path", f.cfg.Path)
	}
}

func systemPragmas() []pragma { return nil }
