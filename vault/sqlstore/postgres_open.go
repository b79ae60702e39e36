package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/grantry/grantry/vault/provider"
)

const (
	// connectLimit is for one connection, where the URL has no connect_timeout.
	connectLimit = 10 * time.Second
	// oldestServer has pg_current_xact_id and pg_xact_status by these names.
	oldestServer = 130000
	// versionTable is goose's, under a name that no other program's goose uses.
	versionTable = "grantry_schema"
)

// PostgresConfig is what a store on PostgreSQL is made of.
type PostgresConfig struct {
	// URL is postgres://user:password@host:port/database?sslmode=verify-full, as
	// libpq reads it. search_path may name a schema other than the user's own.
	// A pooler that hands a connection over after each transaction needs
	// default_query_exec_mode=exec if it does not track prepared statements
	// (PgBouncer before 1.21, or with max_prepared_statements=0).
	URL provider.Secret
	// Logger receives warnings; nil = none.
	Logger *slog.Logger
}

// OpenPostgres connects to a server of version 13 or later, makes the tables if
// they are not there, and migrates them. It may be called by several processes
// at once. A store has up to five connections, and one more while it is watched. The errors are ErrURL,
// *SchemaError, *SettingError (a server that acknowledges what is not yet on
// disk, or that cannot write) and ErrNotVault, none of which has changed the
// database, and those of the network; none holds the password.
func OpenPostgres(ctx context.Context, cfg PostgresConfig) (*Store, error) {
	dir, err := fs.Sub(migrations, "migrations/postgres")
	if err != nil {
		return nil, fmt.Errorf("reading migrations: %w", err)
	}
	return openPostgresWith(ctx, cfg, dir)
}

func openPostgresWith(ctx context.Context, cfg PostgresConfig, migrations fs.FS) (*Store, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	server, err := cfg.server()
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	db := func(connections int) *sql.DB {
		db := stdlib.OpenDB(*server, stdlib.OptionAfterConnect(checkServer))
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
		return db
	}
	d := &postgres{ask: db(readPool), idleLimit: defaultIdleLimit, server: server, teller: teller{id: rand.Text()}}
	s := &Store{dialect: d, writer: pool{db: db(1)}, reader: pool{db: d.ask, readOnly: true}, turn: make(chan struct{}, 1)}
	s.appender = pool{db: s.writer.db, unsynced: true}
	if err := errors.Join(d.migrate(ctx, cfg.Logger, migrations), ctx.Err()); err != nil {
		return nil, fmt.Errorf("opening store: %w", errors.Join(err, s.closePools()))
	}
	if err := prepareAll(ctx, s.writer.db); err != nil {
		return nil, fmt.Errorf("opening store: %w", errors.Join(err, s.closePools()))
	}
	return s, nil
}

// server reads the URL. What pgx says of one that does not parse may hold parts of it.
func (c PostgresConfig) server() (*pgx.ConnConfig, error) {
	url := c.URL.Reveal()
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return nil, ErrURL
	}
	server, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, ErrURL
	}
	if server.ConnectTimeout == 0 {
		server.ConnectTimeout = connectLimit
	}
	if server.RuntimeParams["application_name"] == "" {
		server.RuntimeParams["application_name"] = "grantry"
	}
	local := strings.HasPrefix(server.Host, "/") || slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, server.Host)
	if !local && (server.TLSConfig == nil || server.TLSConfig.InsecureSkipVerify && server.TLSConfig.VerifyPeerCertificate == nil) {
		c.Logger.Warn("the database's server need not prove itself: add sslmode=verify-full to the URL", "host", server.Host)
	}
	return server, nil
}

// checkServer holds each new connection to what the vault's promises rest on.
func checkServer(ctx context.Context, conn *pgx.Conn) error {
	for _, s := range []struct {
		name string
		want []string
	}{
		{"synchronous_commit", []string{"on", "remote_apply"}},
		{"fsync", []string{"on"}},
		{"full_page_writes", []string{"on"}},
		{"transaction_read_only", []string{"off"}},
		{"server_encoding", []string{"UTF8"}},
	} {
		var got string
		if err := conn.QueryRow(ctx, "SHOW "+s.name).Scan(&got); err != nil {
			return fmt.Errorf("reading a setting: %w", err)
		}
		if !slices.Contains(s.want, got) {
			return &SettingError{Name: s.name, Got: got, Want: strings.Join(s.want, " or ")}
		}
	}
	var version int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return fmt.Errorf("reading a setting: %w", err)
	}
	if version < oldestServer {
		return &SettingError{Name: "server_version_num", Got: strconv.Itoa(version), Want: strconv.Itoa(oldestServer) + " or more"}
	}
	return noteLife(ctx, conn)
}

// prepareAll prepares every query, so that a wrong one shows at once. It does so
// in one transaction, for poolers, and keeps none: pgx prepares again what is used.
func prepareAll(ctx context.Context, db *sql.DB) error {
	t, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("preparing queries: %w", err)
	}
	defer func() { _ = t.Rollback() }()
	for _, q := range append(queries(), lockWriters, askOutcome, askClock) {
		stmt, err := t.PrepareContext(ctx, q)
		if err == nil {
			err = stmt.Close()
		}
		if err != nil {
			return fmt.Errorf("preparing a query: %w", err)
		}
	}
	return nil
}

// migrate looks at the tables before anything is written, and runs what is
// missing, each migration in a transaction. A lock in a transaction of its own
// keeps other processes out meanwhile; it needs no session, so poolers do not mind.
func (d *postgres) migrate(ctx context.Context, log *slog.Logger, dir fs.FS) error {
	known, err := newest(dir)
	if err != nil {
		return err
	}
	lock, err := d.ask.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = lock.Rollback() }()
	if _, err := lock.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(applicationID)); err != nil {
		return fmt.Errorf("waiting for another process's migration: %w", err)
	}
	have, err := schemaVersion(ctx, lock)
	switch {
	case err != nil:
		return fmt.Errorf("looking at the database: %w", err)
	case have > known:
		return &SchemaError{Have: have, Known: known}
	case have == known:
		return nil
	}
	p, err := goose.NewProvider(goose.DialectPostgres, d.ask, dir,
		goose.WithDisableGlobalRegistry(true), goose.WithTableName(versionTable), goose.WithSlog(log))
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating from %d to %d: %w", have, known, err)
	}
	return nil
}

// schemaVersion is 0 for a schema that holds none of our tables.
func schemaVersion(ctx context.Context, t *sql.Tx) (version int64, err error) {
	const find = `SELECT count(*) FILTER (WHERE tablename = $1), count(*) FILTER (WHERE tablename <> $1)
		FROM pg_tables WHERE schemaname = current_schema()
		AND tablename IN ($1, 'users', 'data_keys', 'settings', 'grants', 'access', 'records', 'audit', 'probe', 'processes', 'epoch', 'changes')`
	var versions, tables int64
	if err := t.QueryRowContext(ctx, find, versionTable).Scan(&versions, &tables); err != nil {
		return 0, err
	}
	switch {
	case versions == 0 && tables > 0:
		return 0, ErrNotVault
	case versions == 0:
		return 0, nil
	}
	err = t.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM `+versionTable+` WHERE is_applied`).Scan(&version)
	return version, err
}
