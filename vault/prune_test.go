package vault_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

// months is a vault with n entries in each of three months, the last of which is now.
func months(b *bench, n int) {
	for i := range 3 {
		if i > 0 {
			b.clock.add(31 * 24 * time.Hour)
		}
		var some sync.WaitGroup
		for range 10 {
			some.Go(func() { b.entries(b.Vault, n/10) })
		}
		some.Wait()
	}
}

func (b *bench) prune(before string, marks ...vault.Mark) []vault.AuditSegment {
	b.t.Helper()
	at, err := time.Parse(time.DateOnly, before)
	if err != nil {
		b.t.Fatal(err)
	}
	went, err := b.PruneAudit(b.t.Context(), at, vault.AuditCheck{Marks: marks}, false)
	if err != nil {
		b.t.Fatal(err)
	}
	return went
}

func (b *bench) marks(seqs ...int64) (out []vault.Mark) {
	b.t.Helper()
	for _, r := range b.allRows()["main"] {
		if slices.Contains(seqs, r.Seq) {
			out = append(out, vault.Mark{Stream: "main", Seq: r.Seq, MAC: hex.EncodeToString(r.MAC), Vault: b.ID()})
		}
	}
	return out
}

// Whole months that are over go, what is left is verified, and that it was done is an entry.
func TestPrune(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func() string{"sqlite": func() string { return "" }, "postgres": func() string { return storetest.Postgres(t) }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pruneOn(t, server())
		})
	}
}

func pruneOn(t *testing.T, server string) {
	t.Helper()
	b := newBenchOn(t, server)
	months(b, 2500) // November, December, January
	marks := b.marks(10, 2500, 5000, 6000)
	if dry, err := b.PruneAudit(t.Context(), b.clock.Now(), vault.AuditCheck{}, true); err != nil || len(dry) != 1 || dry[0].Last != 5000 || dry[0].Count != 5000 {
		t.Fatalf("dry: %+v, %v", dry, err)
	}
	if n := len(b.allRows()["main"]); n != 7500 {
		t.Fatalf("a dry run left %d entries", n)
	}
	if went := b.prune("2026-12-31"); len(went) != 1 || went[0].Last != 2500 { // December is not over before its last day
		t.Fatalf("first: %+v", went)
	}
	if went := b.prune("2030-01-01", marks...); len(went) != 1 || went[0].First != 2501 || went[0].Last != 5000 {
		t.Fatalf("second: %+v", went)
	}
	if went := b.prune("2030-01-01"); len(went) != 0 {
		t.Fatalf("third: %+v", went)
	}
	r, err := b.CheckAudit(t.Context(), vault.AuditCheck{Marks: marks})
	if err != nil || r.Entries() != 2502 || r.Marks != 2 || r.Gone != 2 || len(r.Pruned) != 1 || r.Pruned[0].Count != 5000 || r.Pruned[0].First != 1 {
		t.Fatalf("report %+v, %v", r, err)
	}
	if rows := b.allRows()["main"]; rows[0].Seq != 5001 || len(rows) != 2502 {
		t.Errorf("left from %d on: %d", rows[0].Seq, len(rows))
	}
	if got := b.kinds("audit.pruned"); len(got) != 2 || got[0].Detail.Count != 2500 || got[1].Reason != "before 2027-01-01" {
		t.Errorf("entries %+v", got)
	}
	wrong := marks[2]
	wrong.MAC = marks[1].MAC
	var mark *vault.MarkError
	if err := b.CheckMarks(t.Context(), []vault.Mark{wrong}); !errors.As(err, &mark) {
		t.Errorf("another end of what was pruned: %v", err)
	}
	b.entries(b.Vault, 3) // it goes on
	if _, err := b.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

// stopsAfter is a store that takes so many more transactions.
type stopsAfter struct {
	vault.Store
	left atomic.Int64
}

func (s *stopsAfter) Update(ctx context.Context, fn func(vault.Tx) error) error {
	if s.left.Add(-1) < 0 {
		return errors.New("killed")
	}
	return s.Store.Update(ctx, fn)
}

// A prune that is killed leaves a chain that is whole, and the next one goes on.
func TestPruneIsResumed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	months(b, 2500)
	dying := &stopsAfter{}
	dying.left.Store(100)
	v := b.open("p2", func(c *vault.Config) { dying.Store, c.Store = c.Store, dying })
	for n := range int64(3) { // before its entry, after it, after a piece
		dying.left.Store(n)
		if _, err := v.PruneAudit(t.Context(), b.clock.Now(), vault.AuditCheck{}, false); err == nil {
			t.Fatal("it was not killed")
		}
		if r, err := b.CheckAudit(t.Context(), vault.AuditCheck{}); err != nil || (n == 2) != (len(r.Pruned) == 1) {
			t.Fatalf("after %d transactions: %+v, %v", n, r.Pruned, err)
		}
	}
	if went := b.prune("2030-01-01"); len(went) != 1 || went[0].First != 2001 || went[0].Last != 5000 {
		t.Fatalf("went %+v", went)
	}
	if _, err := b.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

// The newest entry stays, however old: numbers never begin anew.
func TestPruneLeavesTheHead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.entries(b.Vault, 3)
	b.clock.add(100 * 24 * time.Hour)
	if went := b.prune("2030-01-01"); len(went) != 1 || went[0].Last != 2 {
		t.Fatalf("went %+v", went)
	}
	if rows := b.allRows()["main"]; len(rows) != 2 || rows[0].Seq != 3 {
		t.Errorf("left %+v", rows)
	}
}

