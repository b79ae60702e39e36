package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/rescue"
)

// rescuer is a vault's emergency journal and the folder that it shares with others.
type rescuer struct {
	*rescue.Journal
	folder string
}

func newRescuer(t *testing.T, folder, instance string) (rescuer, func(*vault.Config)) {
	t.Helper()
	r := rescuer{Journal: rescue.New(folder, instance, nil), folder: folder}
	t.Cleanup(func() { _ = r.Close() })
	return r, func(c *vault.Config) { c.Rescue = r.Journal }
}

// strand leaves a refreshed grant in p1's memory and journal only, and then lets p1
// die: its store never works again, and the lock of its journal is gone.
func strand(t *testing.T) (b *bench, id, journal string) {
	t.Helper()
	folder := t.TempDir()
	f, with := broken(t)
	r, rescued := newRescuer(t, folder, "p1")
	b = newBench(t, with, rescued)
	id = b.connect(alice, agent).ID
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.onToken = func() { f.set(fails, false) } })
	if e := b.lack(request(alice, agent)); e.Reason != vault.VaultDegraded {
		t.Fatalf("lack = %+v", e)
	}
	if err := b.Ready(t.Context()); err == nil {
		t.Error("ready although a grant is not stored")
	}
	b.vendor.set(func(v *vendor) { v.onToken = nil })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return b, id, filepath.Join(folder, "p1.journal")
}

// G4: what a process could not store before it died, the next one takes from its emergency journal, and sends nothing twice.
func TestJournalIsReplayed(t *testing.T) {
	t.Parallel()
	b, id, journal := strand(t)
	raw, err := os.ReadFile(journal)
	if err != nil || bytes.Contains(raw, []byte("canary")) || bytes.Contains(raw, []byte("alice")) {
		t.Fatalf("the journal of %d bytes, %v, holds something in clear", len(raw), err)
	}
	_, rescued := newRescuer(t, filepath.Dir(journal), "p2")
	next := b.open("p2", rescued)
	if g := b.row(id); g.Gen != 2 || g.State != string(vault.GrantActive) {
		t.Fatalf("row: generation %d, %s", g.Gen, g.State)
	}
	if tok, err := next.Exchange(t.Context(), request(alice, agent)); err != nil || tok.Generation != 2 || b.vendor.worstSpend() != 1 {
		t.Errorf("exchange: %+v, %v, one token sent %d times", tok, err, b.vendor.worstSpend())
	}
	if _, err := os.Stat(journal); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal: %v", err)
	}
}

// G1, G4: a process that lives and cannot write has the successor in its journal. Who
// waits for its lease to end finds it there, and sends nothing; when it can write again there is nothing left to do.
func TestJournalOfTheLiving(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	f, with := broken(t)
	_, rescued := newRescuer(t, folder, "p1")
	b := newBench(t, with, rescued)
	id := b.connect(alice, agent).ID
	_, rescued = newRescuer(t, folder, "p2")
	other := b.open("p2", rescued)
	b.clock.add(2 * time.Hour)
	served := make(chan error, 1)
	b.vendor.set(func(v *vendor) {
		v.onToken = func() {
			go func() {
				tok, err := other.Exchange(t.Context(), request(alice, agent))
				if err == nil && tok.Generation != 2 {
					err = fmt.Errorf("generation %d", tok.Generation)
				}
				served <- err
			}()
			time.Sleep(200 * time.Millisecond) // it waits for the lease
			f.set(fails, false)
		}
	})
	if e := b.lack(request(alice, agent)); e.Reason != vault.VaultDegraded {
		t.Fatalf("lack = %+v", e)
	}
	b.vendor.set(func(v *vendor) { v.onToken = nil })
	b.clock.add(31 * time.Second)
	if err := <-served; err != nil || b.vendor.worstSpend() != 1 || b.row(id).Gen != 2 {
		t.Fatalf("beside a process that cannot write: %v, one token sent %d times, generation %d", err, b.vendor.worstSpend(), b.row(id).Gen)
	}
	f.set(nil, false)
	b.happens("the first process has nothing left to store", func() bool { return b.Ready(t.Context()) == nil })
	if tok := b.token(request(alice, agent)); tok.Generation != 2 || b.vendor.worstSpend() != 1 {
		t.Errorf("then: generation %d, one token sent %d times", tok.Generation, b.vendor.worstSpend())
	}
}

