package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	shredTries = 6
	shredPause = 500 * time.Millisecond

	// needle is how much of a value is looked for, at two places of it: a long one may lie on two pages.
	needle = 24

	readPages = `SELECT data FROM sqlite_dbpage`
)

var _ vault.Shredder = (*Store)(nil)

// Shred implements vault.Shredder. SQLite overwrites what is deleted, with two
// exceptions. The log still holds it until it is emptied, which a reader in
// another process can keep it from for as long as it reads. And a row that moved
// to another page before it was deleted may have left itself behind in the page's
// free part (one user of some hundreds): so every page is looked at, and where a
// value is found the whole file is written anew. What a server keeps of deleted
// rows, in tables that it has not vacuumed and in its log, cannot be seen from here.
func (s *Store) Shred(ctx context.Context, values [][]byte) error {
	f, ok := s.dialect.(*sqliteFile)
	if !ok {
		return fmt.Errorf("a server keeps deleted rows for a while: %w", vault.ErrStillOnDisk)
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.busy.Done()
	defer s.mover.hold()()
	for _, last := range []bool{false, true} {
		if err := f.emptyLogPatiently(ctx, s.writer.db); err != nil {
			return err
		}
		found, err := remains(ctx, s.reader.db, needles(values))
		switch {
		case err != nil || !found:
			return err
		case !last:
			if err := f.rewrite(ctx); err != nil {
				return fmt.Errorf("%w: %w", vault.ErrStillOnDisk, err)
			}
		}
	}
	return vault.ErrStillOnDisk
}

// emptyLogPatiently waits a few seconds for readers of other processes.
func (f *sqliteFile) emptyLogPatiently(ctx context.Context, writer *sql.DB) (err error) {
	conn, err := writer.Conn(ctx)
	if err != nil {
		return fmt.Errorf("waiting for a connection: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := setBusyTimeout(ctx, conn, shredPause); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, setBusyTimeout(context.WithoutCancel(ctx), conn, f.cfg.BusyTimeout)) }()
	for range shredTries {
		emptied, err := truncateLog(ctx, conn)
		if err != nil || emptied {
			return err
		}
		time.Sleep(shredPause / 10) // SQLite waits for readers, but not for another process that empties the log
	}
	return fmt.Errorf("another process is reading the database: %w", vault.ErrStillOnDisk)
}

// truncateLog says whether the write-ahead log holds nothing any more.
func truncateLog(ctx context.Context, conn *sql.Conn) (bool, error) {
	var busy, logged, moved int64
	err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved)
	if isBusy(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("emptying the log: %w", err)
	}
	return busy == 0, nil
}

// needles are the end of each value and a part of its middle, which no other value has in common with it.
func needles(values [][]byte) (out [][]byte) {
	for _, v := range values {
		if len(v) < needle {
			continue
		}
		out = append(out, v[len(v)-needle:])
		if middle := len(v) / 2; middle+needle <= len(v)-needle {
			out = append(out, v[middle:middle+needle])
		}
	}
	return out
}

// remains looks for values in all pages, also in what of them no row uses.
func remains(ctx context.Context, reader *sql.DB, values [][]byte) (bool, error) {
	rows, err := reader.QueryContext(ctx, readPages)
	if err != nil {
		return false, fmt.Errorf("reading the database's pages: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var page sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&page); err != nil {
			return false, fmt.Errorf("reading the database's pages: %w", err)
		}
		for _, v := range values {
			if bytes.Contains(page, v) {
				return true, nil
			}
		}
	}
	return false, errors.Join(rows.Err())
}

// rewrite has SQLite write every page anew. Writers wait meanwhile. The copy that
// it needs for that goes to a temporary file and not into memory.
func (f *sqliteFile) rewrite(ctx context.Context) error {
	db, err := f.openDB(writing, 1)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for _, query := range []string{"PRAGMA temp_store = 1", "VACUUM"} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("writing the database anew: %w", err)
		}
	}
	return nil
}
