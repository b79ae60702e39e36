package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/grantry/grantry/cmd/internal/app/datadir"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/rescue"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

const (
	vaultFile    = "vault.db"
	runFolder    = "run"
	rescueFolder = "rescue"

	stdioTickets = 15 * time.Minute // a ticket may be opened for so long on a local vault
)

// open makes data folder and key on a first run, opens the store, and proves that the key fits.
func (a *App) open(ctx context.Context) (_ *opened, err error) {
	o := &opened{}
	defer func() {
		if err != nil {
			for i := len(o.close) - 1; i >= 0; i-- {
				err = errors.Join(err, o.close[i]())
			}
		}
	}()
	if err := a.prepareFolder(); err != nil {
		return nil, err
	}
	lock, err := a.holdInstance()
	if err != nil {
		return nil, err
	}
	o.close = append(o.close, func() error { return errors.Join(os.Remove(lock.Name()), lock.Close()) })
	store, keys, err := a.storeAndKeys(ctx)
	if err != nil {
		return nil, err
	}
	o.store = store
	o.close = append(o.close, store.Close)
	conns, err := a.connections(ctx)
	if err != nil {
		return nil, &UsageError{Text: err.Error()}
	}
	journal := rescue.New(filepath.Join(a.cfg.DataDir, rescueFolder), a.instance, a.log)
	o.close = append(o.close, journal.Close)
	cfg := vault.Config{
		Store: store, Keys: keys, ReadKeys: a.readKeys(), Connections: conns, Instance: a.instance, Logger: a.log, AccessTTL: a.cfg.Access.DefaultTTL,
		Limits:    vault.Limits{OpenTickets: a.cfg.Limits.OpenTickets, TicketsPerHour: a.cfg.Limits.TicketsPerHour},
		OwnerDead: a.instanceDead, Version: a.opts.Version, Anchor: a.anchor(), Rescue: journal,
		Reap: vault.Ages(a.cfg.Reap), Settings: a.settings(), Rules: rules(a.cfg), Remember: RememberBytes(), ReadAhead: a.serving,
	}
	if !a.cfg.Notify.IsZero() {
		n := a.newNotifier()
		o.close = append(o.close, n.Close)
		cfg.Notify = n.tell
	}
	if a.local() && !a.serving {
		cfg.TicketTTL = stdioTickets
	}
	if o.vault, err = vault.Open(ctx, cfg); err != nil {
		return nil, keyProblem(err, a.cfg.Keys.Source.String())
	}
	if err := a.checkAnchor(ctx, o.vault); err != nil {
		return nil, err
	}
	return o, nil
}

// storeAndKeys reads the key before it makes a vault file, so that a start that
// fails for want of a key leaves nothing; a server must be asked first whether it
// has a vault already. Its errors are ready for people.
func (a *App) storeAndKeys(ctx context.Context) (*sqlstore.Store, []seal.Key, error) {
	if a.cfg.Store.IsFile() {
		return a.openFile(ctx)
	}
	store, err := a.openPostgres(ctx)
	if err != nil {
		return nil, nil, err
	}
	fresh, err := isNew(ctx, store)
	if err != nil {
		return nil, nil, errors.Join(serverProblem(err), store.Close())
	}
	keys, err := a.keys(ctx, fresh)
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return store, keys, nil
}

func (a *App) openFile(ctx context.Context) (*sqlstore.Store, []seal.Key, error) {
	path := filepath.Join(a.cfg.DataDir, vaultFile)
	_, err := os.Stat(path)
	keys, err := a.keys(ctx, errors.Is(err, os.ErrNotExist))
	if err != nil {
		return nil, nil, err
	}
	store, err := sqlstore.Open(ctx, sqlstore.Config{Path: path, Logger: a.log})
	if err != nil {
		return nil, nil, a.storeProblem(err)
	}
	return store, keys, nil
}

func (a *App) openPostgres(ctx context.Context) (*sqlstore.Store, error) {
	address, err := a.cfg.Store.URL(ctx)
	if err != nil {
		return nil, &UsageError{Text: fmt.Sprintf("store: %v", err)}
	}
	store, err := sqlstore.OpenPostgres(ctx, sqlstore.PostgresConfig{URL: address, Logger: a.log})
	if err != nil {
		return nil, serverProblem(err)
	}
	return store, nil
}

// isNew says whether a store holds no vault yet: the vault's own row comes first.
func isNew(ctx context.Context, store vault.Store) (fresh bool, err error) {
	err = store.View(ctx, func(tx vault.Tx) error {
		_, err := tx.Users().Get("")
		if fresh = errors.Is(err, vault.ErrNotFound); fresh {
			return nil
		}
		return err
	})
	return fresh, err
}

// local says whether one person owns the vault: nobody signs in.
func (a *App) local() bool { return a.signIn == nil }

func (a *App) prepareFolder() error {
	warnings, err := datadir.Ensure(a.cfg.DataDir)
	if err != nil {
		return &UsageError{Text: err.Error()}
	}
	for _, w := range warnings {
		a.log.Warn(w)
	}
	if err := datadir.MarkSandbox(a.cfg.DataDir, a.cfg.Sandbox); err != nil {
		return &UsageError{Text: err.Error()}
	}
	return nil
}

// storeProblem says what a person can do about a vault file that others can read, that a newer Grantry has written, or that cannot be used.
func (a *App) storeProblem(err error) error {
	var newer *sqlstore.SchemaError
	var perm *sqlstore.PermissionError
	switch {
	case errors.As(err, &newer):
		return &UsageError{Text: fmt.Sprintf("%v; install the newer version again, or point data_dir at another folder", newer)}
	case errors.As(err, &perm):
		return &UsageError{Text: fmt.Sprintf("%v; run `chmod 600 %s`, and if others had access, treat the vault as exposed", perm, perm.Path)}
	case errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("the vault in %s cannot be used: %w; if you have a backup, put it there, or point data_dir at another folder", a.cfg.DataDir, err)
}

// serverProblem is storeProblem for a PostgreSQL server. No URL is in its errors.
func serverProblem(err error) error {
	var newer *sqlstore.SchemaError
	var setting *sqlstore.SettingError
	switch {
	case errors.Is(err, sqlstore.ErrURL):
		return &UsageError{Text: "store: the URL cannot be read; it must look like postgres://user:password@host:5432/database?sslmode=verify-full, with the password's special characters percent-encoded"}
	case errors.As(err, &setting):
		return &UsageError{Text: fmt.Sprintf("store: %v; change it on the server, for this user or database (ALTER ROLE … SET %s), or take it out of the URL", setting, setting.Name)}
	case errors.As(err, &newer):
		return &UsageError{Text: fmt.Sprintf("%v; install the newer version again, or point store at another database", newer)}
	case errors.Is(err, sqlstore.ErrNotVault):
		return &UsageError{Text: "store: the database's schema has tables of something else by the names that Grantry uses; point store at another database, or at another schema with search_path in the URL"}
	case errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("the vault at the configured store cannot be used: %w", err)
}
