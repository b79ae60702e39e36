package vault_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// shelf is an anchor in memory.
type shelf struct {
	mu    sync.Mutex
	marks []vault.Mark
	down  error
	tries int
}

func (s *shelf) Append(_ context.Context, marks []vault.Mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.down == nil {
		s.marks = append(s.marks, marks...)
	}
	return s.down
}

func (s *shelf) all() []vault.Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]vault.Mark(nil), s.marks...)
}

func (s *shelf) set(down error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// running runs the background work of a vault and answers how to end it; the test's end ends it too.
func running(t *testing.T, v *vault.Vault) (stop func()) {
	t.Helper()
	before := len(kinds(t, v, "process.started"))
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = v.Run(ctx) })
	stop = func() { cancel(); done.Wait() }
	t.Cleanup(stop)
	until(t, "a process has begun", func() bool { return len(kinds(t, v, "process.started")) > before })
	return stop
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 10 s:", what)
		}
	}
}

func kinds(t *testing.T, v *vault.Vault, kind string) (out []vault.AuditEntry) {
	t.Helper()
	for e, err := range v.AuditLog(t.Context(), vault.AuditQuery{Kind: kind}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// anchored starts and stops a process with an anchor, so that the last head is in it.
func (b *bench) anchored(a vault.Anchor) {
	b.t.Helper()
	v := b.open("anchoring", func(c *vault.Config) { c.Anchor = a })
	stop := running(b.t, v)
	stop()
	if err := v.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// The heads are anchored at once, after 1,000 entries, after 5 minutes, and at the stop; not when nothing happened.
func TestAnchoring(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := &shelf{}
	v := b.open("p2", func(c *vault.Config) { c.Anchor = a })
	stop := running(t, v)
	until(t, "the start is anchored", func() bool { return len(a.all()) == 1 })
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() { b.entries(v, 20) })
	}
	group.Wait()
	until(t, "1,000 entries are anchored", func() bool { return len(a.all()) == 2 })
	b.entries(v, 1)
	b.clock.add(5 * time.Minute)
	until(t, "five minutes are anchored", func() bool { return len(a.all()) == 3 })
	b.clock.add(time.Hour)
	time.Sleep(1200 * time.Millisecond) // a tick
	stop()
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	marks := a.all()
	if len(marks) != 4 || marks[3].Seq != 1003 || marks[3].Vault != b.ID() || marks[3].Stream != "main" || len(marks[3].MAC) != 64 {
		t.Fatalf("marks = %+v", marks)
	}
	r, err := b.CheckAudit(t.Context(), vault.AuditCheck{Marks: marks})
	if err != nil || r.Marks != 4 || r.Entries() != 1003 {
		t.Errorf("report %+v, %v", r, err)
	}
}

// An anchor that is down holds nothing up. It is said once, and when it is back once.
func TestAnchorDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := &shelf{down: errors.New("no route")}
	said := &diary{}
	v := b.open("p2", func(c *vault.Config) { c.Anchor, c.Logger = a, slog.New(slog.NewTextHandler(said, nil)) })
	running(t, v)
	tries := func(n int) bool { a.mu.Lock(); defer a.mu.Unlock(); return a.tries >= n }
	until(t, "it is tried", func() bool { return tries(1) })
	b.clock.add(10 * time.Second)
	until(t, "it is tried again", func() bool { return tries(2) })
	b.entries(v, 1)
	a.set(nil)
	b.clock.add(time.Minute)
	until(t, "it is anchored", func() bool { return len(a.all()) == 1 })
	until(t, "it is said", func() bool { return said.count("anchored again") == 1 })
	if n := said.count("is not anchored"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// diary is a log that a test reads meanwhile.
type diary struct {
	mu   sync.Mutex
	text strings.Builder
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *diary) count(what string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Count(d.text.String(), what)
}

// A vault that was put back on purpose starts a new segment: what the anchor
// has from before does not count any more. Nobody can write such a line who
// cannot write the chain, nor use an old one again.
func TestNewAnchorSegment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.entries(b.Vault, 5)
	a := &shelf{}
	lost := vault.Mark{Stream: "main", Seq: 900, MAC: strings.Repeat("00", 32), Vault: b.ID()}
	if err := a.Append(t.Context(), []vault.Mark{lost}); err != nil {
		t.Fatal(err)
	}
	check := func() error { return b.CheckMarks(t.Context(), a.all()) }
	var e *vault.MarkError
	if err := check(); !errors.As(err, &e) || e.Head != 5 || e.Stranger {
		t.Fatalf("check = %v", err)
	}
	forged := lost
	forged.Segment = "restored"
	_ = a.Append(t.Context(), []vault.Mark{forged})
	if err := check(); !errors.As(err, &e) {
		t.Fatalf("with a forged segment: %v", err)
	}
	v := b.open("p2", func(c *vault.Config) { c.Anchor = a })
	if err := v.NewAnchorSegment(t.Context(), "restored"); err != nil {
		t.Fatal(err)
	}
	if err := check(); err != nil {
		t.Fatalf("with a new segment: %v", err)
	}
	marks := a.all()
	_ = a.Append(t.Context(), []vault.Mark{lost, marks[len(marks)-1]})
	if err := check(); !errors.As(err, &e) {
		t.Errorf("with the segment's line once more: %v", err)
	}
	if err := b.CheckMarks(t.Context(), []vault.Mark{{Stream: "main", Seq: 1, Vault: "another"}}); !errors.As(err, &e) || !e.Stranger {
		t.Errorf("with another vault's anchor: %v", err)
	}
}
