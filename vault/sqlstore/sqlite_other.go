//go:build !linux && !darwin

package sqlstore

func useSafeLocks() error { return nil }

func (f *sqliteFile) warnAboutLocks() {}

func systemPragmas() []pragma { return nil }
