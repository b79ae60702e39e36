package vault_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/seal"
)

// A process that meets a key that it does not hold reads the source again, once for all who ask.
func TestLearnsAKeyThatItMeets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	next := newKey(t)
	both := []seal.Key{b.keys[0], next}
	var reads, failures atomic.Int64
	p2 := b.open("p2", func(c *vault.Config) {
		c.ReadKeys = func(context.Context) ([]seal.Key, error) { reads.Add(1); return both, nil }
	})
	failing := b.open("failing", func(c *vault.Config) {
		c.ReadKeys = func(context.Context) ([]seal.Key, error) { failures.Add(1); return nil, errDiskFull }
	})
	b.connect(alice, agent)
	old := b.keys
	b.keys = both
	operator := b.open("operator")
	if err := operator.ActivateKey(ctx, next.ID(), false); err != nil {
		t.Fatal(err)
	}
	if r, err := operator.Rewrap(ctx, nil); err != nil || r.Done != 2 {
		t.Fatalf("rewrap: %+v, %v", r, err)
	}
	answers := make(chan error)
	for range 8 {
		go func() { _, err := p2.Exchange(ctx, request(alice, agent)); answers <- err }()
	}
	for range 8 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if reads.Load() != 1 {
		t.Errorf("the source was read %d times", reads.Load())
	}
	if err := p2.Records().Put(ctx, "note", "n", bob.Caller, []byte("x"), time.Hour); err != nil {
		t.Error(err)
	}
	if got := b.status(operator); got[1].DataKeys != 3 {
		t.Errorf("a new user's key is not under the active one: %+v", got)
	}
	for range 3 {
		if _, err := failing.Exchange(ctx, request(alice, agent)); !unknownKey(err, next.ID()) {
			t.Errorf("with a source that fails: %v", err)
		}
	}
	if failures.Load() != 1 {
		t.Errorf("a source that fails was read %d times within seconds", failures.Load())
	}
	opened, err := vault.Open(ctx, vault.Config{
		Store: b.openStore(), Keys: old, Instance: "late", ReadKeys: func(context.Context) ([]seal.Key, error) { return both, nil },
	})
	if err != nil || opened.ID() != b.ID() {
		t.Errorf("opening with keys that were read too early: %v", err)
	}
}

// Nothing is wrapped under a key that was replaced and retired while a batch was under way.
func TestRewrapMeetsARetirement(t *testing.T) {
	t.Parallel()
	f, with := broken(t)
	b := newBench(t)
	ctx := t.Context()
	b.connect(alice, agent)
	first, next := b.keys[0], newKey(t)
	b.keys = append(slices.Clone(b.keys), next)
	v, other := b.open("p2", with), b.open("p3")
	if err := other.ActivateKey(ctx, next.ID(), false); err != nil {
		t.Fatal(err)
	}
	f.set(func() error { // before the first batch is stored
		f.set(nil, false)
		if err := errors.Join(other.ActivateKey(ctx, first.ID(), false), other.RetireKey(ctx, next.ID())); err != nil {
			t.Error(err)
		}
		return nil
	}, false)
	if r, err := v.Rewrap(ctx, nil); !errors.Is(err, vault.ErrConflict) || r.Done != 0 {
		t.Errorf("rewrap: %+v, %v", r, err)
	}
	want := []vault.KeyStatus{{ID: first.ID(), Held: true, Active: true, DataKeys: 2}, {ID: next.ID(), Held: true, Retired: true}}
	if got := b.status(v); !slices.Equal(got, want) {
		t.Errorf("status %+v, want %+v", got, want)
	}
}

// A data key that somebody changed, and one whose key is gone, are counted and left; the others are done.
func TestRewrapLeavesWhatDoesNotOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	b.addPeople(5)
	gone, next := newKey(t), newKey(t)
	tree, err := seal.NewTree([]seal.Key{gone}, gone.ID())
	if err != nil {
		t.Fatal(err)
	}
	err = b.store.Update(ctx, func(tx vault.Tx) error {
		users, err := tx.Users().List("", 2)
		if err != nil {
			return err
		}
		for i, u := range users {
			k, err := tx.Keys().Get(u.DEK)
			if err != nil {
				return err
			}
			to := slices.Clone(k.Wrapped)
			if to[len(to)-1] ^= 1; i == 1 {
				if _, to, err = tree.NewDEK(b.ID(), u.Key, nil); err != nil {
					return err
				}
			}
			if err := tx.Keys().Rewrap(k.ID, k.Wrapped, to); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.keys = append(slices.Clone(b.keys), next)
	v := b.open("p2")
	if err := v.ActivateKey(ctx, next.ID(), false); err != nil {
		t.Fatal(err)
	}
	want := vault.Rewrapped{Active: next.ID(), Done: 4, Missing: 1, Broken: 1}
	if r, err := v.Rewrap(ctx, nil); err != nil || r != want {
		t.Errorf("rewrap: %+v, %v, want %+v", r, err, want)
	}
	var used *vault.InUseError
	for _, id := range []seal.KeyID{b.keys[0].ID(), gone.ID()} {
		if err := v.RetireKey(ctx, id); !errors.As(err, &used) || used.DataKeys != 1 {
			t.Errorf("retiring %s: %v", id, err)
		}
	}
}
