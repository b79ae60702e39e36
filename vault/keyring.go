package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/grantry/grantry/vault/seal"
)

const (
	settingKEK     = "active_kek"   // under which data keys are wrapped
	settingNext    = "next_kek"     // that processes should learn; empty = none
	settingRetired = "retired_keks" // 8 bytes each; they are never made active again

	// rereadEvery spaces readings of the key source: it may be a command, or a KMS that charges for them.
	rereadEvery = 5 * time.Second
)

// keyring holds the KEKs of this process, and reads their source again when one
// is missing: it may have been added since. A key once read stays.
type keyring struct {
	read   func(context.Context) ([]seal.Key, error) // nil = the source cannot be read again
	flight singleflight.Group

	mu   sync.RWMutex
	at   *seal.Tree
	held []seal.KeyID // in the order of the source
	last time.Time    // of the reading before
}

func newKeyring(keys []seal.Key, read func(context.Context) ([]seal.Key, error)) (*keyring, error) {
	tree, err := seal.NewTree(keys, keys[0].ID())
	if err != nil {
		return nil, err
	}
	r := &keyring{read: read, at: tree}
	r.add(keys)
	return r, nil
}

// tree has all keys at hand. Which one wraps is for the store to say: see wrapping.
func (r *keyring) tree() *seal.Tree {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.at
}

func (r *keyring) ids() []seal.KeyID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.held)
}

func (r *keyring) add(keys []seal.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.With(keys)
	for _, k := range keys {
		if !slices.Contains(r.held, k.ID()) {
			r.held = append(r.held, k.ID())
		}
	}
}

// learn says whether the key is at hand, after reading the source again where
// that may help. Who asks at the same time shares one reading.
func (r *keyring) learn(ctx context.Context, id seal.KeyID) bool {
	if r.tree().Has(id) {
		return true
	}
	done := r.flight.DoChan("", func() (any, error) { return nil, r.reread(context.WithoutCancel(ctx)) })
	select {
	case <-done:
	case <-ctx.Done():
	}
	return r.tree().Has(id)
}

func (r *keyring) reread(ctx context.Context) error {
	r.mu.Lock()
	due := r.read != nil && time.Since(r.last) >= rereadEvery
	if due {
		r.last = time.Now()
	}
	r.mu.Unlock()
	if !due {
		return nil
	}
	keys, err := r.read(ctx)
	if err == nil {
		r.add(keys)
	}
	return err
}

// learning is a Store whose transactions, when they meet a key that is not at
// hand, run once more if the key source has it by now. The source is read
// outside of the transaction: a command may take a while.
type learning struct {
	Store
	ring *keyring
}

func (l learning) View(ctx context.Context, fn func(Tx) error) error {
	return l.again(ctx, func() error { return l.Store.View(ctx, fn) })
}

func (l learning) Update(ctx context.Context, fn func(Tx) error) error {
	return l.again(ctx, func() error { return l.Store.Update(ctx, fn) })
}

func (l learning) Append(ctx context.Context, fn func(Tx) error) error {
	return l.again(ctx, func() error { return l.Store.Append(ctx, fn) })
}

func (l learning) again(ctx context.Context, run func() error) error {
	err := run()
	var unknown *seal.UnknownKeyError
	if errors.As(err, &unknown) && l.ring.learn(ctx, unknown.ID) {
		return run()
	}
	return err
}

// wrapping is the tree that wraps under the KEK that is active as of tx. A write
// transaction thus never wraps under one that was replaced before it.
func (v *Vault) wrapping(tx Tx) (*seal.Tree, error) {
	active, err := kek(tx, settingKEK)
	if err != nil {
		return nil, fmt.Errorf("reading active key id: %w", err)
	}
	return v.keyring.tree().Activate(active)
}

// kek reads a setting that is the id of a key; seal.ErrOpen where it is none.
func kek(tx Tx, setting string) (seal.KeyID, error) {
	id, err := tx.Vault().Setting(setting)
	if err != nil || len(id) != len(seal.KeyID{}) {
		return seal.KeyID{}, seal.ErrOpen
	}
	return seal.KeyID(id), nil
}

func setKEK(tx Tx, setting string, id seal.KeyID) error {
	return tx.Vault().SetSetting(setting, id[:])
}

// keyIDs reads ids that stand one behind the other.
func keyIDs(b []byte) (ids []seal.KeyID) {
	for id := range slices.Chunk(b, len(seal.KeyID{})) {
		if len(id) == len(seal.KeyID{}) {
			ids = append(ids, seal.KeyID(id))
		}
	}
	return ids
}

func joinKeyIDs(ids []seal.KeyID) []byte {
	b := []byte{}
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}
