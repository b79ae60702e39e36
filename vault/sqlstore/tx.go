package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/grantry/grantry/vault"
)

// tx is a transaction of either database.
type tx struct {
	ctx context.Context // detached: it ends with the transaction only
	run runner          // of queries()
	sql querier         // of others

	seat      *seat // of a file
	committed bool

	server *sql.Tx
	end    func() // frees ctx
	id     string // the number that the server gave it
	life   string // the life of the server in which it did

	changes []string                 // users of whose rows something changed that a release must not overtake
	news    bool                     // something changed that another process may wait for
	now     func(*tx) (int64, error) // the clock that all machines share
	heads   map[string]int64         // of the audit, as this transaction knows them
}

// over is the context of transactions on a file that have ended: nothing runs in it.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// noClock is that of a store in one machine: the process's own will do.
func noClock(*tx) (int64, error) { return 0, nil }

// runner runs queries inside of a transaction: a server's, or a seat.
type runner interface {
	// exec answers the number of rows that query changed.
	exec(ctx context.Context, query string, args []any) (int64, error)
	query(ctx context.Context, query string, args []any) (rows, error)
}

// rows are what a query answers: *sql.Rows, or those of a seat.
type rows interface {
	scanner
	Next() bool
	Err() error
	Close() error
}

// querier is a *sql.Tx, or the *sql.Conn that one has begun on.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// onServer runs queries in a transaction of database/sql.
type onServer struct{ *sql.Tx }

func (s onServer) exec(ctx context.Context, query string, args []any) (int64, error) {
	res, err := s.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (s onServer) query(ctx context.Context, query string, args []any) (rows, error) {
	return s.QueryContext(ctx, query, args...)
}

func (t *tx) Users() vault.UserRows        { return userRows{t} }
func (t *tx) Keys() vault.KeyRows          { return keyRows{t} }
func (t *tx) Grants() vault.GrantRows      { return grantRows{t} }
func (t *tx) Upkeep() vault.UpkeepRows     { return upkeepRows{t} }
func (t *tx) Access() vault.AccessRows     { return accessRows{t} }
func (t *tx) Records() vault.RecordRows    { return recordRows{t} }
func (t *tx) Audit() vault.AuditRows       { return auditRows{t} }
func (t *tx) Vault() vault.VaultRows       { return vaultRows{t} }
func (t *tx) Processes() vault.ProcessRows { return processRows{t} }

// queries are all that the store runs inside of transactions.
func queries() []string {
	return slices.Concat([]string{queryProbe}, userQueries(), keyQueries(), grantQueries(), upkeepQueries(), accessQueries(),
		recordQueries(), auditQueries(), vaultQueries(), epochQueries(), processQueries())
}

// exec answers the number of rows that query changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	if !storable(args) {
		return 0, ErrText
	}
	return t.run.exec(t.ctx, query, args)
}

// execOne is for a query that changes one row or, by its condition, none; then
// it answers none.
func (t *tx) execOne(none error, what, query string, args ...any) error {
	n, err := t.exec(query, args...)
	if err == nil && n == 0 {
		err = none
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

type scanner interface{ Scan(dest ...any) error }

// one answers the row of a query, or vault.ErrNotFound.
func one[T any](t *tx, scan func(scanner) (T, error), what, query string, args ...any) (out T, err error) {
	found := false
	err = t.each(what, query, args, func(s scanner) error {
		if found {
			return nil // as *sql.Row does: the first one counts
		}
		found = true
		out, err = scan(s)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("%s: %w", what, vault.ErrNotFound)
	}
	return out, err
}

// all answers the rows of a query, nil if there are none.
func all[T any](t *tx, scan func(scanner) (T, error), what, query string, args ...any) (out []T, err error) {
	err = t.each(what, query, args, func(s scanner) error {
		v, err := scan(s)
		out = append(out, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// each has see look at every row of a query.
func (t *tx) each(what, query string, args []any, see func(scanner) error) error {
	if !storable(args) {
		return nil
	}
	err := t.see(query, args, see)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (t *tx) see(query string, args []any, see func(scanner) error) error {
	rows, err := t.run.query(t.ctx, query, args)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := see(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// storable says whether all texts among args can be in a database: no row has
// another one, so who looks for it finds nothing.
func storable(args []any) bool {
	for _, a := range args {
		if s, ok := a.(string); ok && (strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s)) {
			return false
		}
	}
	return true
}

// conflict is err, and vault.ErrConflict where the row that a change is for is gone.
func conflict(err error) error {
	if errors.Is(err, vault.ErrNotFound) {
		return vault.ErrConflict
	}
	return err
}

// integer is a boolean as both databases store it here.
func integer(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
