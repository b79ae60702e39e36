package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteFile is a database file, as the dialect of the store that has it open.
type sqliteFile struct {
	cfg        Config
	migrations fs.FS
}

// role is what a handle is for.
type role int

const (
	writing   role = iota // every commit is synced
	appending             // commits are synced by the next one of the writer
	reading
)

// synchronous is the setting by its name in a data source name, and as SQLite reads it back.
func (r role) synchronous() pragma {
	if r == appending {
		return pragma{"NORMAL", "1"}
	}
	return pragma{"FULL", "2"}
}

// pragma is a setting with the value that SQLite reads back.
type pragma struct{ name, want string }

// openDB opens a handle of n connections, each with settings that are read back.
func (f *sqliteFile) openDB(r role, n int) (*sql.DB, error) {
	sqlite.StrictPragmas(true)
	base, err := sqlite.NewConnector(f.dsn(r))
	if err != nil {
		return nil, fmt.Errorf("reading the data source name: %w", err)
	}
	db := sql.OpenDB(checkedConnector{Connector: base, want: f.pragmas(r)})
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// dsn names the file and every setting. Transactions of the writer begin
// immediately: one that has begun never fails because of another writer.
func (f *sqliteFile) dsn(r role) string {
	q := url.Values{
		"mode": {"rw"}, "_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_synchronous": {r.synchronous().name},
		"_busy_timeout": {strconv.FormatInt(f.cfg.BusyTimeout.Milliseconds(), 10)},
		"_foreign_keys": {"on"}, "_defensive": {"1"}, "_dqs": {"0"},
		"_pragma": {
			"trusted_schema(0)", "secure_delete(1)", "cell_size_check(1)",
			"temp_store(2)", "journal_size_limit(16777216)", "wal_autocheckpoint(16384)",
		},
	}
	if r == reading {
		q.Set("_query_only", "1")
		q.Set("_txlock", "deferred")
	}
	for _, p := range systemPragmas() {
		q.Add("_pragma", p.name+"("+p.want+")")
	}
	return fileURI(f.cfg.Path) + "?" + q.Encode()
}

// fileURI writes a path as SQLite reads it: only a file: name takes parameters.
func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // C:/…
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// pragmas are the settings of dsn as SQLite must read them back. The last one
// shows that defensive mode is on: then SQLite ignores the attempt to set it.
func (f *sqliteFile) pragmas(r role) []pragma {
	return append([]pragma{
		{"journal_mode", "wal"},
		{"synchronous", r.synchronous().want},
		{"busy_timeout", strconv.FormatInt(f.cfg.BusyTimeout.Milliseconds(), 10)},
		{"foreign_keys", "1"},
		{"trusted_schema", "0"},
		{"secure_delete", "1"},
		{"cell_size_check", "1"},
		{"temp_store", "2"},
		{"journal_size_limit", "16777216"},
		{"wal_autocheckpoint", "16384"}, // where the mover does not get through
		{"query_only", strconv.FormatInt(integer(r == reading), 10)},
		{"writable_schema", "0"},
	}, systemPragmas()...)
}

// checkedConnector refuses a connection whose settings read back otherwise.
type checkedConnector struct {
	driver.Connector
	want []pragma
}

// Connect opens a connection and reads its settings back.
func (c checkedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.check(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (c checkedConnector) check(ctx context.Context, conn driver.Conn) error {
	if _, err := readBack(ctx, conn, "PRAGMA writable_schema = ON"); err != nil {
		return err
	}
	for _, p := range c.want {
		got, err := readBack(ctx, conn, "PRAGMA "+p.name)
		if err != nil {
			return err
		}
		if got != p.want {
			return &SettingError{Name: p.name, Got: got, Want: p.want}
		}
	}
	if stmt, err := conn.Prepare(`SELECT "a quoted name that is no column"`); err == nil {
		return errors.Join(&SettingError{Name: "dqs", Got: "1", Want: "0"}, stmt.Close())
	}
	return nil
}

// readBack answers the first column of the first row, "" if there is none.
func readBack(ctx context.Context, conn driver.Conn, query string) (string, error) {
	q, ok := conn.(driver.QueryerContext)
	if !ok {
		return "", errors.New("reading a setting: the driver cannot query")
	}
	rows, err := q.QueryContext(ctx, query, nil)
	if err != nil {
		return "", fmt.Errorf("reading a setting: %w", err)
	}
	defer func() { _ = rows.Close() }()
	values := make([]driver.Value, max(1, len(rows.Columns())))
	switch err := rows.Next(values); {
	case errors.Is(err, io.EOF):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading a setting: %w", err)
	}
	return fmt.Sprint(values[0]), nil
}

// checkpoint empties the write-ahead log. It waits a second at most for readers
// of other processes, and does without if they stay.
func (f *sqliteFile) checkpoint(ctx context.Context, writer *sql.DB) error {
	conn, err := writer.Conn(ctx)
	if err != nil {
		return fmt.Errorf("checkpointing: %w", err)
	}
	defer func() { _ = conn.Close() }()
	ctx = context.WithoutCancel(ctx)
	wait := min(f.cfg.BusyTimeout, time.Second)
	if err := setBusyTimeout(ctx, conn, wait); err != nil {
		return err
	}
	var busy, logged, moved int64
	err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved)
	if err != nil && !isBusy(err) {
		return errors.Join(fmt.Errorf("checkpointing: %w", err), setBusyTimeout(ctx, conn, f.cfg.BusyTimeout))
	}
	return setBusyTimeout(ctx, conn, f.cfg.BusyTimeout)
}

// readers leaves as many processors to those who write and encrypt: every thread
// beyond the processors waits for a slice of the kernel's time, some milliseconds.
func (f *sqliteFile) readers() int { return min(max(1, runtime.GOMAXPROCS(0)/2), readPool) }

func (f *sqliteFile) room() error {
	free, err := freeSpace(filepath.Dir(f.cfg.Path))
	if err != nil {
		return fmt.Errorf("looking for free space: %w", err)
	}
	if free < f.cfg.Reserve {
		return fmt.Errorf("%d bytes left of %d: %w", free, f.cfg.Reserve, ErrNoSpace)
	}
	return nil
}

func setBusyTimeout(ctx context.Context, conn *sql.Conn, d time.Duration) error {
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = "+strconv.FormatInt(d.Milliseconds(), 10)); err != nil {
		return fmt.Errorf("setting busy timeout: %w", err)
	}
	return nil
}

// begin starts a transaction with the queries of p. A writer's has the file's
// write lock from its beginning.
func (f *sqliteFile) begin(ctx context.Context, s *seat, p pool) (*tx, error) {
	ctx = context.WithoutCancel(ctx)
	query := "BEGIN IMMEDIATE"
	if p.readOnly {
		query = "BEGIN"
	}
	if _, err := s.exec(ctx, query, nil); err != nil {
		return nil, err
	}
	return &tx{ctx: ctx, run: s, sql: s.conn, seat: s, now: noClock}, nil
}

func (f *sqliteFile) commit(t *tx) error {
	_, err := t.run.exec(t.ctx, "COMMIT", nil)
	t.committed = err == nil
	return err
}

// rollback fails where SQLite has done it already, as it does when the disk is
// full. A connection is not worth telling that from worse.
func (f *sqliteFile) rollback(t *tx) {
	defer func() { t.ctx = over }()
	if t.committed {
		return
	}
	if _, err := t.run.exec(t.ctx, "ROLLBACK", nil); err != nil {
		t.seat.bad = true
	}
}

func (f *sqliteFile) again(_ *sql.Conn, err error) bool { return isBusy(err) }

// isBusy says whether another process kept the lock for the whole timeout.
func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// isForeign says that the file is no SQLite database at all.
func isForeign(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_NOTADB
}

// isReadOnly says that the file, or its folder, cannot be written.
func isReadOnly(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_READONLY || e.Code()&0xff == sqlite3.SQLITE_CANTOPEN)
}

func isDamage(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_CORRUPT
}
