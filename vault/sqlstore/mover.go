package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// moveEvery is how many write transactions go by until the mover looks at the log.
	moveEvery = 256
	// moveAhead is how many go by until a transaction that is to be synced has the log moved first.
	moveAhead = 64
	// restartAt is how many pages (4 KiB) the log has when writers are to begin anew at its start.
	restartAt = 2000
	// restartWait is how long they wait for readers then, which take some microseconds as a rule.
	restartWait = 100 * time.Millisecond
)

// mover moves what is committed from SQLite's write-ahead log into the database,
// beside the writers and on a connection of its own. SQLite would do it in the
// commit that makes the log long: whoever wants to write then waits for two syncs
// and a thousand pages. A nil mover is that of a server, which moves by itself.
type mover struct {
	file *sqliteFile
	take func(context.Context) error // the right to write
	give func()

	writes atomic.Int64 // since the log was looked at
	wake   chan struct{}
	stop   context.CancelFunc
	done   sync.WaitGroup

	conn    *sql.DB    // one connection, opened when it is needed first
	moving  sync.Mutex // who else empties the log must not meet a move under way: SQLite does not wait for it
	restart int64      // pages at which the log is begun anew
	failing bool
}

// newMover begins to move. It takes its turn with the writers of s.
func newMover(f *sqliteFile, s *Store) *mover {
	ctx, stop := context.WithCancel(context.Background())
	m := &mover{file: f, take: s.take, give: s.give, wake: make(chan struct{}, 1), stop: stop, restart: restartAt}
	m.done.Go(func() { m.run(ctx) })
	return m
}

// wrote counts a write transaction.
func (m *mover) wrote() {
	if m == nil || m.writes.Add(1) < moveEvery {
		return
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// ahead moves before a transaction that will be synced takes its turn, if there is
// much to sync: then it waits for the disk beside the other writers, and not before them.
func (m *mover) ahead() {
	if m == nil || m.writes.Load() < moveAhead {
		return
	}
	defer m.hold()()
	if m.writes.Load() >= moveAhead && m.open() == nil {
		m.writes.Store(0)
		_, _, _ = m.checkpoint("PASSIVE") // what fails here fails again in the transaction
	}
}

// hold keeps the log as it is until the answer is called. Who wants the right to write as well takes it after this.
func (m *mover) hold() (release func()) {
	if m == nil {
		return func() {}
	}
	m.moving.Lock()
	return m.moving.Unlock
}

func (m *mover) close() error {
	if m == nil {
		return nil
	}
	m.stop()
	m.done.Wait()
	if m.conn == nil {
		return nil
	}
	return m.conn.Close()
}

func (m *mover) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		}
		err := m.move(ctx)
		if err != nil && !m.failing {
			m.file.cfg.Logger.Warn("moving the write-ahead log into the database", "error", err)
		}
		m.failing = err != nil
	}
}

// move moves all that no reader of an older state is in the way of. From a long
// log it moves what has come meanwhile as well, and then the little that is left
// while nobody writes, so that the next writer begins at the log's start. A reader
// that stays, of another process or a long export, keeps the log growing: it is
// tried again when the log is twice as long.
func (m *mover) move(ctx context.Context) error {
	defer m.hold()()
	m.writes.Store(0)
	if err := m.open(); err != nil {
		return err
	}
	logged, _, err := m.checkpoint("PASSIVE")
	if err != nil || logged < m.restart {
		return err
	}
	if _, _, err := m.checkpoint("PASSIVE"); err != nil {
		return err
	}
	if m.take(ctx) != nil {
		return nil // the store is being closed
	}
	defer m.give()
	logged, blocked, err := m.checkpoint("RESTART")
	if m.restart = restartAt; blocked {
		m.restart = max(restartAt, 2*logged)
	}
	return err
}

func (m *mover) open() (err error) {
	if m.conn != nil {
		return nil
	}
	f := *m.file
	f.cfg.BusyTimeout = restartWait
	m.conn, err = f.openDB(writing, 1)
	return err
}

// checkpoint answers how many pages the log has, and whether somebody else was in
// the way: a reader, or another process that moves.
func (m *mover) checkpoint(mode string) (logged int64, blocked bool, err error) {
	var moved int64
	err = m.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint("+mode+")").Scan(&blocked, &logged, &moved)
	if isBusy(err) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("checkpointing: %w", err)
	}
	return logged, blocked, nil
}
