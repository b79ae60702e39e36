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
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

const (
	vaultFile = "vault.db"
	runFolder = "run"

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
	keys, err := a.keys(ctx)
	if err != nil {
		return nil, err
	}
	lock, err := a.holdInstance()
	if err != nil {
		return nil, err
	}
	o.close = append(o.close, func() error { return errors.Join(os.Remove(lock.Name()), lock.Close()) })
	store, err := sqlstore.Open(ctx, sqlstore.Config{Path: filepath.Join(a.cfg.DataDir, vaultFile), Logger: a.log})
	if err != nil {
		return nil, a.storeProblem(err)
	}
	o.close = append(o.close, store.Close)
	conns, err := a.connections(ctx)
	if err != nil {
		return nil, &UsageError{Text: err.Error()}
	}
	cfg := vault.Config{
		Store: store, Keys: keys, Connections: conns, Instance: a.instance, Logger: a.log, AccessTTL: a.cfg.Access.DefaultTTL,
		Limits:    vault.Limits{OpenTickets: a.cfg.Limits.OpenTickets, TicketsPerHour: a.cfg.Limits.TicketsPerHour},
		OwnerDead: a.instanceDead,
	}
	if a.local() {
		cfg.TicketTTL = stdioTickets
	}
	if o.vault, err = vault.Open(ctx, cfg); err != nil {
		return nil, keyProblem(err, a.cfg.Keys.Source.String())
	}
	return o, nil
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

// keys reads the key source. A key that does not exist is made when the vault
// is new; with an existing vault its absence refuses the start (R72).
func (a *App) keys(ctx context.Context) ([]seal.Key, error) {
	ref := a.cfg.Keys.Source
	source, err := seal.OpenSource(ref.Scheme()+":"+ref.Target(), seal.SourceOptions{})
	if err != nil {
		return nil, &UsageError{Text: fmt.Sprintf("keys.source: %v", err)}
	}
	_, statErr := os.Stat(filepath.Join(a.cfg.DataDir, vaultFile))
	if creator, ok := source.(seal.Creator); ok && errors.Is(statErr, os.ErrNotExist) {
		if err := creator.Create(ctx); err != nil {
			return nil, keyProblem(err, ref.String())
		}
	}
	keys, err := source.Keys(ctx)
	if err == nil {
		return keys, nil
	}
	var said *UsageError
	if err = keyProblem(err, ref.String()); !errors.As(err, &said) {
		err = &UsageError{Text: fmt.Sprintf("keys.source: %v; it must hold the vault's key, a line with base64 of 32 bytes", err)}
	}
	return nil, err
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

// keyProblem says what a person can do about a key that is missing, readable by others, or another vault's.
func keyProblem(err error, ref string) error {
	var unknown *seal.UnknownKeyError
	var perm *seal.PermissionError
	switch {
	case errors.As(err, &perm):
		return &UsageError{Text: fmt.Sprintf("the key file %s can be read by others (mode %04o): run `chmod 600 %s`, and if others had access, treat the vault as exposed", perm.Path, perm.Mode.Perm(), perm.Path)}
	case errors.As(err, &unknown):
		return &UsageError{Text: fmt.Sprintf("the key at %s does not open this vault: it was sealed under key %s; restore that key, or point data_dir at another folder", ref, unknown.ID)}
	case errors.Is(err, seal.ErrNoKey):
		return &UsageError{Text: fmt.Sprintf("there is a vault, but no key at %s: restore the key file from your backup; without it the vault cannot be opened", ref)}
	}
	return err
}
