package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
)

const (
	workFolder = "backup-*"     // in the data folder: private, and gone when the command ends
	workKept   = 24 * time.Hour // what a killed command left behind
)

// Backup is a copy of the vault to make.
type Backup struct {
	Path string
	// Wrap encrypts what is written to the file; nil = not at all.
	Wrap     func(io.Writer) (io.WriteCloser, error)
	Progress sqlstore.Progress // nil = nobody looks
}

// Backup writes one moment of the vault to a new file, 0600 and synced, without
// its key. The file has its name only when it is whole and its audit entry is
// committed. What is not encrypted never leaves the data folder when Wrap is set.
func (a *App) Backup(ctx context.Context, b Backup) error {
	if _, err := os.Lstat(b.Path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(&UsageError{Text: fmt.Sprintf("%s is there already: name a new file", b.Path)}, err)
	}
	dir := filepath.Dir(b.Path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return &UsageError{Text: fmt.Sprintf("there is no folder %s: make it first, or name another", dir)}
	}
	v, err := a.Vault(ctx)
	if err != nil {
		return err
	}
	work, err := privateFolder(dir, ".grantry-backup-")
	if err != nil {
		return fmt.Errorf("writing to %s: %w; name a folder that you can write to", dir, err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	whole := filepath.Join(work, "vault.backup")
	if b.Wrap == nil {
		err = a.opened.store.Backup(ctx, whole, b.Progress)
	} else {
		err = a.wrapped(ctx, whole, b)
	}
	if err != nil {
		return err
	}
	if err := v.Audit(ctx, vault.Entry{Kind: "vault.backed_up"}); err != nil {
		return fmt.Errorf("writing the audit entry, without which there is no backup: %w", err)
	}
	return publish(whole, b.Path)
}

// wrapped makes the copy in the data folder, and writes it encrypted to target.
func (a *App) wrapped(ctx context.Context, target string, b Backup) (err error) {
	work, done, err := a.workFolder()
	if err != nil {
		return err
	}
	defer done()
	plain := filepath.Join(work, vaultFile)
	if err := a.opened.store.Backup(ctx, plain, b.Progress); err != nil {
		return err
	}
	in, err := os.Open(plain)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w, err := b.Wrap(out)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return errors.Join(err, w.Close(), out.Chmod(0o600), out.Sync())
}

// workFolder makes a private folder in the data folder, and removes those that killed commands left.
func (a *App) workFolder() (dir string, done func(), err error) {
	old, _ := filepath.Glob(filepath.Join(a.cfg.DataDir, workFolder))
	for _, name := range old {
		if info, err := os.Stat(name); err == nil && info.IsDir() && time.Since(info.ModTime()) > workKept {
			_ = os.RemoveAll(name)
		}
	}
	if dir, err = privateFolder(a.cfg.DataDir, workFolder); err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// privateFolder makes a folder that its owner can use, whatever the umask.
func privateFolder(in, pattern string) (string, error) {
	dir, err := os.MkdirTemp(in, pattern)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder needs its x bit
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, nil
}

// publish gives a file its name, and takes none away: a link fails where a file
// is. Where there are no links it looks first.
func publish(whole, path string) error {
	err := os.Link(whole, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		if _, there := os.Lstat(path); errors.Is(there, fs.ErrNotExist) {
			err = os.Rename(whole, path)
		}
	}
	if err != nil {
		return fmt.Errorf("naming the backup: %w", err)
	}
	return syncFolder(filepath.Dir(path), 0)
}
