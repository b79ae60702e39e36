package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// CheckFile looks at a file that nobody has open before it becomes a vault's:
// that it is a Grantry vault of a schema that this program knows, and whole
// (integrity_check and foreign keys). The errors are ErrNotVault, ErrCorrupt and *SchemaError.
func CheckFile(ctx context.Context, path string) error {
	if err := useSafeLocks(); err != nil {
		return err
	}
	dir, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	known, err := newest(dir)
	if err != nil {
		return err
	}
	f := &sqliteFile{cfg: Config{Path: path, BusyTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)}, migrations: dir}
	id, err := f.inspect(ctx)
	switch {
	case err != nil:
		return err
	case id.application != applicationID:
		return ErrNotVault
	case max(id.version, id.migrated) > known:
		return &SchemaError{Have: max(id.version, id.migrated), Known: known}
	}
	return wholeFile(ctx, path)
}

func wholeFile(ctx context.Context, path string) (err error) {
	db, err := openPlain(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return inspectError(err)
	}
	rows, err := db.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return inspectError(err)
	}
	defer func() { _ = rows.Close() }()
	if verdict != "ok" || rows.Next() {
		return ErrCorrupt
	}
	return rows.Err()
}

// MarkCopy says in a file that nobody has open that it is a copy: no vendor is
// contacted from it before somebody confirms it.
func MarkCopy(ctx context.Context, path string) error {
	if err := markCopy(ctx, path); err != nil {
		return err
	}
	return syncFile(path)
}

// Replace puts the database file with in the place of path, whose file goes to
// keep with its log, if there is one; nothing may be at keep. It holds the lock
// that every store takes when it opens, and asks idle under it whether nobody
// has the old file open: whoever comes later opens the new one.
func Replace(ctx context.Context, path, with, keep string, idle func() error) error {
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return fmt.Errorf("taking the lock file: %w", err)
	}
	defer unlock()
	if err := idle(); err != nil {
		return err
	}
	switch _, err := os.Lstat(path); {
	case err == nil:
		if err := setAside(ctx, path, keep); err != nil {
			return fmt.Errorf("keeping the old database: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.Rename(with, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// setAside first has SQLite empty the log, so that the file is all there is. One
// that is too damaged for that takes its log along: under its new name the two still belong together.
func setAside(ctx context.Context, path, keep string) error {
	if _, err := os.Lstat(keep); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", keep, errors.Join(fs.ErrExist, err))
	}
	if err := foldLog(ctx, path); err != nil && ctx.Err() != nil {
		return err
	}
	for _, suffix := range []string{"-wal", ""} {
		if err := os.Rename(path+suffix, keep+suffix); err != nil && (suffix == "" || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func foldLog(ctx context.Context, path string) (err error) {
	db, err := openPlain(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	_, err = truncateLog(ctx, conn)
	return err
}