// What was changed in the record of pruned entries, or beside it, shows.
func TestTamperedSegments(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	months(b, 10)
	b.prune("2026-12-31")
	older := b.setting("audit_pruned")
	b.prune("2030-01-01")
	now := b.setting("audit_pruned")
	var forged struct {
		Segments []map[string]json.RawMessage `json:"segments"`
		MAC      []byte                       `json:"mac"`
	}
	if err := json.Unmarshal(now, &forged); err != nil {
		t.Fatal(err)
	}
	forged.Segments[0]["last"], forged.Segments[0]["count"] = []byte("21"), []byte("21")
	further, err := json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	forged.Segments = nil
	none, err := json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	for name, record := range map[string][]byte{
		"changed": bytes.Replace(now, []byte(`"until":`), []byte(`"until":1`), 1), "further": further, "left out": none, "cut": now[:20], "no JSON": []byte("x"),
	} {
		b.setSetting("audit_pruned", record)
		if _, err := b.VerifyAudit(t.Context()); !errors.Is(err, vault.ErrSegments) {
			t.Errorf("%s: %v", name, err)
		}
		if err := b.CheckMarks(t.Context(), b.marks(25)); !errors.Is(err, vault.ErrSegments) {
			t.Errorf("%s, a start: %v", name, err)
		}
	}
	broken := func(what string, seq int64) {
		t.Helper()
		var chain *vault.ChainError
		if _, err := b.VerifyAudit(t.Context()); !errors.As(err, &chain) || chain.Seq != seq {
			t.Errorf("%s: %v, want entry %d", what, err, seq)
		}
	}
	b.setSetting("audit_pruned", older)
	broken("an older record", 11)
	b.setSetting("audit_pruned", []byte(`{"segments":null}`))
	if _, err := b.VerifyAudit(t.Context()); !errors.Is(err, vault.ErrSegments) {
		t.Errorf("an empty record: %v", err)
	}
	b.setSetting("audit_pruned", now)
	if _, err := b.VerifyAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.store.Update(t.Context(), func(tx vault.Tx) error { return tx.Audit().Prune("main", 22) }); err != nil {
		t.Fatal(err)
	}
	broken("more is gone than was pruned", 21)
}

