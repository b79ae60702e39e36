package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/grantry/grantry/vault/seal"
)

// KeySource opens the configured source of the vault's keys, without reading it.
// A source that this build cannot use is a *UsageError.
func (a *App) KeySource() (seal.Source, error) {
	ref := a.cfg.Keys.Source
	o := seal.SourceOptions{Dir: a.cfg.DataDir}
	if a.cfg.File != "" {
		o.CommandDir = filepath.Dir(a.cfg.File)
	}
	source, err := seal.OpenSource(ref.Scheme()+":"+ref.Target(), o)
	switch {
	case errors.Is(err, seal.ErrSourceUnavailable):
		return nil, &UsageError{Text: fmt.Sprintf("keys.source: this build cannot use %s; build Grantry with `-tags cloudkms`, or use file:, env:, exec: or keychain:", ref)}
	case err != nil:
		return nil, &UsageError{Text: fmt.Sprintf("keys.source: %v", err)}
	}
	return source, nil
}

// readKeys reads the source again, in a process that is running; nil for a
// variable, which is taken out of the environment when it is read.
func (a *App) readKeys() func(context.Context) ([]seal.Key, error) {
	if a.cfg.Keys.Source.Scheme() == "env" {
		return nil
	}
	return func(ctx context.Context) ([]seal.Key, error) {
		source, err := a.KeySource()
		if err != nil {
			return nil, err
		}
		return source.Keys(ctx)
	}
}

// keys reads the key source. A key that does not exist is made when the vault
// is new; with an existing vault its absence refuses the start (R72).
func (a *App) keys(ctx context.Context, fresh bool) ([]seal.Key, error) {
	ref := a.cfg.Keys.Source
	source, err := a.KeySource()
	if err != nil {
		return nil, err
	}
	if creator, ok := source.(seal.Creator); ok && fresh {
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

// keyProblem says what a person can do about a key that is missing, readable by others, or another vault's.
func keyProblem(err error, ref string) error {
	var unknown *seal.UnknownKeyError
	var perm *seal.PermissionError
	switch {
	case errors.As(err, &perm):
		return &UsageError{Text: fmt.Sprintf("the key file %s can be read by others (mode %04o): run `chmod 600 %s`, and if others had access, treat the vault as exposed", perm.Path, perm.Mode.Perm(), perm.Path)}
	case errors.As(err, &unknown):
		return &UsageError{Text: fmt.Sprintf("the key at %s does not open this vault: it was sealed under key %s; restore that key, or point data_dir at another folder", ref, unknown.ID)}
	case errors.Is(err, seal.ErrNoKeychain):
		return &UsageError{Text: fmt.Sprintf("keys.source %s: %v; unlock it, or use file: on a machine without one", ref, err)}
	case errors.Is(err, seal.ErrNoKey):
		return &UsageError{Text: fmt.Sprintf("there is a vault, but no key at %s: restore it from your backup; without it the vault cannot be opened", ref)}
	}
	return err
}