// G2: who takes over from a process that died looks into its journal before it spends, and
// a grant that was ended for want of it comes back.
func TestJournalBeforeTheNextSend(t *testing.T) {
	t.Parallel()
	b, id, journal := strand(t)
	folder := filepath.Dir(journal)
	hidden := filepath.Join(t.TempDir(), "p1.journal")
	if err := os.Rename(journal, hidden); err != nil {
		t.Fatal(err)
	}
	_, rescued := newRescuer(t, folder, "p2")
	next := b.open("p2", rescued) // finds nothing yet
	b.clock.add(time.Hour)
	if _, err := next.Exchange(t.Context(), request(alice, agent)); err == nil || b.row(id).State != string(vault.GrantRevoked) {
		t.Fatalf("without the journal: %v, %s", err, b.row(id).State)
	}
	if err := os.Rename(hidden, journal); err != nil {
		t.Fatal(err)
	}
	_, rescued = newRescuer(t, folder, "p3")
	last := b.open("p3", rescued)
	tok, err := last.Exchange(t.Context(), request(alice, agent))
	if err != nil || tok.Generation < 2 || b.row(id).State != string(vault.GrantActive) {
		t.Errorf("with it: %+v, %v, %s", tok, err, b.row(id).State)
	}
}

// A record that was changed, or is older than its row, is dropped and hurts nobody.
func TestJournalThatDoesNotFit(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(b *bench, journal, id string){
		"changed": func(b *bench, journal, _ string) {
			raw, err := os.ReadFile(journal)
			if err != nil {
				b.t.Fatal(err)
			}
			at := bytes.Index(raw, []byte(`"sealed"`)) + 40
			raw[at] ^= 1
			if err := os.WriteFile(journal, raw, 0o600); err != nil {
				b.t.Fatal(err)
			}
		},
		"older": func(b *bench, _, id string) { b.change(id, func(g *vault.GrantRow) { g.Gen += 5 }) },
		"of a grant that is gone": func(b *bench, _, _ string) {
			err := b.store.Update(b.t.Context(), func(tx vault.Tx) error { return tx.Users().Delete(b.Pseudonym(alice.Caller)) })
			if err != nil {
				b.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, id, journal := strand(t)
			act(b, journal, id)
			r, rescued := newRescuer(t, filepath.Dir(journal), "p2")
			b.open("p2", rescued)
			if _, err := os.Stat(journal); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the journal: %v", err)
			}
			if name != "of a grant that is gone" && b.row(id).Gen != map[string]int64{"changed": 1, "older": 6}[name] {
				t.Errorf("generation %d", b.row(id).Gen)
			}
			if err := r.Ready(); err != nil {
				t.Error(err)
			}
		})
	}
}

// G4: when the store works again the process itself stores what it kept, and its journal is empty.
func TestJournalIsErased(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	f, with := broken(t)
	_, rescued := newRescuer(t, folder, "p1")
	b := newBench(t, with, rescued)
	acc := b.connect(alice, agent)
	b.clock.add(2 * time.Hour)
	b.vendor.set(func(v *vendor) { v.onToken = func() { f.set(fails, false) } })
	time.AfterFunc(300*time.Millisecond, func() { f.set(nil, false) })
	if tok := b.token(request(alice, agent)); tok.Generation != 2 || b.vendor.worstSpend() != 1 {
		t.Errorf("generation %d, one token sent %d times", tok.Generation, b.vendor.worstSpend())
	}
	if raw, err := os.ReadFile(filepath.Join(folder, "p1.journal")); err != nil || bytes.Contains(raw, []byte(acc.ID)) {
		t.Errorf("the journal of %d bytes, %v, still holds the grant", len(raw), err)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

// G4: without a place in the journal nothing is spent; a token with some life left still serves.
func TestNoJournalNoSpend(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "rescue")
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	_, rescued := newRescuer(t, folder, "p1")
	b := newBench(t, rescued)
	b.connect(alice, agent)
	before := b.vendor.requests()
	b.clock.add(59*time.Minute + 30*time.Second)
	if tok := b.token(request(alice, agent)); tok.Generation != 1 {
		t.Errorf("generation %d", tok.Generation)
	}
	b.clock.add(time.Hour)
	if e := b.lack(request(alice, agent)); e.Reason != vault.VaultDegraded || b.vendor.requests() != before {
		t.Errorf("lack = %+v, %d requests", e, b.vendor.requests()-before)
	}
	if strings.Contains(b.log.String(), "canary") {
		t.Error("a token is in the log")
	}
}
