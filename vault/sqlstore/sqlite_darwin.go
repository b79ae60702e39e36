package sqlstore

func useSafeLocks() error { return nil }

func (f *sqliteFile) warnAboutLocks() {}

// systemPragmas have the disk flush its own cache: fsync on macOS does not.
func systemPragmas() []pragma {
	return []pragma{{"fullfsync", "1"}, {"checkpoint_fullfsync", "1"}}
}
