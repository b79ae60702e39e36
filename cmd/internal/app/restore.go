package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
)

// Restore is a backup to make the vault.
type Restore struct {
	From     io.Reader // the SQLite file, decrypted
	Replace  bool      // an existing vault is kept beside it
	Progress sqlstore.Progress
}

// Restore makes a backup the vault of the configured store. It is checked first:
// that it is whole, and that the configured key opens it. It is a copy until
// ConfirmHome, and touches no vendor before. kept is where an older vault lies now.
func (a *App) Restore(ctx context.Context, r Restore) (kept string, err error) {
	if err := a.prepareFolder(); err != nil {
		return "", err
	}
	lock, err := a.holdInstance()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.Remove(lock.Name()), lock.Close()) }()
	path, keep := filepath.Join(a.cfg.DataDir, vaultFile), filepath.Join(a.cfg.DataDir, vaultFile+".before-restore")
	if a.cfg.Store.IsFile() {
		if kept, err = a.mayReplace(path, keep, r.Replace); err != nil {
			return "", err
		}
	}
	work, done, err := a.workFolder()
	if err != nil {
		return "", err
	}
	defer done()
	fresh := filepath.Join(work, vaultFile)
	if err := receive(r.From, fresh); err != nil {
		return "", fmt.Errorf("reading the backup: %w", err)
	}
	if err := sqlstore.CheckFile(ctx, fresh); err != nil {
		return "", backupProblem(err)
	}
	if err := sqlstore.MarkCopy(ctx, fresh); err != nil {
		return "", err
	}
	if err := a.tryKey(ctx, fresh); err != nil {
		return "", err
	}
	if !a.cfg.Store.IsFile() {
		return "", a.restoreToServer(ctx, fresh, r.Progress)
	}
	return kept, sqlstore.Replace(ctx, path, fresh, keep, a.onlyMe)
}

// mayReplace answers where an existing vault will be kept, "" when there is none.
func (a *App) mayReplace(path, keep string, replace bool) (string, error) {
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case !replace:
		return "", &UsageError{Text: fmt.Sprintf("there is a vault in %s: restore into an empty folder with --data-dir, or add --replace, which keeps the old one as %s", a.cfg.DataDir, filepath.Base(keep))}
	}
	if _, err := os.Lstat(keep); !errors.Is(err, fs.ErrNotExist) {
		return "", errors.Join(&UsageError{Text: keep + " is there already, from an earlier restore: move it away first"}, err)
	}
	return keep, a.onlyMe()
}

// onlyMe answers nil when no other process of this vault lives here.
func (a *App) onlyMe() error {
	if n := a.instances().Others(a.instance); n > 0 {
		return &UsageError{Text: fmt.Sprintf("%d Grantry processes have this vault open: end them first (serve, and the MCP clients that started stdio)", n)}
	}
	return nil
}

// receive writes a private, synced file.
func receive(from io.Reader, path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if _, err := io.Copy(f, from); err != nil {
		return err
	}
	return f.Sync()
}

// tryKey opens the file as a vault, which also brings an older one up to date, and notes in its audit that it was restored.
func (a *App) tryKey(ctx context.Context, path string) (err error) {
	keys, err := a.keys(ctx, false)
	if err != nil {
		return err
	}
	store, err := sqlstore.Open(ctx, sqlstore.Config{Path: path, Logger: a.log})
	if err != nil {
		return a.storeProblem(err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	v, err := vault.Open(ctx, vault.Config{Store: store, Keys: keys, Instance: a.instance, Version: a.opts.Version})
	if err != nil {
		return keyProblem(err, a.cfg.Keys.Source.String())
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	return v.Audit(ctx, vault.Entry{Kind: "vault.restored"})
}

// restoreToServer moves the checked file into a database that holds no vault yet.
func (a *App) restoreToServer(ctx context.Context, path string, p sqlstore.Progress) (err error) {
	from, err := sqlstore.Open(ctx, sqlstore.Config{Path: path, Logger: a.log})
	if err != nil {
		return a.storeProblem(err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := a.openPostgres(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	err = sqlstore.Copy(ctx, to, from, p)
	if errors.Is(err, vault.ErrConflict) {
		return &UsageError{Text: "there is a vault in the configured database: restore into an empty one, or use the server's own tools (pg_restore) and then `grantry restore --confirm`"}
	}
	return err
}

// backupProblem says what is wrong with a file that is to be restored.
func backupProblem(err error) error {
	var newer *sqlstore.SchemaError
	switch {
	case errors.Is(err, sqlstore.ErrNotVault):
		return &UsageError{Text: "that file is no Grantry backup; nothing was changed"}
	case errors.Is(err, sqlstore.ErrCorrupt):
		return errors.New("that backup is damaged; nothing was changed: take an older one")
	case errors.As(err, &newer):
		return &UsageError{Text: fmt.Sprintf("%v; install the newer version to restore it", newer)}
	}
	return fmt.Errorf("checking the backup: %w", err)
}
