package sqlstore

import (
	"context"
	"io/fs"
	"strconv"

	"modernc.org/sqlite"
)

// Queries are all that Open prepares.
func Queries() []string { return queries() }

// OpenWith opens a store with other migrations.
func OpenWith(ctx context.Context, cfg Config, migrations fs.FS) (*Store, error) {
	return openWith(ctx, cfg, migrations)
}

// Role is what a handle is for.
type Role = role

// The roles of a store's handles.
const (
	Writing   = writing
	Appending = appending
	Reading   = reading
)

// DSN is the data source name of a store's handle.
func DSN(cfg Config, r Role) string { return (&sqliteFile{cfg: cfg}).dsn(r) }

// ConnectDSN opens one connection by dsn and holds it to the settings of cfg.
func ConnectDSN(ctx context.Context, cfg Config, dsn string, r Role) error {
	base, err := sqlite.NewConnector(dsn)
	if err != nil {
		return err
	}
	conn, err := checkedConnector{Connector: base, want: (&sqliteFile{cfg: cfg}).pragmas(r)}.Connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// LockFile takes a lock file.
func LockFile(ctx context.Context, path string) (func(), error) { return lockFile(ctx, path) }

// OpenPostgresWith opens a store with other migrations.
func OpenPostgresWith(ctx context.Context, cfg PostgresConfig, migrations fs.FS) (*Store, error) {
	return openPostgresWith(ctx, cfg, migrations)
}

// SetIdleLimit has the server wait so long for a writer that says nothing.
func SetIdleLimit(s *Store, limit string) { s.dialect.(*postgres).idleLimit = limit }

// MaxPages bounds the file as the connections that write see it.
func MaxPages(ctx context.Context, s *Store, n int) error {
	for _, p := range []pool{s.writer, s.appender} {
		on, err := p.take(ctx)
		if err != nil {
			return err
		}
		_, err = on.conn.ExecContext(ctx, "PRAGMA max_page_count = "+strconv.Itoa(n))
		p.give(on)
		if err != nil {
			return err
		}
	}
	return nil
}
