package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// RunTransactions checks what Store itself promises.
func RunTransactions(t *testing.T, open func(t *testing.T) vault.Store) {
	cases(t, open, map[string]func(*testing.T, vault.Store){
		"an error leaves nothing":          rollsBack,
		"a panic leaves nothing":           rollsBackOnPanic,
		"a view cannot write":              viewCannotWrite,
		"a view is a snapshot":             viewIsSnapshot,
		"an update sees itself":            updateSeesItself,
		"cancelled before":                 cancelledBefore,
		"cancelled during":                 cancelledDuring,
		"cancelled while waiting":          cancelledWaiting,
		"append":                           appends,
		"no writing after the transaction": endsWithItsFunction,
		"check":                            checkWrites,
		"close waits for an update":        closeWaitsForUpdate,
		"close waits for a view":           closeWaitsForView,
		"closed":                           closedStore,
	})
}

var errTest = errors.New("an error of the test")

func setting(name string) func(tx vault.Tx) ([]byte, error) {
	return func(tx vault.Tx) ([]byte, error) { return tx.Vault().Setting(name) }
}

func set(name string) func(tx vault.Tx) error {
	return func(tx vault.Tx) error { return tx.Vault().SetSetting(name, []byte("set")) }
}

func rollsBack(t *testing.T, s vault.Store) {
	updateErr(t, s, errTest, func(tx vault.Tx) error { return errors.Join(set("a")(tx), errTest) })
	readErr(t, s, vault.ErrNotFound, setting("a"))
	update(t, s, set("a"))
}

func rollsBackOnPanic(t *testing.T, s vault.Store) {
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Update(t.Context(), func(tx vault.Tx) error {
			if err := set("a")(tx); err != nil {
				t.Error(err)
			}
			panic("of the test")
		})
	}()
	readErr(t, s, vault.ErrNotFound, setting("a"))
	update(t, s, set("a")) // nothing is locked
}

func viewCannotWrite(t *testing.T, s vault.Store) {
	if err := s.View(t.Context(), set("a")); err == nil {
		t.Error("a View wrote")
	}
	readErr(t, s, vault.ErrNotFound, setting("a"))
}

func viewIsSnapshot(t *testing.T, s vault.Store) {
	err := s.View(t.Context(), func(tx vault.Tx) error {
		if _, err := setting("a")(tx); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("before: %v", err)
		}
		update(t, s, set("a"))
		if _, err := setting("a")(tx); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("a View saw what was written meanwhile: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	read(t, s, setting("a"))
}

func updateSeesItself(t *testing.T, s vault.Store) {
	update(t, s, func(tx vault.Tx) error {
		if err := set("a")(tx); err != nil {
			return err
		}
		_, err := setting("a")(tx)
		return err
	})
}

func cancelledBefore(t *testing.T, s vault.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, do := range map[string]func(context.Context, func(vault.Tx) error) error{"Update": s.Update, "Append": s.Append, "View": s.View} {
		err := do(ctx, func(vault.Tx) error { t.Errorf("%s began", name); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
}

// cancelledDuring is the promise that a rotated token rests on.
func cancelledDuring(t *testing.T, s vault.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx vault.Tx) error {
		if err := set("before")(tx); err != nil {
			return err
		}
		cancel()
		time.Sleep(20 * time.Millisecond) // whoever watches the context has acted by now
		return set("after")(tx)
	})
	if err != nil {
		t.Fatalf("Update with a caller that went away: %v", err)
	}
	for _, name := range []string{"before", "after"} {
		read(t, s, setting(name))
	}
}

// cancelledWaiting wants a caller that waits for another's transaction to be let go.
func cancelledWaiting(t *testing.T, s vault.Store) {
	began, finish := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Update(t.Context(), func(vault.Tx) error { close(began); <-finish; return nil }); err != nil {
			t.Errorf("the first: %v", err)
		}
	})
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	for name, do := range map[string]func(context.Context, func(vault.Tx) error) error{"Update": s.Update, "Append": s.Append} {
		if err := do(ctx, set("a")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want context.DeadlineExceeded", name, err)
		}
	}
	close(finish)
	wg.Wait()
	readErr(t, s, vault.ErrNotFound, setting("a"))
}

// appends wants an Append to be a transaction like any other, between Updates: what
// went before is in it, what it wrote is in what comes after, an error leaves nothing.
func appends(t *testing.T, s vault.Store) {
	for n := int64(1); n <= 6; n += 2 {
		update(t, s, appendRows(auditRow("main", n)))
		fail := func(tx vault.Tx) error { return errors.Join(appendRows(auditRow("main", n+1))(tx), errTest) }
		if err := s.Append(t.Context(), fail); !errors.Is(err, errTest) {
			t.Errorf("Append: %v, want the test's own error", err)
		}
		if err := s.Append(t.Context(), appendRows(auditRow("main", n+1))); err != nil {
			t.Fatalf("Append: %v", err)
		}
		same(t, "entries", int(n+1), len(auditRead(t, s, "main", 1, 100)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Append(t.Context(), func(vault.Tx) error { return nil }) == nil {
		t.Error("a closed store appends")
	}
}

func endsWithItsFunction(t *testing.T, s vault.Store) {
	var escaped vault.Tx
	update(t, s, func(tx vault.Tx) error { escaped = tx; return nil })
	if err := set("a")(escaped); err == nil {
		t.Error("a transaction wrote after its end")
	}
	readErr(t, s, vault.ErrNotFound, setting("a"))
}

func checkWrites(t *testing.T, s vault.Store) {
	for range 2 {
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("a closed store says that it can write")
	}
}

func closeWaitsForUpdate(t *testing.T, s vault.Store) { closeWaits(t, s, s.Update, set("a")) }

func closeWaitsForView(t *testing.T, s vault.Store) {
	closeWaits(t, s, s.View, func(tx vault.Tx) error { _, err := tx.Grants().List(vault.GrantFilter{}); return err })
}

// closeWaits closes the store during a transaction, whose last step comes after that.
func closeWaits(t *testing.T, s vault.Store, run func(context.Context, func(vault.Tx) error) error, step func(vault.Tx) error) {
	t.Helper()
	began, finish := make(chan struct{}), make(chan struct{})
	ended, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		ended <- run(t.Context(), func(tx vault.Tx) error { close(began); <-finish; return step(tx) })
	}()
	<-began
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		t.Errorf("Close did not wait, it answered %v", err)
		closed <- nil
	case <-time.After(50 * time.Millisecond):
	}
	close(finish)
	if err := <-ended; err != nil {
		t.Errorf("the transaction in flight: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

func closedStore(t *testing.T, s vault.Store) {
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if s.View(t.Context(), func(vault.Tx) error { return nil }) == nil || s.Update(t.Context(), func(vault.Tx) error { return nil }) == nil {
		t.Error("a closed store works")
	}
}
