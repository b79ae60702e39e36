package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
)

// seat is a connection to a database file for one transaction at a time, with the
// statements that were prepared on it. It runs them by the driver: a *sql.Tx would start
// a goroutine for the transaction and one for every query in it, and a *sql.Stmt copies
// each value a second time.
type seat struct {
	conn  *sql.Conn
	file  driver.Conn           // what conn is a handle of; nil on a server
	stmts map[string]*statement // of file
	bad   bool                  // it may be in the middle of something: nobody else must sit here
}

// fileStmt is a prepared statement of the driver.
type fileStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statement runs once at a time: its next run takes the place of its rows.
type statement struct {
	stmt fileStmt
	args []driver.NamedValue
	rows fileRows
}

var errDriver = errors.New("the driver is another one")

// sit is a seat at a connection to a file. It belongs to the seat until that is closed.
func sit(conn *sql.Conn) (*seat, error) {
	s := &seat{conn: conn, stmts: map[string]*statement{}}
	err := conn.Raw(func(c any) error {
		var ok bool
		if s.file, ok = c.(driver.Conn); !ok {
			return errDriver
		}
		return nil
	})
	return s, err
}

func (s *seat) statement(query string) (*statement, error) {
	if st := s.stmts[query]; st != nil {
		return st, nil
	}
	prepared, err := s.file.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("preparing a query: %w", err)
	}
	st := new(statement)
	var ok bool
	if st.stmt, ok = prepared.(fileStmt); !ok {
		return nil, errors.Join(errDriver, prepared.Close())
	}
	s.stmts[query] = st
	return st, nil
}

// close closes the statements as well: SQLite keeps a connection that has some, and its locks.
func (s *seat) close() error {
	var errs []error
	for _, st := range s.stmts {
		errs = append(errs, st.stmt.Close())
	}
	if s.bad {
		_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // the handle closes it, and gives it to nobody
	}
	return errors.Join(append(errs, s.conn.Close())...)
}

func (s *seat) exec(ctx context.Context, query string, args []any) (int64, error) {
	st, err := s.statement(query)
	if err != nil {
		return 0, err
	}
	if err := st.take(args); err != nil {
		return 0, err
	}
	defer clear(st.args)
	res, err := st.stmt.ExecContext(ctx, st.args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (s *seat) query(ctx context.Context, query string, args []any) (rows, error) {
	st, err := s.statement(query)
	if err != nil {
		return nil, err
	}
	if err := st.take(args); err != nil {
		return nil, err
	}
	defer clear(st.args)
	r, err := st.stmt.QueryContext(ctx, st.args)
	if err != nil {
		return nil, err
	}
	if st.rows.row == nil {
		st.rows.row = make([]driver.Value, len(r.Columns()))
	}
	st.rows.rows, st.rows.err = r, nil
	return &st.rows, nil
}

// take makes arguments what the driver takes.
func (st *statement) take(args []any) error {
	st.args = st.args[:0]
	for i, a := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
		st.args = append(st.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return nil
}

// fileRows are rows of a file, as *sql.Rows are those of a server.
type fileRows struct {
	rows driver.Rows
	row  []driver.Value
	err  error
}

func (r *fileRows) Next() bool {
	if r.err == nil {
		r.err = r.rows.Next(r.row)
	}
	return r.err == nil
}

func (r *fileRows) Err() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

// Close lets go of the last row.
func (r *fileRows) Close() error {
	clear(r.row)
	return r.rows.Close()
}

// Scan takes what the driver has read: its values are copies already.
func (r *fileRows) Scan(dest ...any) error {
	if len(dest) != len(r.row) {
		return fmt.Errorf("%d columns into %d variables", len(r.row), len(dest))
	}
	for i, d := range dest {
		if !assign(d, r.row[i]) {
			return fmt.Errorf("column %d: a %T does not fit into a %T", i+1, r.row[i], d)
		}
	}
	return nil
}

// assign is for the types of our columns: TEXT, BLOB (NULL or empty is nil), and INTEGER as a number or a boolean.
func assign(dest any, v driver.Value) (ok bool) {
	switch d := dest.(type) {
	case *string:
		*d, ok = v.(string)
	case *[]byte:
		*d, ok = v.([]byte)
		ok = ok || v == nil
	case *int64:
		*d, ok = v.(int64)
	case *bool:
		var n int64
		n, ok = v.(int64)
		*d = n != 0
	}
	return ok
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
	s, err := sit(conn)
	if err != nil {
		<-p.seats.taken
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
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