// Without its record a pruned chain is one whose beginning is missing.
func TestRemovedSegments(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	months(b, 10)
	if err := b.store.Update(t.Context(), func(tx vault.Tx) error { return tx.Audit().Prune("main", 10) }); err != nil {
		t.Fatal(err)
	}
	var chain *vault.ChainError
	if _, err := b.VerifyAudit(t.Context()); !errors.As(err, &chain) || chain.Seq != 1 {
		t.Errorf("verify: %v", err)
	}
	if _, err := b.PruneAudit(t.Context(), b.clock.Now(), vault.AuditCheck{}, false); !errors.As(err, &chain) {
		t.Errorf("a broken chain was pruned: %v", err)
	}
}

// Where an anchor began anew among what was pruned, what it has from before stays void.
func TestPrunedRestarts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	kept := &shelf{}
	v := b.open("p2", func(c *vault.Config) { c.Anchor = kept })
	lost := []vault.Mark{{Stream: "main", Seq: 40, MAC: "00", Vault: b.ID()}, {Stream: "main", Seq: 4, MAC: "00", Vault: b.ID()}}
	b.entries(v, 5)
	if err := v.NewAnchorSegment(t.Context(), "restored"); err != nil {
		t.Fatal(err)
	}
	months(b, 20)
	marks := append(lost, kept.all()...)
	if err := b.CheckMarks(t.Context(), marks); err != nil {
		t.Fatal(err)
	}
	b.prune("2030-01-01", marks...)
	r, err := b.CheckAudit(t.Context(), vault.AuditCheck{Marks: marks})
	if err != nil || r.Gone != 1 {
		t.Errorf("report %+v, %v", r, err)
	}
}

// Streams that have seen each other are compared only as far as both are there.
func TestPruneSeveralStreams(t *testing.T) {
	t.Parallel()
	b := twoChains(t)
	b.clock.add(62 * 24 * time.Hour)
	before := len(b.allRows())
	went := b.prune("2030-01-01")
	if len(went) < 2 || len(b.allRows()) != before {
		t.Fatalf("went %+v of %d streams", went, before)
	}
	if r, err := b.CheckAudit(t.Context(), vault.AuditCheck{}); err != nil || len(r.Pruned) != len(went) {
		t.Errorf("report %+v, %v", r, err)
	}
	rows := b.allRows()
	delete(rows, "main-2")
	v := b.open("p9", func(c *vault.Config) { c.Store = &edited{Store: c.Store, rows: rows} })
	var chain *vault.ChainError
	if _, err := v.VerifyAudit(t.Context()); !errors.As(err, &chain) || chain.Stream != "main-2" || !chain.Cut {
		t.Errorf("a stream that was removed after it was pruned: %v", err)
	}
}

// An export since a time finds its first entry without reading all, also where a clock was set back.
func TestLogSince(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	begin := b.clock.Now()
	var times []time.Time
	for i := range 300 {
		b.clock.add(time.Minute)
		if i == 150 {
			b.clock.add(-20 * time.Minute)
		}
		b.entries(b.Vault, 1)
		times = append(times, b.clock.Now())
	}
	for _, minutes := range []int{0, 1, 130, 131, 140, 149, 150, 280, 281, 400} {
		since := begin.Add(time.Duration(minutes) * time.Minute)
		want := 0
		for _, at := range times {
			if !at.Before(since) {
				want++
			}
		}
		got := 0
		for _, err := range b.AuditLog(t.Context(), vault.AuditQuery{Since: since}) {
			if err != nil {
				t.Fatal(err)
			}
			got++
		}
		if got != want {
			t.Errorf("since minute %d: %d entries, want %d", minutes, got, want)
		}
	}
}

func (b *bench) setting(name string) (value []byte) {
	b.t.Helper()
	err := b.store.View(b.t.Context(), func(tx vault.Tx) (err error) { value, err = tx.Vault().Setting(name); return err })
	if err != nil {
		b.t.Fatal(fmt.Errorf("setting %s: %w", name, err))
	}
	return value
}

func (b *bench) setSetting(name string, value []byte) {
	b.t.Helper()
	if err := b.store.Update(b.t.Context(), func(tx vault.Tx) error { return tx.Vault().SetSetting(name, value) }); err != nil {
		b.t.Fatal(err)
	}
}
