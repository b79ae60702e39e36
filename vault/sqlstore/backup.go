package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"

	"github.com/grantry/grantry/vault"
)

// Progress hears how much of a long work is done, in a unit of its own.
type Progress func(done, total int64)

const watchEvery = 200 * time.Millisecond

const (
	// markAsCopy makes a database a copy, wherever it is opened.
	markAsCopy = `INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`

	forgetProcesses = `DELETE FROM processes`
)

// Backup writes a consistent copy of the vault, as a SQLite file and marked as a
// copy, to path, which must not exist; it is 0600 and synced. Other processes go
// on writing meanwhile. On error nothing is left at path. From a server all rows
// are read in one snapshot.
func (s *Store) Backup(ctx context.Context, path string, p Progress) (err error) {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.busy.Done()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("backing up to %s: %w", path, errors.Join(fs.ErrExist, err))
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("backing up: %w", errors.Join(err, removeDatabase(path)))
		}
	}()
	if f, ok := s.dialect.(*sqliteFile); ok {
		err = f.copyTo(ctx, path, p)
	} else {
		err = s.dumpTo(ctx, path, p)
	}
	if err != nil {
		return err
	}
	if err := markCopy(ctx, path); err != nil {
		return err
	}
	return syncFile(path)
}

func (f *sqliteFile) copyTo(ctx context.Context, path string, p Progress) error {
	if err := createPrivate(path); err != nil {
		return err
	}
	db, err := f.openDB(writing, 1)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var pages, size int64
	for query, into := range map[string]*int64{"PRAGMA page_count": &pages, "PRAGMA page_size": &size} {
		if err := db.QueryRowContext(ctx, query).Scan(into); err != nil {
			return fmt.Errorf("measuring the database: %w", err)
		}
	}
	stop := watchSize(path, pages*size, p)
	defer stop()
	_, err = db.ExecContext(ctx, "VACUUM INTO $1", path)
	return err
}

// watchSize tells how a file grows, until it is stopped.
func watchSize(path string, total int64, p Progress) (stop func()) {
	if p == nil {
		return func() {}
	}
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				p(total, total)
				return
			case <-tick.C:
				if info, err := os.Stat(path); err == nil {
					p(min(info.Size(), total), total)
				}
			}
		}
	}()
	return func() { close(end); <-done }
}

// dumpTo copies a server's rows into a new file. That is opened in a folder of
// its own, because a store's folder must be private.
func (s *Store) dumpTo(ctx context.Context, path string, p Progress) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".grantry-backup-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder needs its x bit
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	inside := filepath.Join(dir, "vault.db")
	target, err := Open(ctx, Config{Path: inside})
	if err != nil {
		return err
	}
	if err := errors.Join(Copy(ctx, target, s, p), target.Close()); err != nil {
		return err
	}
	return os.Rename(inside, path)
}

// markCopy says in a file that nobody has open that it is a copy, and that no process has it.
func markCopy(ctx context.Context, path string) (err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db, err := openPlain(abs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// Without a log the file is all there is of it.
	for _, query := range []string{"PRAGMA journal_mode = DELETE", forgetProcesses} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("marking the copy: %w", err)
		}
	}
	if _, err := db.ExecContext(ctx, markAsCopy, vault.HomeSetting, []byte(vault.CopyMark)); err != nil {
		return fmt.Errorf("marking the copy: %w", err)
	}
	return nil
}

// openPlain opens a file that is no store's.
func openPlain(path string) (*sql.DB, error) {
	if err := useSafeLocks(); err != nil {
		return nil, err
	}
	base, err := sqlite.NewConnector(fileURI(path) + "?mode=rw&_defensive=1&_pragma=trusted_schema(0)&_pragma=secure_delete(1)")
	if err != nil {
		return nil, fmt.Errorf("reading the data source name: %w", err)
	}
	db := sql.OpenDB(base)
	db.SetMaxOpenConns(1)
	return db, nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncFolder(filepath.Dir(path)))
}

// removeDatabase removes a file with what SQLite may have put beside it.
func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
