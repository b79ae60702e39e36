package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	readers      = 4
	busyAttempts = 3

	queryProbe = `INSERT INTO probe (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = probe.n + 1`
)

// Config is what a store is made of.
type Config struct {
	// Path is the database file, absolute. Its folder is made (0700) if missing.
	Path string
	// Logger receives warnings; nil = none.
	Logger *slog.Logger
	// BusyTimeout is how long one attempt to write waits for other processes;
	// 0 = 10 s. There are three attempts.
	BusyTimeout time.Duration
	// Reserve is how many bytes must be free on the disk for Check to pass; 0 = 4 MiB.
	Reserve uint64
}

// Store is a vault.Store on SQLite. It is safe for concurrent use, also by
// several processes on one file.
type Store struct {
	cfg        Config
	migrations fs.FS
	writer     pool
	reader     pool

	mu     sync.Mutex
	closed bool
	busy   sync.WaitGroup
}

var _ vault.Store = (*Store)(nil)

// pool is a database handle with its prepared queries.
type pool struct {
	db       *sql.DB
	stmts    map[string]*sql.Stmt
	readOnly bool
}

// Open opens the database, makes it if it is not there, and migrates it. It may
// be called by several processes at once. The errors are *PermissionError,
// *SchemaError, *SettingError, ErrNotVault and ErrCorrupt; none of them has
// changed the database.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	dir, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return nil, fmt.Errorf("reading migrations: %w", err)
	}
	return openWith(ctx, cfg, dir)
}

func openWith(ctx context.Context, cfg Config, migrations fs.FS) (*Store, error) {
	if !filepath.IsAbs(cfg.Path) {
		return nil, errors.New("opening store: the path must be absolute")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.BusyTimeout == 0 {
		cfg.BusyTimeout = 10 * time.Second
	}
	if cfg.Reserve == 0 {
		cfg.Reserve = 4 << 20
	}
	s := &Store{cfg: cfg, migrations: migrations}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("opening store: %w", errors.Join(err, s.closePools()))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if err := useSafeLocks(); err != nil {
		return err
	}
	if err := s.prepareFile(ctx); err != nil {
		return err
	}
	if s.writer, err = s.openPool(ctx, false); err != nil {
		return err
	}
	if s.reader, err = s.openPool(ctx, true); err != nil {
		return err
	}
	s.warnAboutLocks()
	return checkFiles(s.cfg.Path)
}

// prepareFile makes and migrates the database under the lock file, so that of
// several processes the later ones find the work done.
func (s *Store) prepareFile(ctx context.Context) error {
	if err := prepareFolder(filepath.Dir(s.cfg.Path)); err != nil {
		return err
	}
	unlock, err := lockFile(ctx, s.cfg.Path+".lock")
	if err != nil {
		return fmt.Errorf("taking the lock file: %w", err)
	}
	defer unlock()
	if err := checkFiles(s.cfg.Path); err != nil {
		return err
	}
	if err := createPrivate(s.cfg.Path); err != nil {
		return fmt.Errorf("creating the database: %w", err)
	}
	err = s.migrate(ctx)
	if isReadOnly(err) { // SQLite names neither the file nor what is wrong with it
		err = fmt.Errorf("writing %s and the files beside it: %w", s.cfg.Path, fs.ErrPermission)
	}
	return err
}

// openPool opens a handle and prepares every query on it.
func (s *Store) openPool(ctx context.Context, readOnly bool) (p pool, err error) {
	p = pool{readOnly: readOnly, stmts: map[string]*sql.Stmt{}}
	n := 1
	if readOnly {
		n = readers
	}
	if p.db, err = s.openDB(readOnly, n); err != nil {
		return p, err
	}
	for _, q := range queries() {
		if p.stmts[q], err = p.db.PrepareContext(ctx, q); err != nil {
			return p, errors.Join(fmt.Errorf("preparing a query: %w", err), p.db.Close())
		}
	}
	return p, nil
}

// View runs fn on a snapshot; it cannot write.
func (s *Store) View(ctx context.Context, fn func(tx vault.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.busy.Done()
	return s.reader.transact(ctx, fn)
}

// Update runs fn in a write transaction and answers nil when it is synced.
func (s *Store) Update(ctx context.Context, fn func(tx vault.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.busy.Done()
	for attempt := 1; ; attempt++ {
		err := s.writer.transact(ctx, fn)
		if !isBusy(err) || attempt == busyAttempts {
			return err
		}
		time.Sleep(time.Duration(attempt)*5*time.Millisecond + rand.N(10*time.Millisecond))
	}
}

// Check commits a synced write, and answers ErrNoSpace where the disk is so full
// that a larger one may not follow.
func (s *Store) Check(ctx context.Context) error {
	free, err := freeSpace(filepath.Dir(s.cfg.Path))
	if err != nil {
		return fmt.Errorf("looking for free space: %w", err)
	}
	if free < s.cfg.Reserve {
		return fmt.Errorf("%d bytes left of %d: %w", free, s.cfg.Reserve, ErrNoSpace)
	}
	return s.Update(ctx, func(t vault.Tx) error {
		if _, err := t.(*tx).exec(queryProbe); err != nil {
			return fmt.Errorf("writing the probe: %w", err)
		}
		return nil
	})
}

// Checkpoint moves everything from the write-ahead log into the database and
// empties the log: what was deleted is then on disk nowhere. A reader in another
// process can keep it from doing so; that is no error.
func (s *Store) Checkpoint(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.busy.Done()
	return s.checkpoint(ctx)
}

// Close waits for transactions in flight, empties the write-ahead log and closes
// the database. Closing twice is no error.
func (s *Store) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	s.busy.Wait()
	if already {
		return nil
	}
	if err := errors.Join(s.checkpoint(context.Background()), s.closePools()); err != nil {
		return fmt.Errorf("closing store: %w", err)
	}
	return nil
}

func (s *Store) closePools() error {
	var errs []error
	for _, p := range []pool{s.reader, s.writer} {
		if p.db != nil {
			errs = append(errs, p.db.Close())
		}
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

// transact waits for a connection as long as ctx allows. From then on it does
// not heed ctx: a commit that is under way is finished.
func (p pool) transact(ctx context.Context, fn func(tx vault.Tx) error) (err error) {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("waiting for a connection: %w", err)
	}
	defer func() {
		if closeErr := conn.Close(); err == nil {
			err = closeErr
		}
	}()
	ctx = context.WithoutCancel(ctx)
	t, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: p.readOnly})
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() { _ = t.Rollback() }() // no effect after a commit
	if err := fn(&tx{ctx: ctx, sql: t, stmts: p.stmts}); err != nil {
		return err
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}
