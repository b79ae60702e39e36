package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
)

// seat is a connection to a database file for one transaction at a time, with the
// statements that were prepared on it. It runs them itself: a *sql.Tx would start
// a goroutine for the transaction and one for every query in it.
type seat struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt // nil on a server
	bad   bool                 // it may be in the middle of something: nobody else must sit here
}

func (s *seat) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if st := s.stmts[query]; st != nil {
		return st, nil
	}
	st, err := s.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("preparing a query: %w", err)
	}
	s.stmts[query] = st
	return st, nil
}

// close closes the statements as well: SQLite keeps a connection that has some, and its locks.
func (s *seat) close() error {
	var errs []error
	for _, st := range s.stmts {
		errs = append(errs, st.Close())
	}
	if s.bad {
		_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // the handle closes it, and gives it to nobody
	}
	return errors.Join(append(errs, s.conn.Close())...)
}

func (s *seat) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	st, err := s.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(ctx, args...)
}

func (s *seat) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := s.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args...)
}

func (s *seat) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	st, err := s.stmt(ctx, query)
	if err != nil { // a row that carries the error
		return s.conn.QueryRowContext(ctx, query, args...)
	}
	return st.QueryRowContext(ctx, args...)
}

// seats are as many as a pool has. Who waits longest is next, on the seat that was used last.
type seats struct {
	taken chan struct{}

	mu   sync.Mutex
	free []*seat
}

// take waits for a connection as long as ctx allows.
func (p pool) take(ctx context.Context) (*seat, error) {
	if p.seats == nil {
		conn, err := p.db.Conn(ctx)
		if err != nil {
			return nil, err
		}
		return &seat{conn: conn}, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.seats.taken <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s := p.seats.pop(); s != nil {
		return s, nil
	}
	conn, err := p.db.Conn(ctx)
	if err != nil {
		<-p.seats.taken
		return nil, err
	}
	return &seat{conn: conn, stmts: map[string]*sql.Stmt{}}, nil
}

func (p pool) give(s *seat) {
	if p.seats == nil {
		_ = s.conn.Close() // gives it back
		return
	}
	if s.bad {
		_ = s.close()
	} else {
		p.seats.push(s)
	}
	<-p.seats.taken
}

func (p pool) close() error {
	if p.db == nil {
		return nil
	}
	var errs []error
	if p.seats != nil {
		for s := p.seats.pop(); s != nil; s = p.seats.pop() {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(append(errs, p.db.Close())...)
}

func (s *seats) pop() *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free)
	if n == 0 {
		return nil
	}
	last := s.free[n-1]
	s.free = s.free[:n-1]
	return last
}

func (s *seats) push(one *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, one)
}
