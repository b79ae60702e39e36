package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
	"github.com/grantry/grantry/vault/storetest"
)

// insister is a process that writes on, whatever becomes of the server.
type insister struct {
	name   string
	stored map[int64]string // what it was told is stored: number of the entry and its MAC
	unsure int              // what nobody could tell it
	failed int
}

func (w *insister) write(ctx context.Context, s *sqlstore.Store, until *atomic.Bool) {
	for n := 0; !until.Load(); n++ {
		var row vault.AuditRow
		err := s.Update(ctx, func(tx vault.Tx) error {
			head, mac, err := tx.Audit().Head("main")
			if err != nil {
				return err
			}
			row = vault.AuditRow{Stream: "main", Seq: head + 1, Kind: "k", Body: append([]byte{}, mac...), MAC: fmt.Appendf(nil, "%s %d", w.name, n)}
			return tx.Audit().Append([]vault.AuditRow{row})
		})
		switch {
		case err == nil:
			w.stored[row.Seq] = string(row.MAC)
		case errors.Is(err, sqlstore.ErrOutcome):
			w.unsure++
		default:
			w.failed++
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// TestServerRestarts takes the whole server away under load, in a hurry and by
// SIGKILL: all that a process was told is stored is there when the server is
// back, nothing else is, and the processes go on by themselves.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t)
	var over atomic.Bool
	var writers sync.WaitGroup
	var all []*insister
	for _, name := range []string{"a", "b", "c"} {
		w, s := &insister{name: name, stored: map[int64]string{}}, openStore(t, server.URL)
		all = append(all, w)
		writers.Go(func() { w.write(context.WithoutCancel(t.Context()), s, &over) })
	}
	watching := openStore(t, server.URL)
	_, ended := watched(t, watching)
	for _, end := range []func(*testing.T){server.Shutdown, server.Kill} {
		time.Sleep(400 * time.Millisecond)
		end(t)
		time.Sleep(200 * time.Millisecond)
		server.Start(t)
	}
	back := time.Now()
	if err := openStore(t, server.URL).Check(t.Context()); err != nil {
		t.Errorf("once the server is back: %v", err)
	}
	t.Logf("a write %s after the server was back", time.Since(back).Round(time.Millisecond))
	time.Sleep(400 * time.Millisecond)
	over.Store(true)
	writers.Wait()
	select {
	case err := <-ended:
		t.Logf("who listened was told: %v", err)
	case <-time.After(5 * time.Second):
		t.Error("who listened has not noticed")
	}
	watched(t, watching)
	sameEntries(t, openStore(t, server.URL), all)
}

// sameEntries compares the chain with what the writers know.
func sameEntries(t *testing.T, s vault.Store, all []*insister) {
	t.Helper()
	var rows []vault.AuditRow
	if err := s.View(t.Context(), func(tx vault.Tx) (err error) { rows, err = tx.Audit().Read("main", 1, 1_000_000); return err }); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, s, int64(len(rows)))
	stored, unsure, failed := 0, 0, 0
	for _, w := range all {
		stored, unsure, failed = stored+len(w.stored), unsure+w.unsure, failed+w.failed
		for seq, mac := range w.stored {
			if seq > int64(len(rows)) || string(rows[seq-1].MAC) != mac {
				t.Errorf("entry %d of process %s is not there", seq, w.name)
			}
		}
		if len(w.stored) < 20 {
			t.Errorf("process %s stored %d entries only", w.name, len(w.stored))
		}
	}
	t.Logf("%d entries, %d acknowledged, %d of unknown outcome, %d refused", len(rows), stored, unsure, failed)
	if n := len(rows); n < stored || n > stored+unsure {
		t.Errorf("%d entries, with %d acknowledged and %d of unknown outcome", n, stored, unsure)
	}
}

// TestNumberOfALostTransaction kills the server under a transaction before its
// commit. The server that comes back gives its number to another one, which
// commits: what the first one asks about its number must not deceive it.
func TestNumberOfALostTransaction(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t)
	w, place := newWire(t, server.URL)
	s, other := openStore(t, place), openStore(t, server.URL)
	write := func(s *sqlstore.Store, name string) error {
		return s.Update(context.WithoutCancel(t.Context()), func(tx vault.Tx) error { return tx.Vault().SetSetting(name, []byte("b")) })
	}
	for range 20 { // the pages are in the log whole, so that the next change is small and stays in memory
		if err := errors.Join(write(s, "a"), write(other, "a")); err != nil {
			t.Fatal(err)
		}
	}
	w.cut = func() {
		server.Kill(t)
		server.Start(t)
		for n := range 10 {
			if err := write(other, "a"); err != nil && n > 3 {
				t.Error(err)
			}
		}
	}
	w.sever.Store("before")
	err := write(s, "lost")
	if w.cuts.Load() != 1 {
		t.Fatal("the line was not cut")
	}
	t.Logf("the process was told: %v", err)
	found := other.View(t.Context(), func(tx vault.Tx) error { _, err := tx.Vault().Setting("lost"); return err })
	if err == nil && found != nil {
		t.Errorf("what was acknowledged is not there: %v", found)
	}
	if err := write(s, "afterwards"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
