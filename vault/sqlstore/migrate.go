package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strconv"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// applicationID is "GRNT", as the first migration sets it.
const applicationID = 0x47524e54

//go:embed migrations
var migrations embed.FS

// identity is what a database file says of itself.
type identity struct {
	application, version int64
	tables               int64 // without SQLite's and goose's own
	migrated             int64 // the newest migration that goose noted, in a file that is ours
}

// migrate looks at the file before anything is written to it, refuses one that is
// not ours, newer or damaged, and brings an older one up to date. The caller
// holds the lock file.
func (f *sqliteFile) migrate(ctx context.Context) error {
	known, err := newest(f.migrations)
	if err != nil {
		return err
	}
	have, err := f.inspect(ctx)
	if err != nil {
		return err
	}
	switch {
	case have.application != applicationID && have != (identity{}):
		return ErrNotVault
	case max(have.version, have.migrated) > known:
		return &SchemaError{Have: max(have.version, have.migrated), Known: known}
	case have.version == known:
		return nil
	}
	return f.upgrade(ctx, have.version, known)
}

// inspect reads the file with a connection that changes nothing, and has SQLite check it.
func (f *sqliteFile) inspect(ctx context.Context) (id identity, err error) {
	q := url.Values{"mode": {"rw"}, "_query_only": {"1"}, "_busy_timeout": {strconv.FormatInt(f.cfg.BusyTimeout.Milliseconds(), 10)}}
	base, err := sqlite.NewConnector(fileURI(f.cfg.Path) + "?" + q.Encode())
	if err != nil {
		return id, fmt.Errorf("reading the data source name: %w", err)
	}
	db := sql.OpenDB(base)
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	const count = `SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%'`
	for query, into := range map[string]*int64{"PRAGMA application_id": &id.application, "PRAGMA user_version": &id.version, count: &id.tables} {
		if err := db.QueryRowContext(ctx, query).Scan(into); err != nil {
			return id, inspectError(err)
		}
	}
	if id.application == applicationID {
		if id.migrated, err = noted(ctx, db); err != nil {
			return id, inspectError(err)
		}
	}
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return id, inspectError(err)
	}
	if verdict != "ok" {
		return id, ErrCorrupt
	}
	return id, nil
}

// noted answers the newest migration in goose's list, 0 if there is no list.
func noted(ctx context.Context, db *sql.DB) (version int64, err error) {
	var lists int64
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'goose_db_version'`).Scan(&lists)
	if err != nil || lists == 0 {
		return 0, err
	}
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	return version, err
}

func inspectError(err error) error {
	switch {
	case isForeign(err):
		err = ErrNotVault
	case isDamage(err):
		err = ErrCorrupt
	}
	return fmt.Errorf("looking at the database: %w", err)
}

// upgrade backs an existing database up and runs what is missing, each migration
// in a transaction that also sets the version.
func (f *sqliteFile) upgrade(ctx context.Context, from, to int64) error {
	db, err := f.openDB(writing, 1)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if from > 0 {
		if err := f.backup(ctx, db, from); err != nil {
			return fmt.Errorf("backing up before a migration: %w", err)
		}
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, f.migrations, goose.WithDisableGlobalRegistry(true), goose.WithSlog(f.cfg.Logger))
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating from %d to %d: %w", from, to, err)
	}
	var got int64
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&got); err != nil {
		return fmt.Errorf("reading the version: %w", err)
	}
	if got != to {
		return &SettingError{Name: "user_version", Got: strconv.FormatInt(got, 10), Want: strconv.FormatInt(to, 10)}
	}
	return nil
}

// backup writes the database as it is beside it. One of an earlier attempt is replaced.
func (f *sqliteFile) backup(ctx context.Context, db *sql.DB, version int64) error {
	target := f.cfg.Path + ".v" + strconv.FormatInt(version, 10) + ".bak"
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := createPrivate(target); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO $1", target); err != nil {
		return err
	}
	f.cfg.Logger.Info("database backed up before a migration", "file", target, "version", version)
	return nil
}

// newest answers the highest number of the migrations in dir.
func newest(dir fs.FS) (int64, error) {
	names, err := fs.Glob(dir, "*.sql")
	if err != nil || len(names) == 0 {
		return 0, errors.Join(errors.New("reading migrations: none"), err)
	}
	v, err := goose.NumericComponent(path.Base(names[len(names)-1]))
	if err != nil {
		return 0, fmt.Errorf("reading migrations: %w", err)
	}
	return v, nil
}
