//go:build !linux && !darwin

package sqlstore

func useSafeLocks() error { return nil }

func (s *Store) warnAboutLocks() {}

func systemPragmas() []pragma { return nil }
