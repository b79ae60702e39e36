package vault_test

import (
	"context"
	"errors"
	"sync"

	"github.com/grantry/grantry/vault"
)

var errDiskFull = errors.New("disk full")

// faulty is a store that fails when the test says so, and lets the test act
// right before a write.
type faulty struct {
	vault.Store
	mu      sync.Mutex
	before  func() error // of every write
	release func()       // before the next release
	noAudit bool
	noSwap  bool // of grants; leases and probes go through
	views   error
	updates error
}

// broken makes p1's store one that the test can break.
func broken(t interface{ Helper() }) (*faulty, func(*vault.Config)) {
	t.Helper()
	f := new(faulty)
	return f, func(c *vault.Config) { f.Store = c.Store; c.Store = f }
}

func (f *faulty) set(before func() error, noAudit bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.noAudit = before, noAudit
}

// once has the next write wait for act.
func (f *faulty) once(act func()) {
	f.set(func() error { f.set(nil, false); act(); return nil }, false)
}

// onceReleasing has the next release wait for act.
func (f *faulty) onceReleasing(act func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.release = act
}

func (f *faulty) failViews(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.views = err
}

func (f *faulty) failUpdates(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.updates = err
}

func (f *faulty) View(ctx context.Context, fn func(vault.Tx) error) error {
	f.mu.Lock()
	err := f.views
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.Store.View(ctx, fn)
}

func fails() error { return errDiskFull }

func (f *faulty) Append(ctx context.Context, fn func(vault.Tx) error) error {
	f.mu.Lock()
	before, noAudit, act := f.before, f.noAudit, f.release
	f.release = nil
	f.mu.Unlock()
	if act != nil {
		act()
	}
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	if noAudit {
		return auditless{f.Store}.Append(ctx, fn)
	}
	return f.Store.Append(ctx, fn)
}

func (f *faulty) Update(ctx context.Context, fn func(vault.Tx) error) error {
	f.mu.Lock()
	before, noAudit, noSwap, err := f.before, f.noAudit, f.noSwap, f.updates
	f.mu.Unlock()
	if err != nil {
		return err
	}
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	if noAudit {
		return auditless{f.Store}.Update(ctx, fn)
	}
	if noSwap {
		return f.Store.Update(ctx, func(tx vault.Tx) error { return fn(swaplessTx{tx}) })
	}
	return f.Store.Update(ctx, fn)
}

type swaplessTx struct{ vault.Tx }

func (t swaplessTx) Grants() vault.GrantRows { return swaplessRows{t.Tx.Grants()} }

type swaplessRows struct{ vault.GrantRows }

func (swaplessRows) Swap(vault.GrantRow, int64) error { return errDiskFull }

func (f *faulty) Check(ctx context.Context) error {
	return f.Update(ctx, func(vault.Tx) error { return nil })
}

// row reads a grant as it is stored.
func (b *bench) row(id string) (g vault.GrantRow) {
	b.t.Helper()
	err := b.store.View(b.t.Context(), func(tx vault.Tx) (err error) { g, err = tx.Grants().Get(id); return err })
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

// change writes a grant as somebody with the database in hand would.
func (b *bench) change(id string, f func(*vault.GrantRow)) {
	b.t.Helper()
	g := b.row(id)
	gen := g.Gen
	f(&g)
	if err := b.store.Update(b.t.Context(), func(tx vault.Tx) error { return tx.Grants().Swap(g, gen) }); err != nil {
		b.t.Fatal(err)
	}
}

// audited counts the entries of a kind, and holds the chain together.
func (b *bench) audited(kind string) (n int) {
	b.t.Helper()
	if _, err := b.VerifyAudit(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	err := b.store.View(b.t.Context(), func(tx vault.Tx) error {
		rows, err := tx.Audit().Read(vault.Stream, 1, 100000)
		for _, r := range rows {
			if r.Kind == kind {
				n++
			}
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}
