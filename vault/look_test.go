package vault_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// gated is a store with one reader, whose Views wait behind a gate once their snapshot has begun.
type gated struct {
	vault.Store
	views   atomic.Int64
	entered chan struct{}
	gate    atomic.Pointer[chan struct{}]
	fails   atomic.Pointer[string] // pseudonym of a user whose accounts cannot be read
}

func (g *gated) Readers() int { return 1 }

func (g *gated) View(ctx context.Context, fn func(vault.Tx) error) error {
	g.views.Add(1)
	return g.Store.View(ctx, func(tx vault.Tx) error {
		if gate := g.gate.Load(); gate != nil {
			if _, err := tx.Vault().Epoch(); err != nil { // SQLite's snapshot begins with the first row
				return err
			}
			g.entered <- struct{}{}
			<-*gate
		}
		return fn(gatedTx{tx, g})
	})
}

type gatedTx struct {
	vault.Tx
	g *gated
}

func (t gatedTx) Access() vault.AccessRows { return gatedAccess{t.Tx.Access(), t.g} }

type gatedAccess struct {
	vault.AccessRows
	g *gated
}

func (a gatedAccess) Held(user, agent string) ([]vault.HeldRow, error) {
	if who := a.g.fails.Load(); who != nil && *who == user {
		return nil, errDiskFull
	}
	return a.AccessRows.Held(user, agent)
}

// behind opens a bench on a gated store, and has a first pick wait at the gate until open is called.
func behind(t *testing.T) (b *bench, g *gated, open func()) {
	t.Helper()
	g = &gated{entered: make(chan struct{}, 100)}
	b = newBench(t, func(c *vault.Config) { g.Store = c.Store; c.Store = g })
	b.connect(alice, agent)
	gate := make(chan struct{})
	g.gate.Store(&gate)
	var first sync.WaitGroup
	first.Go(func() { _ = b.Check(context.Background(), request(alice, agent)) })
	<-g.entered
	g.views.Store(0)
	return b, g, sync.OnceFunc(func() { g.gate.Store(nil); close(gate); first.Wait() })
}

// waits returns when as many goroutines as were started have had their time to ask.
func waits() { time.Sleep(50 * time.Millisecond) }

// Who asks while another reads is served by the next snapshot, all by the same one, each with an answer of their own.
func TestPicksShareASnapshot(t *testing.T) {
	t.Parallel()
	b, g, open := behind(t)
	defer open()
	var all sync.WaitGroup
	for i := range 12 {
		who, want := alice, vault.Reason("")
		if i%2 == 1 {
			who, want = bob, vault.NotConnected
		}
		all.Go(func() {
			err := b.Check(t.Context(), request(who, agent))
			var lack *vault.ConsentError
			if errors.As(err, &lack) != (want != "") || lack != nil && lack.Reason != want {
				t.Errorf("%s: %v", who.Subject, err)
			}
		})
	}
	waits()
	open()
	all.Wait()
	if n := g.views.Load(); n != 1 {
		t.Errorf("12 picks took %d snapshots", n)
	}
}

// A snapshot that began before somebody asked does not serve them.
func TestPickSeesWhatWasCommittedBefore(t *testing.T) {
	t.Parallel()
	b, _, open := behind(t)
	defer open()
	list, err := b.open("p2").AccessList(t.Context(), alice.Caller)
	if err != nil || len(list) != 1 {
		t.Fatalf("access: %+v, %v", list, err)
	}
	if err := b.RevokeAccess(t.Context(), alice.Caller, list[0].ID); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() { answer <- b.Check(context.Background(), request(alice, agent)) }()
	waits()
	open()
	var lack *vault.ConsentError
	if err := <-answer; !errors.As(err, &lack) || lack.Reason != vault.AgentNotAllowed {
		t.Errorf("after the access was taken: %v", err)
	}
}

// One whose rows cannot be read is tried again by itself, and the others of the group are served.
func TestPickThatFailsIsAlone(t *testing.T) {
	t.Parallel()
	b, g, open := behind(t)
	defer open()
	g.fails.Store(new(b.Pseudonym(bob.Caller)))
	answers := make(chan error, 4)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { answers <- b.Check(context.Background(), request(alice, agent)) })
	}
	failed := make(chan error, 1)
	all.Go(func() { failed <- b.Check(context.Background(), request(bob, agent)) })
	waits()
	open()
	all.Wait()
	for range 4 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if err := <-failed; !errors.Is(err, errDiskFull) {
		t.Errorf("the one that cannot be read: %v", err)
	}
	if n := g.views.Load(); n != 2 {
		t.Errorf("%d snapshots, want the group's and one more", n)
	}
}

// Who goes away waits for no reader.
func TestPickOfOneWhoGoesAway(t *testing.T) {
	t.Parallel()
	b, _, open := behind(t)
	defer open()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.Check(ctx, request(alice, agent)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
