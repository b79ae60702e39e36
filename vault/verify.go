package vault

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

const (
	verifyBatch   = 2048
	verifyWorkers = 4 // at most: as many as the store has readers
)

// AuditCheck says what to compare the chains with, beside themselves.
type AuditCheck struct {
	Marks    []Mark                  // what an anchor has; nil = nothing
	Progress func(done, total int64) // entries, called now and then from several goroutines; nil = nobody looks
}

// AuditReport is what was verified.
type AuditReport struct {
	Streams []AuditHead    // one per chain, with the number and MAC of its last entry
	Pruned  []AuditSegment // what is left of entries that were pruned on purpose
	Marks   int            // anchored heads that were found again
	Gone    int            // and those that were pruned, so that nothing can be said of them
	Crashes []Crash
}

// Crash is a start after an unclean stop: entries of Stream after Synced may have been lost with the machine; Head was the last one left.
type Crash struct {
	Stream string
	Head   int64
	Synced int64
}

// Entries counts the entries that all streams have.
func (r AuditReport) Entries() (n int64) {
	for _, s := range r.Streams {
		n += s.Seq
	}
	for _, s := range r.Pruned {
		n -= s.Count
	}
	return n
}

// ChainError names the first entry of a stream that is missing or was changed.
type ChainError struct {
	Stream string
	Seq    int64
	// Cut says that the stream ends before Seq, and another stream of this vault has seen it.
	Cut bool
}

// Error names the entry.
func (e *ChainError) Error() string {
	text := fmt.Sprintf("audit chain broken at entry %d", e.Seq)
	if e.Stream != Stream {
		text += " of stream " + e.Stream
	}
	return text
}

// VerifyAudit walks all chains and answers the number of entries. A broken link is a *ChainError with the first bad number.
func (v *Vault) VerifyAudit(ctx context.Context) (int64, error) {
	r, err := v.CheckAudit(ctx, AuditCheck{})
	return r.Entries(), err
}

// CheckAudit walks all chains, compares what their entries say of each other's
// heads, and then the marks of an anchor. It finds what was changed, removed,
// inserted or moved. That the last entries of all streams were cut off shows only against
// marks from outside. Its errors are *ChainError and *MarkError, for the first that is wrong, and ErrSegments.
func (v *Vault) CheckAudit(ctx context.Context, check AuditCheck) (r AuditReport, err error) {
	for {
		gone, heads, err := v.wholeOf(ctx)
		if err != nil {
			return r, err
		}
		r, err = v.checkAudit(ctx, check, gone, heads)
		var broken *ChainError
		if !errors.As(err, &broken) {
			return r, err
		}
		now, _, again := v.wholeOf(ctx)
		if again != nil || now[broken.Stream].Last == gone[broken.Stream].Last {
			return r, err
		} // it was pruned meanwhile
	}
}

// wholeOf is what there is to verify: what was pruned, and where the streams end.
func (v *Vault) wholeOf(ctx context.Context) (gone segments, heads []AuditHead, err error) {
	err = v.store.View(ctx, func(tx Tx) error {
		if gone, err = v.segments(tx); err != nil {
			return err
		}
		heads, err = v.heads(tx)
		return err
	})
	return gone, heads, err
}

func (v *Vault) checkAudit(ctx context.Context, check AuditCheck, gone segments, heads []AuditHead) (r AuditReport, err error) {
	r.Streams, r.Pruned = heads, gone.list()
	for _, s := range r.Pruned { // each has left its newest entry
		if !slices.ContainsFunc(heads, func(h AuditHead) bool { return h.Stream == s.Stream && h.Seq > s.Last }) {
			return r, &ChainError{Stream: s.Stream, Seq: s.Last + 1, Cut: true}
		}
	}
	var done atomic.Int64
	total := r.Entries()
	var notes []headNote
	for _, h := range r.Streams {
		w := &walker{v: v, head: h, first: gone[h.Stream].Last + 1, before: gone[h.Stream].MAC, did: func(n int64) {
			if sum := done.Add(n); check.Progress != nil {
				check.Progress(sum, total)
			}
		}}
		found, err := w.walk(ctx)
		if err != nil {
			return r, err
		}
		notes = append(notes, found...)
	}
	err = v.store.View(ctx, func(tx Tx) error {
		r.Crashes = nil
		if err := r.compare(tx, gone, notes); err != nil {
			return err
		}
		r.Marks, r.Gone, err = v.checkMarks(tx, check.Marks)
		return err
	})
	return r, err
}

