package vault_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/storetest"
)

func newKey(t *testing.T) seal.Key {
	t.Helper()
	k, err := seal.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// fileBench is a bench on the real clock whose keys stand in a file.
func fileBench(t *testing.T) (*bench, seal.Source, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	source, err := seal.OpenSource("file:"+path, seal.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	first := newKey(t)
	if err := os.WriteFile(path, []byte(first.Line()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(c *vault.Config) { c.Keys, c.ReadKeys = []seal.Key{first}, source.Keys })
	b.keys = []seal.Key{first}
	b.clock.add(time.Until(b.clock.Now()))
	return b, source, path
}

// background runs a vault's background work until the test ends.
func (b *bench) background(v *vault.Vault) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan struct{})
	go func() { _ = v.Run(ctx); close(ended) }()
	b.t.Cleanup(func() { cancel(); <-ended })
}

func (b *bench) status(v *vault.Vault) []vault.KeyStatus {
	b.t.Helper()
	list, err := v.KeyStatus(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// addPeople makes users with a data key and a record each.
func (b *bench) addPeople(n int) {
	b.t.Helper()
	for i := range n {
		who := vault.Caller{Issuer: "https://idp.example", Subject: fmt.Sprint("person-", i)}
		if err := b.Records().Put(b.t.Context(), "note", fmt.Sprint("note-", i), who, []byte(who.Subject), 1000*time.Hour); err != nil {
			b.t.Fatal(err)
		}
	}
}

// openAll opens every row of n people, and exchanges alice's.
func (b *bench) openAll(v *vault.Vault, n int) {
	b.t.Helper()
	for i := range n {
		got, err := v.Records().Get(b.t.Context(), "note", fmt.Sprint("note-", i))
		if err != nil || string(got) != fmt.Sprint("person-", i) {
			b.t.Fatalf("record of person %d: %q, %v", i, got, err)
		}
	}
	if _, err := v.Exchange(b.t.Context(), request(alice, agent)); err != nil {
		b.t.Fatalf("exchange: %v", err)
	}
	if _, err := v.AllAccounts(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// R74: a KEK is dropped only when nothing refers to it; after a rotation the new key alone opens everything.
func TestRotation(t *testing.T) {
	t.Parallel()
	const people = 450
	b, source, _ := fileBench(t)
	ctx := t.Context()
	b.connect(alice, agent)
	b.addPeople(people)
	first, next := b.keys[0], newKey(t)
	if err := source.(seal.Appender).Append(ctx, next); err != nil {
		t.Fatal(err)
	}
	if err := b.AnnounceKey(ctx, next.ID()); err != nil {
		t.Fatal(err)
	}
	if r, err := b.Rewrap(ctx, nil); err != nil || r.Done != 0 {
		t.Errorf("rewrap before: %+v, %v", r, err)
	}
	if err := b.ActivateKey(ctx, next.ID(), false); err != nil {
		t.Fatal(err)
	}
	b.mustRefuse(first.ID(), vault.InUseError{ID: first.ID(), DataKeys: people + 2})
	b.mustRefuse(next.ID(), vault.InUseError{ID: next.ID(), Active: true})
	bobs := vault.Caller{Issuer: "https://idp.example", Subject: "bob"}
	if err := b.Records().Put(ctx, "note", "bob", bobs, []byte("x"), time.Hour); err != nil {
		t.Fatal(err)
	}
	want := []vault.KeyStatus{{ID: first.ID(), Held: true, DataKeys: people + 2}, {ID: next.ID(), Held: true, Active: true, DataKeys: 1}}
	if got := b.status(b.Vault); !slices.Equal(got, want) {
		t.Errorf("status = %+v, want %+v", got, want)
	}

	var heard []int64
	r, err := b.Rewrap(ctx, func(done, total int64) {
		if heard = append(heard, done); total != people+2 {
			t.Errorf("total %d", total)
		}
	})
	if err != nil || r != (vault.Rewrapped{Active: next.ID(), Done: people + 2}) {
		t.Fatalf("rewrap: %+v, %v", r, err)
	}
	if !slices.IsSorted(heard) || heard[0] != 0 || heard[len(heard)-1] != people+2 || len(heard) < 3 {
		t.Errorf("progress %v", heard)
	}
	for range 2 {
		if err := b.RetireKey(ctx, first.ID()); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.ActivateKey(ctx, first.ID(), true); !errors.Is(err, vault.ErrRetired) {
		t.Errorf("activating a retired key: %v", err)
	}
	if nobodys := newKey(t).ID(); !unknownKey(b.ActivateKey(ctx, nobodys, true), nobodys) {
		t.Error("a key that nobody has was made active")
	}
	for kind, n := range map[string]int{"key.added": 1, "key.activated": 1, "key.rewrapped": 1, "key.retired": 1} {
		if got := b.audited(kind); got != n {
			t.Errorf("%d entries %s, want %d", got, kind, n)
		}
	}
	b.keys = []seal.Key{next}
	b.openAll(b.open("p2"), people)
	_, err = vault.Open(ctx, vault.Config{Store: b.openStore(), Keys: []seal.Key{first}, Instance: "p3"})
	if !unknownKey(err, next.ID()) {
		t.Errorf("opening with the retired key: %v", err)
	}
}

func unknownKey(err error, id seal.KeyID) bool {
	var unknown *seal.UnknownKeyError
	return errors.As(err, &unknown) && unknown.ID == id
}

// mustRefuse wants a key not to be retired.
func (b *bench) mustRefuse(id seal.KeyID, want vault.InUseError) {
	b.t.Helper()
	var in *vault.InUseError
	if err := b.RetireKey(b.t.Context(), id); !errors.As(err, &in) || *in != want {
		b.t.Errorf("retiring: %v, want %v", err, &want)
	}
}

// A key is not made active while a live process cannot read it, on both databases.
func TestActivateWaitsForProcesses(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func(*testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			activateWaits(t, server(t))
		})
	}
}

func activateWaits(t *testing.T, server string) {
	ctx := t.Context()
	b := newBenchOn(t, server)
	next := newKey(t)
	source := func(context.Context) ([]seal.Key, error) { return append(slices.Clone(b.keys[:1]), next), nil }
	both := func(c *vault.Config) { c.Keys, _ = source(ctx); c.ReadKeys = source }
	learner := b.open("learner", func(c *vault.Config) { c.ReadKeys = source })
	b.background(learner)
	operator := b.open("operator", both)
	b.eventually("the learner to be listed", func() bool { return len(b.processes(operator)) == 1 })
	if err := operator.ActivateKey(ctx, next.ID(), false); err != nil {
		t.Fatalf("with a process that can learn the key: %v", err)
	}
	if got := b.processes(operator); len(got) != 1 || !slices.Contains(got[0].Keys, next.ID()) || !got[0].Live {
		t.Errorf("processes: %+v", got)
	}

	first := b.keys[0].ID()
	third := newKey(t)
	deaf := b.open("deaf", both) // as one whose keys came in a variable
	b.background(deaf)
	b.eventually("the deaf one to be listed", func() bool { return len(b.processes(operator)) == 2 })
	owner := b.open("owner", func(c *vault.Config) {
		c.Keys = append(c.Keys, next, third)
	})
	var lacking *vault.LackingError
	if err := owner.ActivateKey(ctx, third.ID(), false); !errors.As(err, &lacking) || len(lacking.Processes) != 2 {
		t.Fatalf("with processes that lack the key: %v", err)
	}
	if got := b.status(owner); !got[1].Active || got[2].Active || got[0].ID != first {
		t.Errorf("a refused key is active: %+v", got)
	}
	if err := owner.ActivateKey(ctx, third.ID(), true); err != nil {
		t.Errorf("with force: %v", err)
	}
	err := deaf.Records().Put(ctx, "note", "x", alice.Caller, []byte("x"), time.Hour)
	if !unknownKey(err, third.ID()) {
		t.Errorf("a process that lacks the active key wraps under another: %v", err)
	}
}

func (b *bench) processes(v *vault.Vault) []vault.Process {
	b.t.Helper()
	list, err := v.Processes(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	for until := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			b.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// R74: a rewrap that is killed at any point leaves every row open, and another one goes on from there.
func TestKilledRewrap(t *testing.T) {
	t.Parallel()
	const people, wanted = 800, 4
	b, source, path := fileBench(t)
	b.connect(alice, agent)
	b.addPeople(people)
	if err := source.(seal.Appender).Append(t.Context(), newKey(t)); err != nil {
		t.Fatal(err)
	}
	keys, err := source.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.keys = keys
	halves, active, within := 0, 0, 250*time.Millisecond // of its start, it is killed: that is for the machine to say
	for round := 0; halves < wanted; round++ {
		if round > 60 {
			t.Fatalf("only %d of %d kills hit a rewrap that was under way", halves, round)
		}
		v := b.open(fmt.Sprint("p", round))
		status := b.status(v)
		if status[1-active].DataKeys == 0 { // done: and back again
			active = 1 - active
			if err := v.ActivateKey(t.Context(), keys[active].ID(), false); err != nil {
				t.Fatal(err)
			}
		}
		cmd, _ := b.startChild("rewrap", path)
		time.Sleep(rand.N(within))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		v = b.open(fmt.Sprint("q", round))
		status = b.status(v)
		if status[0].DataKeys+status[1].DataKeys != people+2 {
			t.Fatalf("after a kill: %+v", status)
		}
		switch {
		case status[0].DataKeys > 0 && status[1].DataKeys > 0:
			halves++
		case status[active].DataKeys == 0: // too early
			within = within * 5 / 4
		default:
			within = within * 4 / 5
		}
		b.openAll(v, people)
	}
	if r, err := b.open("last").Rewrap(t.Context(), nil); err != nil || r.Missing+r.Broken != 0 {
		t.Fatalf("the last rewrap: %+v, %v", r, err)
	}
	b.keys = keys[active : active+1]
	b.openAll(b.open("alone"), people)
}

// Two processes serve while a key is added, made active, and everything wrapped under it: no exchange fails.
func TestRotationWhileServing(t *testing.T) {
	t.Parallel()
	b, source, path := fileBench(t)
	b.connect(alice, agent)
	b.addPeople(300)
	ctx := t.Context()
	first, firstIn := b.startChild("serve", path)
	second, secondIn := b.startChild("serve", path)
	next := newKey(t)
	if err := source.(seal.Appender).Append(ctx, next); err != nil {
		t.Fatal(err)
	}
	keys, err := source.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.keys = keys
	v := b.open("operator")
	b.eventually("both to be listed", func() bool { return len(b.processes(v)) == 2 })
	if err := errors.Join(v.AnnounceKey(ctx, next.ID()), v.ActivateKey(ctx, next.ID(), false)); err != nil {
		t.Fatal(err)
	}
	if r, err := v.Rewrap(ctx, nil); err != nil || r.Done != 302 {
		t.Errorf("rewrap: %+v, %v", r, err)
	}
	if err := errors.Join(v.RetireKey(ctx, keys[0].ID()), source.(seal.Remover).Remove(ctx, keys[0].ID())); err != nil {
		t.Error(err)
	}
	third, thirdIn := b.startChild("serve", path) // knows the new key only
	time.Sleep(200 * time.Millisecond)
	if err := errors.Join(firstIn.Close(), secondIn.Close(), thirdIn.Close(), first.Wait(), second.Wait(), third.Wait()); err != nil {
		t.Error(err)
	}
	if left := b.processes(v); len(left) != 0 {
		t.Errorf("who stopped is still listed: %+v", left)
	}
	b.audited("token.released")
}
