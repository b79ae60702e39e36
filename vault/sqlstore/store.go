package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	readPool = 4 // connections for Views
	attempts = 3

	queryProbe = `INSERT INTO probe (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = probe.n + 1`
)

// Store is a vault.Store on SQLite or PostgreSQL. It is safe for concurrent use,
// also by several processes on one database.
type Store struct {
	dialect  dialect
	writer   pool
	appender pool
	reader   pool
	mover    *mover
	turn     chan struct{} // the right to write: writer and appender would only wait for each other inside the database

	mu     sync.Mutex
	closed bool
	busy   sync.WaitGroup
}

var _ vault.Store = (*Store)(nil)

// dialect is what the databases do differently once they are open.
type dialect interface {
	// begin waits as long as ctx allows until this transaction may run (a
	// writer's is the only one of all processes), and no longer heeds ctx then.
	begin(ctx context.Context, s *seat, p pool) (*tx, error)
	// commit answers nil when the transaction is durable.
	commit(t *tx) error
	// rollback has no effect after a commit.
	rollback(t *tx)
	// again says whether the transaction on conn that ended with err left
	// nothing for a reason that another attempt may not meet.
	again(conn *sql.Conn, err error) bool
	// checkpoint has what was deleted leave the disk, where that can be asked for.
	checkpoint(ctx context.Context, writer *sql.DB) error
	// readers is how many transactions that only read are worth running at once.
	readers() int
	// room answers ErrNoSpace where the next write may not fit, as far as can be seen.
	room() error
}

// pool is a database handle, with the connections that transactions take in turn where they are kept.
type pool struct {
	db       *sql.DB
	seats    *seats // nil on a server
	readOnly bool
	unsynced bool // a commit outlives the process, and the machine once a later one on another pool is synced
}

// Readers is how many Views are worth running at once.
func (s *Store) Readers() int { return s.dialect.readers() }

// View runs fn on a snapshot; it cannot write.
func (s *Store) View(ctx context.Context, fn func(tx vault.Tx) error) error {
	return s.run(ctx, s.reader, fn)
}

// Update runs fn in a write transaction and answers nil when it is synced.
func (s *Store) Update(ctx context.Context, fn func(tx vault.Tx) error) error {
	return s.run(ctx, s.writer, fn)
}

// Append runs fn in a write transaction that answers before it is synced: the
// next Update takes it along to the disk.
func (s *Store) Append(ctx context.Context, fn func(tx vault.Tx) error) error {
	return s.run(ctx, s.appender, fn)
}

func (s *Store) run(ctx context.Context, p pool, fn func(tx vault.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.busy.Done()
	for attempt := 1; ; attempt++ {
		again, err := s.transact(ctx, p, fn)
		if !again || attempt == attempts {
			return err
		}
		time.Sleep(time.Duration(attempt)*5*time.Millisecond + rand.N(10*time.Millisecond))
	}
}

// Check commits a synced write. Where SQLite's disk is so full that a larger one
// may not follow it answers ErrNoSpace; a server's disk cannot be seen from here.
func (s *Store) Check(ctx context.Context) error {
	if err := s.dialect.room(); err != nil {
		return err
	}
	return s.Update(ctx, func(t vault.Tx) error {
		if _, err := t.(*tx).exec(queryProbe); err != nil {
			return fmt.Errorf("writing the probe: %w", err)
		}
		return nil
	})
}

// Checkpoint moves everything from SQLite's write-ahead log into the database and
// empties the log: what was deleted is then on disk nowhere. A reader in another
// process can keep it from doing so; that is no error. On PostgreSQL it does
// nothing: what the server keeps of deleted rows is for its operator to say.
func (s *Store) Checkpoint(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.busy.Done()
	defer s.mover.hold()()
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	return s.dialect.checkpoint(ctx, s.writer.db)
}

// Close waits for transactions in flight, empties SQLite's write-ahead log and
// closes the database. Closing twice is no error.
func (s *Store) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	s.busy.Wait()
	if already {
		return nil
	}
	release := s.mover.hold()
	err := s.dialect.checkpoint(context.Background(), s.writer.db)
	release()
	if err = errors.Join(err, s.closePools()); err != nil {
		return fmt.Errorf("closing store: %w", err)
	}
	return nil
}

func (s *Store) closePools() error {
	errs := []error{s.mover.close()}
	for _, p := range []pool{s.reader, s.appender, s.writer} {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}

// enter counts a transaction in, so that Close waits for it.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.busy.Add(1)
	return nil
}

// take waits for the right to write as long as ctx allows.
func (s *Store) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for another write: %w", ctx.Err())
	}
}

func (s *Store) give() { <-s.turn }

// transact waits for a connection and its turn as long as ctx allows. From then
// on it does not heed ctx: a commit that is under way is finished.
func (s *Store) transact(ctx context.Context, p pool, fn func(tx vault.Tx) error) (again bool, err error) {
	if !p.readOnly {
		if !p.unsynced {
			s.mover.ahead()
		}
		if err := s.take(ctx); err != nil {
			return false, err
		}
		defer s.give()
	}
	on, err := p.take(ctx)
	if err != nil {
		return false, fmt.Errorf("waiting for a connection: %w", err)
	}
	defer p.give(on)
	defer func() { again = err != nil && ctx.Err() == nil && s.dialect.again(on.conn, err) }()
	t, err := s.dialect.begin(ctx, on, p)
	if err != nil {
		return false, fmt.Errorf("beginning a transaction: %w", err)
	}
	defer s.dialect.rollback(t)
	if err := fn(t); err != nil {
		return false, err
	}
	if err := t.moveEpoch(); err != nil {
		return false, fmt.Errorf("moving the epoch: %w", err)
	}
	if err := s.dialect.commit(t); err != nil {
		return false, fmt.Errorf("committing: %w", err)
	}
	if !p.readOnly {
		s.mover.wrote()
	}
	return false, nil
}