// compare holds what the streams say of each other against the streams.
func (r *AuditReport) compare(tx Tx, gone segments, notes []headNote) error {
	for _, n := range notes {
		if n.Synced > 0 {
			r.Crashes = append(r.Crashes, Crash{Stream: n.Stream, Head: n.Seq, Synced: n.Synced})
		}
		if pruned, same := gone.pruned(n.Stream, n.Seq, n.MAC); pruned {
			if !same {
				return &ChainError{Stream: n.Stream, Seq: n.Seq}
			}
			continue
		}
		row, err := entryAt(tx, n.Stream, n.Seq)
		if err != nil {
			return err
		}
		if row.Seq == n.Seq && hmac.Equal(row.MAC, n.MAC) {
			continue
		}
		head, _, err := tx.Audit().Head(n.Stream)
		if err != nil {
			return err
		}
		if n.Seq > head {
			return &ChainError{Stream: n.Stream, Seq: head + 1, Cut: true}
		}
		return &ChainError{Stream: n.Stream, Seq: n.Seq}
	}
	return nil
}

// walker verifies one stream, in pieces that do not wait for each other: a
// link needs the stored MAC before it and nothing else.
type walker struct {
	v      *Vault
	head   AuditHead
	first  int64  // number of the first entry that was not pruned
	before []byte // MAC of the entry before it; nil = it is entry 1
	did    func(n int64)

	next atomic.Int64 // where the next piece begins
	bad  atomic.Int64 // the first bad number so far

	mu    sync.Mutex
	notes []headNote
}

func (w *walker) walk(ctx context.Context) ([]headNote, error) {
	w.next.Store(w.first)
	w.bad.Store(math.MaxInt64)
	if w.head.Seq < 1 { // it has rows, and no entry
		w.wrong(w.first)
	}
	g, ctx := errgroup.WithContext(ctx)
	for range min(verifyWorkers, runtime.GOMAXPROCS(0)) {
		g.Go(func() error { return w.work(ctx) })
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("reading audit: %w", err)
	}
	if bad := w.bad.Load(); bad != math.MaxInt64 {
		return nil, &ChainError{Stream: w.head.Stream, Seq: bad}
	}
	slices.SortFunc(w.notes, func(a, b headNote) int { return int(min(max(a.Seq-b.Seq, -1), 1)) })
	return w.notes, nil
}

func (w *walker) work(ctx context.Context) error {
	sum := w.v.newChainMAC()
	for {
		from := w.next.Add(verifyBatch) - verifyBatch
		if from > w.head.Seq || from > w.bad.Load() {
			return nil
		}
		n := min(verifyBatch, w.head.Seq-from+1)
		rows, err := w.read(ctx, from, n)
		if err != nil {
			return err
		}
		if bad := w.verify(sum, from, n, rows); bad != 0 {
			w.wrong(bad)
		}
		w.did(n)
	}
}

// read answers the piece with the row before it; the first one with whatever stands before it.
func (w *walker) read(ctx context.Context, from, n int64) (rows []AuditRow, err error) {
	first, limit := from-1, int(n)+1
	if from == w.first {
		first, limit = math.MinInt64, int(n)
	}
	err = w.v.store.View(ctx, func(tx Tx) error {
		rows, err = tx.Audit().Read(w.head.Stream, first, limit)
		return err
	})
	return rows, err
}

// verify answers the first bad number of a piece, 0 for none.
func (w *walker) verify(sum *chainMAC, from, n int64, rows []AuditRow) int64 {
	prev := w.before
	if from > w.first {
		if len(rows) == 0 || rows[0].Seq != from-1 {
			return from - 1
		}
		prev, rows = rows[0].MAC, rows[1:]
	}
	for i := range n {
		if int64(len(rows)) <= i || rows[i].Seq != from+i || rows[i].Stream != w.head.Stream || !hmac.Equal(rows[i].MAC, sum.of(prev, rows[i])) {
			return from + i
		}
		prev = rows[i].MAC
		if err := w.note(rows[i]); err != nil {
			return from + i
		}
	}
	return 0
}

// note keeps what an entry says of heads.
func (w *walker) note(r AuditRow) error {
	if r.Kind != "process.started" && r.Kind != "process.stopped" && r.Kind != "chain.heads" && r.Kind != kindPruned {
		return nil
	}
	var body entryBody
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return errors.New("not an entry")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, body.Heads...)
	return nil
}

func (w *walker) wrong(seq int64) {
	for old := w.bad.Load(); seq < old && !w.bad.CompareAndSwap(old, seq); old = w.bad.Load() {
	}
}
