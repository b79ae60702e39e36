package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

const (
	// largeLog is a write-ahead log that some reader keeps from being emptied.
	largeLog = 64 << 20
	// tendWait is for readers of other processes; writers wait as long.
	tendWait = 50 * time.Millisecond
)

// Tend empties SQLite's write-ahead log if nobody reads it just now, and warns
// of one that grows because somebody always does. A server tends itself.
func (s *Store) Tend(ctx context.Context) error {
	f, ok := s.dialect.(*sqliteFile)
	if !ok {
		return nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.busy.Done()
	size, err := f.logSize()
	if err != nil || size == 0 {
		return err
	}
	defer s.mover.hold()()
	if err := s.take(ctx); err != nil {
		return err
	}
	err = f.emptyLog(ctx, s.writer.db)
	s.give()
	if err != nil {
		return err
	}
	if size, err = f.logSize(); err == nil && size > largeLog {
		f.cfg.Logger.Warn("the write-ahead log is large: a reader keeps it from being emptied", "bytes", size)
	}
	return err
}

func (f *sqliteFile) logSize() (int64, error) {
	info, err := os.Stat(f.cfg.Path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("looking at the write-ahead log: %w", err)
	}
	return info.Size(), nil
}

func (f *sqliteFile) emptyLog(ctx context.Context, writer *sql.DB) error {
	conn, err := writer.Conn(ctx)
	if err != nil {
		return fmt.Errorf("waiting for a connection: %w", err)
	}
	defer func() { _ = conn.Close() }()
	ctx = context.WithoutCancel(ctx)
	if err := setBusyTimeout(ctx, conn, tendWait); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	if isBusy(err) {
		err = nil
	}
	return errors.Join(err, setBusyTimeout(ctx, conn, f.cfg.BusyTimeout))
}

// Inspect has SQLite read every page and compare every index with its table,
// beside the readers and writers of the time. ErrCorrupt says that something is
// damaged. A server inspects itself.
func (s *Store) Inspect(ctx context.Context) error {
	f, ok := s.dialect.(*sqliteFile)
	if !ok {
		return nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.busy.Done()
	if err := f.readAll(ctx); err != nil {
		return fmt.Errorf("inspecting the database: %w", err)
	}
	return nil
}

// readAll takes a connection of its own: the others have pages in memory, which say nothing of the disk.
func (f *sqliteFile) readAll(ctx context.Context) (err error) {
	db, err := f.openDB(reading, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	err = db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return inspectError(err)
	case verdict != "ok":
		return ErrCorrupt
	}
	return nil
}
