package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grantry/grantry/vault/seal"
)

const (
	rewrapBatch  = 400
	rewrapShare  = 4                      // of the time one part is for wrapping and the rest for others
	rewrapPause  = 100 * time.Millisecond // at least: fewer than one exchange in a hundred then waits for a batch
	activateWait = 8 * time.Second        // for other processes to learn a key: some looks, and a command or a KMS
)

// ErrRetired says that a key was retired, and cannot become active again.
var ErrRetired = errors.New("key was retired")

// KeyStatus is one key-encryption key (KEK).
type KeyStatus struct {
	ID       seal.KeyID
	Held     bool // the key source of this process has it
	Active   bool // new data keys are wrapped under it
	Retired  bool
	DataKeys int64 // wrapped under it
}

// KeyStatus answers the keys that this process holds, in the order of their
// source, and behind them others that data keys are wrapped under.
func (v *Vault) KeyStatus(ctx context.Context) (list []KeyStatus, err error) {
	err = v.store.View(ctx, func(tx Tx) error { list, err = v.keyStatus(tx); return err })
	return list, err
}

func (v *Vault) keyStatus(tx Tx) ([]KeyStatus, error) {
	held := v.keyring.ids()
	ids := held
	counts, err := tx.Keys().Count()
	if err != nil {
		return nil, err
	}
	under := map[seal.KeyID]int64{}
	for _, c := range counts {
		if len(c.KEK) != len(seal.KeyID{}) {
			continue // no wrapped key of ours: opening it says so
		}
		id := seal.KeyID(c.KEK)
		if under[id] = c.N; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	active, err := kek(tx, settingKEK)
	if err != nil {
		return nil, fmt.Errorf("reading active key id: %w", err)
	}
	gone, err := retired(tx)
	if err != nil {
		return nil, err
	}
	list := make([]KeyStatus, len(ids))
	for i, id := range ids {
		list[i] = KeyStatus{ID: id, Held: i < len(held), Active: id == active, Retired: slices.Contains(gone, id), DataKeys: under[id]}
	}
	return list, nil
}

func retired(tx Tx) ([]seal.KeyID, error) {
	b, err := tx.Vault().Setting(settingRetired)
	return keyIDs(b), unless(ErrNotFound, err)
}

func keyEntry(kind string, id seal.KeyID) Entry {
	return Entry{Kind: kind, Reason: "key=" + id.String()}
}

// AnnounceKey notes that a key was added to the key source, so that other processes read it again.
func (v *Vault) AnnounceKey(ctx context.Context, id seal.KeyID) error {
	return v.store.Update(ctx, func(tx Tx) error {
		if err := setKEK(tx, settingNext, id); err != nil {
			return err
		}
		return v.append(tx, keyEntry("key.added", id))
	})
}

// LackingError says which live processes do not hold a key: what is wrapped under it they could not open.
type LackingError struct {
	ID        seal.KeyID
	Processes []Process
}

// Error names the key and how many processes lack it.
func (e *LackingError) Error() string {
	return fmt.Sprintf("key %s is not held by %d of the processes", e.ID, len(e.Processes))
}

// ActivateKey has new data keys be wrapped under a key from now on. It waits some
// seconds for every live process to hold the key, and answers a *LackingError
// with those that do not, unless force is set; *seal.UnknownKeyError when this
// process does not, ErrRetired when the key was retired.
func (v *Vault) ActivateKey(ctx context.Context, id seal.KeyID, force bool) error {
	if !v.keyring.learn(ctx, id) {
		return &seal.UnknownKeyError{ID: id}
	}
	err := v.store.Update(ctx, func(tx Tx) error { return setKEK(tx, settingNext, id) })
	for until := time.Now().Add(activateWait); err == nil && !force && time.Now().Before(until); {
		var lacking []Process
		if lacking, err = v.lacking(ctx, id); len(lacking) == 0 {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return fmt.Errorf("waiting for other processes to learn key %s: %w", id, err)
	}
	var refused error
	err = v.store.Update(ctx, func(tx Tx) (err error) { refused, err = v.activate(tx, id, force); return err })
	return cmp.Or(err, refused)
}

func (v *Vault) lacking(ctx context.Context, id seal.KeyID) (list []Process, err error) {
	err = v.store.View(ctx, func(tx Tx) error { list, err = v.lackingIn(tx, id); return err })
	return list, err
}

func (v *Vault) lackingIn(tx Tx, id seal.KeyID) ([]Process, error) {
	all, err := v.processes(tx)
	return slices.DeleteFunc(all, func(p Process) bool { return !p.Live || slices.Contains(p.Keys, id) }), err
}

// activate writes which key is active. Where it refuses, other processes are no longer asked to learn the key.
func (v *Vault) activate(tx Tx, id seal.KeyID, force bool) (refused, err error) {
	gone, err := retired(tx)
	if err != nil {
		return nil, err
	}
	lacking, err := v.lackingIn(tx, id)
	if err != nil {
		return nil, err
	}
	if err := tx.Vault().SetSetting(settingNext, []byte{}); err != nil {
		return nil, err
	}
	switch active, err := kek(tx, settingKEK); {
	case slices.Contains(gone, id):
		return ErrRetired, nil
	case len(lacking) > 0 && !force:
		return &LackingError{ID: id, Processes: lacking}, nil
	case err == nil && active == id:
		return nil, nil
	}
	if err := setKEK(tx, settingKEK, id); err != nil {
		return nil, err
	}
	return nil, v.append(tx, keyEntry("key.activated", id))
}

// Rewrapped says what Rewrap did.
type Rewrapped struct {
	Active  seal.KeyID
	Done    int64
	Missing int64 // left alone: their key is not in the source
	Broken  int64 // left alone: they do not open, somebody changed them
}

// Rewrap wraps every data key that is not under the active KEK under it, a few at
// a time, while the vault is in use. Ended at any point it has done what it has
// done, and another run goes on from there. progress hears after each batch how
// many of how many are done; nil = nobody.
func (v *Vault) Rewrap(ctx context.Context, progress func(done, total int64)) (r Rewrapped, err error) {
	total, err := v.toRewrap(ctx)
	if err != nil {
		return r, err
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	progress(0, total)
	for last := []byte{}; last != nil && err == nil; {
		began := time.Now()
		if last, err = v.rewrapSome(ctx, last, &r); err != nil || last == nil {
			break
		}
		progress(r.Done, max(total, r.Done))
		select {
		case <-time.After(max(rewrapPause, (rewrapShare-1)*time.Since(began))):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if r.Done == 0 {
		return r, err
	}
	e := keyEntry("key.rewrapped", r.Active)
	e.Reason += fmt.Sprintf(" done=%d missing=%d broken=%d", r.Done, r.Missing, r.Broken)
	return r, errors.Join(err, v.Audit(context.WithoutCancel(ctx), e))
}

func (v *Vault) toRewrap(ctx context.Context) (n int64, err error) {
	list, err := v.KeyStatus(ctx)
	for _, k := range list {
		if !k.Active {
			n += k.DataKeys
		}
	}
	return n, err
}

// rewrapSome does the data keys after an id, and answers the last one's; nil when there is none.
// What it wraps it stores only if the KEK is active still: one that was replaced may be retired next.
func (v *Vault) rewrapSome(ctx context.Context, after []byte, r *Rewrapped) (last []byte, err error) {
	var tree *seal.Tree
	var rows []KeyRow
	err = v.store.View(ctx, func(tx Tx) error {
		if tree, err = v.wrapping(tx); err != nil {
			return err
		}
		r.Active = tree.Active()
		rows, err = tx.Keys().Others(r.Active[:], after, rewrapBatch)
		return err
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	fresh := make([][]byte, len(rows))
	for i, k := range rows {
		if fresh[i], err = v.rewrap(tree, k); err != nil {
			r.note(err)
		}
	}
	var done int64
	err = v.store.Update(ctx, func(tx Tx) error {
		done = 0
		if active, err := kek(tx, settingKEK); err != nil || active != r.Active {
			return cmp.Or(err, ErrConflict)
		}
		for i, k := range rows {
			if fresh[i] == nil {
				continue
			}
			switch err := tx.Keys().Rewrap(k.ID, k.Wrapped, fresh[i]); {
			case err == nil:
				done++
			case !errors.Is(err, ErrConflict): // else another run did it, or its user is gone
				return err
			}
		}
		return nil
	})
	r.Done += done
	if err != nil {
		return nil, fmt.Errorf("wrapping data keys anew: %w", err)
	}
	return rows[len(rows)-1].ID, nil
}

func (v *Vault) rewrap(tree *seal.Tree, k KeyRow) ([]byte, error) {
	if len(k.ID) != len(seal.DEKID{}) {
		return nil, seal.ErrOpen
	}
	return tree.Rewrap(v.id, k.User, seal.DEKID(k.ID), k.Wrapped)
}

func (r *Rewrapped) note(err error) {
	if unknown := (*seal.UnknownKeyError)(nil); errors.As(err, &unknown) {
		r.Missing++
		return
	}
	r.Broken++
}

// InUseError says why a key cannot be retired.
type InUseError struct {
	ID       seal.KeyID
	Active   bool
	DataKeys int64
}

// Error says what the key is used for.
func (e *InUseError) Error() string {
	if e.Active {
		return fmt.Sprintf("key %s is the active one", e.ID)
	}
	return fmt.Sprintf("key %s wraps %d data keys", e.ID, e.DataKeys)
}

// RetireKey says that a key will not be used again: who answers nil may drop it
// from the key source. *InUseError while data keys are wrapped under it, or new
// ones would be (R74); ErrNotFound for a key that nobody knows. To retire a
// key that is retired already is no error.
func (v *Vault) RetireKey(ctx context.Context, id seal.KeyID) error {
	return v.store.Update(ctx, func(tx Tx) error {
		list, err := v.keyStatus(tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(k KeyStatus) bool { return k.ID == id })
		switch {
		case i < 0:
			return ErrNotFound
		case list[i].Active || list[i].DataKeys > 0:
			return &InUseError{ID: id, Active: list[i].Active, DataKeys: list[i].DataKeys}
		case list[i].Retired:
			return nil
		}
		gone, err := retired(tx)
		if err != nil {
			return err
		}
		if err := tx.Vault().SetSetting(settingRetired, joinKeyIDs(append(gone, id))); err != nil {
			return err
		}
		if next, err := kek(tx, settingNext); err == nil && next == id {
			if err := tx.Vault().SetSetting(settingNext, []byte{}); err != nil {
				return err
			}
		}
		return v.append(tx, keyEntry("key.retired", id))
	})
}
