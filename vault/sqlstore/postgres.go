package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// transactionLimit ends a transaction whose server no longer answers.
	transactionLimit = 30 * time.Second
	// defaultIdleLimit is in the server's words.
	defaultIdleLimit = "10s"

	// lockWriters takes the one row that every writer takes first, and asks for
	// the transaction's number. Every statement after it has a snapshot of its
	// own (READ COMMITTED), so it sees all that earlier writers committed.
	lockWriters = `SELECT pg_current_xact_id()::text, set_config('idle_in_transaction_session_timeout', $1, true)
		FROM probe WHERE id = 1 FOR UPDATE`

	// dropSync has this one transaction answered before it is on disk.
	dropSync = `SET LOCAL synchronous_commit = off`

	// askOutcome is NULL for a transaction so old that the server has forgotten it.
	askOutcome = `SELECT coalesce(pg_xact_status($1::text::xid8), ''), ` + serverLife

	// serverLife changes when the server has crashed, for then it has no
	// statistics any more, and with a fail-over: numbers of transactions that were
	// not on disk are then given away again. It stays when the server is restarted properly.
	serverLife = `coalesce(substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())::text, '')`
	askLife    = `SELECT ` + serverLife
	lifeKey    = "grantry server life"
)

// askClock is the time now, and not that of the transaction's beginning.
const askClock = `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint`

func serverClock(t *tx) (ms int64, err error) {
	if err := t.sql.QueryRowContext(t.ctx, askClock).Scan(&ms); err != nil {
		return 0, fmt.Errorf("reading the server's clock: %w", err)
	}
	return ms, nil
}

// postgres is a server, as the dialect of the store that is connected to it.
type postgres struct {
	// ask is the handle by which the server is asked about another connection's commit.
	ask *sql.DB
	// idleLimit has the server end a writer that holds the lock and says
	// nothing: a process that was stopped, or whose network is gone.
	idleLimit string
	// server is how a connection is made that belongs to no handle.
	server *pgx.ConnConfig
	teller
}

// begin starts a transaction: a reader's on one snapshot, a writer's with the
// lock of all writers.
func (d *postgres) begin(ctx context.Context, s *seat, p pool) (*tx, error) {
	inside, end := context.WithTimeout(context.WithoutCancel(ctx), transactionLimit)
	options := &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	if p.readOnly {
		options = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	started, err := s.conn.BeginTx(inside, options)
	if err != nil {
		end()
		return nil, err
	}
	t := &tx{ctx: inside, sql: started, run: onServer{started}, server: started, end: end, life: notedLife(s.conn), now: serverClock}
	if !p.readOnly {
		if err := d.lock(ctx, t, p); err != nil {
			d.rollback(t)
			return nil, err
		}
	}
	return t, nil
}

// lock waits for other writers as long as ctx and the limit allow.
func (d *postgres) lock(ctx context.Context, t *tx, p pool) error {
	ctx, cancel := context.WithTimeout(ctx, transactionLimit)
	defer cancel()
	var limit string
	if err := t.sql.QueryRowContext(ctx, lockWriters, d.idleLimit).Scan(&t.id, &limit); err != nil {
		return fmt.Errorf("waiting for other writers: %w", err)
	}
	if p.unsynced {
		if _, err := t.sql.ExecContext(ctx, dropSync); err != nil {
			return fmt.Errorf("beginning to append: %w", err)
		}
	}
	return nil
}

// readers wait for the server, not for a processor of this machine.
func (d *postgres) readers() int { return readPool }

// commit asks the server what became of a commit whose answer was lost: a token
// that is stored must not be taken for one that is not, nor the other way round.
func (d *postgres) commit(t *tx) error {
	if err := d.tell(t); err != nil {
		return err
	}
	err := t.server.Commit()
	if err == nil || t.id == "" || answered(err) {
		return d.untold(t, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), transactionLimit)
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		status, life, askErr := d.outcome(ctx, t.id)
		switch {
		case status == "committed" && life == t.life && life != "":
			return nil
		case status == "aborted", isFuture(askErr):
			return err
		case ctx.Err() != nil || status == "committed" || status == "" && answered(askErr):
			return errors.Join(ErrOutcome, err, askErr)
		}
		select { // the server is still at it, or starting
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

func (d *postgres) rollback(t *tx) {
	_ = t.server.Rollback()
	t.end()
}

// outcome is "committed", "aborted", "in progress", or "" when there is no
// telling, and the life of the server that says so: in another one the number
// may be another transaction's.
func (d *postgres) outcome(ctx context.Context, id string) (status, life string, err error) {
	err = d.ask.QueryRowContext(ctx, askOutcome, id).Scan(&status, &life)
	return status, life, err
}

// isFuture says that the server has not given this number to anybody (yet): the
// transaction that had it left nothing.
func isFuture(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "22023"
}

// noteLife keeps in which life of the server the connection was made: it does not outlive it.
func noteLife(ctx context.Context, conn *pgx.Conn) error {
	var life string
	if err := conn.QueryRow(ctx, askLife).Scan(&life); err != nil {
		return fmt.Errorf("asking since when the server lives: %w", err)
	}
	conn.PgConn().CustomData()[lifeKey] = life
	return nil
}

func notedLife(conn *sql.Conn) (life string) {
	_ = conn.Raw(func(c any) error {
		if pg, ok := c.(*stdlib.Conn); ok {
			life, _ = pg.Conn().PgConn().CustomData()[lifeKey].(string)
		}
		return nil
	})
	return life
}

// answered says whether err is the server's own word on a statement, and not
// that of a server on its way down or up.
func answered(err error) bool {
	var e *pgconn.PgError
	return err == nil || errors.As(err, &e) && e.SeverityUnlocalized == "ERROR" || errors.Is(err, sql.ErrTxDone)
}

// again is for lost connections, of which commit knows that nothing was stored,
// for what the server calls a serialization failure or a deadlock, and for a
// notification that it did not take.
func (d *postgres) again(conn *sql.Conn, err error) bool {
	if errors.Is(err, ErrOutcome) {
		return false
	}
	var e *pgconn.PgError
	if errors.Is(err, errTell) || errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01") {
		return true
	}
	return isLost(conn)
}

// isLost looks at the connection and not at the error, which may have come
// through the caller's function.
func isLost(conn *sql.Conn) bool {
	return conn.Raw(func(c any) error {
		if pg, ok := c.(*stdlib.Conn); ok && pg.Conn().IsClosed() {
			return driver.ErrBadConn
		}
		return nil
	}) != nil
}

func (d *postgres) checkpoint(context.Context, *sql.DB) error { return nil }

// room leaves the server's disk to its operator.
func (d *postgres) room() error { return nil }
