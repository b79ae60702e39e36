package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// HomeSetting names the setting that says where this vault lives. Whoever makes
// a copy on purpose puts CopyMark there.
const HomeSetting = "home"

// CopyMark is no place: a vault with this home is a copy wherever it is opened.
const CopyMark = "copy"

// homeEvery is how often a running process looks whether its vault was replaced by a copy.
const homeEvery = time.Minute

// ErrCopied says that this vault is a copy, or was restored from a backup, and
// that nobody has said yet that it is the one that lives. Two vaults that refresh
// the same grants kill them: vendors take the second use of a token for theft (G11).
var ErrCopied = errors.New("vault is a copy that nobody has confirmed")

// Homed is a Store that can tell where it lives.
type Homed interface {
	// Home answers a digest of the place: the same as long as the store was only moved, another for a copy. nil where the place has no such mark.
	Home(ctx context.Context) ([]byte, error)
}

// home is what this process knows of its vault's place.
type home struct{ copied atomic.Bool }

// Copied says whether this vault is a copy that waits for ConfirmHome.
func (v *Vault) Copied() bool { return v.home.copied.Load() }

// checkHome compares the place with the one that the vault remembers. A vault
// that remembers none, new or of an older Grantry, is at home here.
func (v *Vault) checkHome(ctx context.Context) error {
	here, err := v.here(ctx)
	if err != nil || here == nil {
		return err
	}
	var known []byte
	read := func(tx Tx) (err error) { known, err = tx.Vault().Setting(HomeSetting); return err }
	err = v.store.View(ctx, read)
	if errors.Is(err, ErrNotFound) {
		err = v.store.Update(ctx, func(tx Tx) error {
			if err := read(tx); !errors.Is(err, ErrNotFound) {
				return err // another process was faster
			}
			known = here
			return tx.Vault().SetSetting(HomeSetting, here)
		})
	}
	if err != nil {
		return fmt.Errorf("reading where the vault lives: %w", err)
	}
	copied := !bytes.Equal(known, here)
	if was := v.home.copied.Swap(copied); copied && !was {
		v.log.Error("this vault is a copy or was restored: no vendor is contacted and no token given out until it is confirmed")
	}
	return nil
}

func (v *Vault) here(ctx context.Context) ([]byte, error) {
	h, ok := v.cfg.Store.(Homed)
	if !ok {
		return nil, nil
	}
	here, err := h.Home(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking where the vault lives: %w", err)
	}
	return here, nil
}

// lives answers nil where this vault may touch vendors and release tokens. One
// that another process has confirmed since lives at once.
func (v *Vault) lives(ctx context.Context) error {
	if !v.home.copied.Load() {
		return nil
	}
	if err := v.checkHome(ctx); err != nil {
		return degraded(err)
	}
	if v.home.copied.Load() {
		return degraded(ErrCopied)
	}
	return nil
}

// ConfirmHome is the operator's word that of all copies this is the one that
// lives. It answers false when there was nothing to confirm.
func (v *Vault) ConfirmHome(ctx context.Context) (was bool, err error) {
	if err := v.checkHome(ctx); err != nil || !v.home.copied.Load() {
		return false, err
	}
	here, err := v.here(ctx)
	if err != nil {
		return false, err
	}
	err = v.store.Update(ctx, func(tx Tx) error {
		if err := tx.Vault().SetSetting(HomeSetting, here); err != nil {
			return err
		}
		return v.append(tx, Entry{Kind: "vault.confirmed"})
	})
	if err != nil {
		return false, fmt.Errorf("confirming the vault: %w", err)
	}
	v.home.copied.Store(false)
	return true, nil
}

// watchHome notices a database that was replaced below a running process.
func (v *Vault) watchHome(ctx context.Context) {
	every(ctx, homeEvery, func(ctx context.Context) {
		if err := v.checkHome(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("looking whether the vault was replaced", "error", err)
		}
	})
}
