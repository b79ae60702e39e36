package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"
)

// Config is what a store on SQLite is made of.
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

// Open opens the database file, makes it if it is not there, and migrates it. It
// may be called by several processes at once. The errors are *PermissionError,
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
	f := &sqliteFile{cfg: cfg, migrations: migrations}
	s := &Store{dialect: f, turn: make(chan struct{}, 1)}
	if err := f.open(ctx, s); err != nil {
		return nil, fmt.Errorf("opening store: %w", errors.Join(err, s.closePools()))
	}
	return s, nil
}

func (f *sqliteFile) open(ctx context.Context, s *Store) (err error) {
	if err := useSafeLocks(); err != nil {
		return err
	}
	if err := f.prepareFile(ctx); err != nil {
		return err
	}
	if s.writer, err = f.openPool(ctx, writing); err != nil {
		return err
	}
	if s.appender, err = f.openPool(ctx, appending); err != nil {
		return err
	}
	if s.reader, err = f.openPool(ctx, reading); err != nil {
		return err
	}
	s.mover = newMover(f, s)
	f.warnAboutLocks()
	return checkFiles(f.cfg.Path)
}

// prepareFile makes and migrates the database under the lock file, so that of
// several processes the later ones find the work done.
func (f *sqliteFile) prepareFile(ctx context.Context) error {
	if err := prepareFolder(filepath.Dir(f.cfg.Path)); err != nil {
		return err
	}
	unlock, err := lockFile(ctx, f.cfg.Path+".lock")
	if err != nil {
		return fmt.Errorf("taking the lock file: %w", err)
	}
	defer unlock()
	if err := checkFiles(f.cfg.Path); err != nil {
		return err
	}
	if err := createPrivate(f.cfg.Path); err != nil {
		return fmt.Errorf("creating the database: %w", err)
	}
	err = f.migrate(ctx)
	if isReadOnly(err) { // SQLite names neither the file nor what is wrong with it
		err = fmt.Errorf("writing %s and the files beside it: %w", f.cfg.Path, fs.ErrPermission)
	}
	return err
}

// openPool opens a handle and prepares every query on it.
func (f *sqliteFile) openPool(ctx context.Context, r role) (p pool, err error) {
	n := 1
	if r == reading {
		n = readPool
	}
	p = pool{readOnly: r == reading, unsynced: r == appending, seats: &seats{taken: make(chan struct{}, n)}}
	if p.db, err = f.openDB(r, n+1); err != nil { // one for what is no transaction
		return p, err
	}
	s, err := p.take(ctx)
	if err != nil {
		return p, err
	}
	defer p.give(s)
	for _, q := range queries() {
		if _, err := s.statement(q); err != nil {
			return p, err
		}
	}
	return p, nil
}
