package vault

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	anchorEvery   = 5 * time.Minute
	anchorEntries = 1000
	anchorWithin  = 20 * time.Second // for one try

	kindSegment = "audit.segment"
)

// Anchor keeps heads of the audit where who changes the store cannot change them.
type Anchor interface {
	// Append adds marks. When it answers nil they outlive this machine's end.
	Append(ctx context.Context, marks []Mark) error
}

// Mark is one line of an anchor: a head that was on the disk at Time.
type Mark struct {
	Stream string    `json:"stream"`
	Seq    int64     `json:"seq"`
	MAC    string    `json:"mac"` // hex
	Time   time.Time `json:"time"`
	Vault  string    `json:"vault"`
	// Segment says why the marks before this one no longer hold; "" = they do.
	// It counts only where the chain has its own entry of that, at Seq.
	Segment string `json:"segment,omitempty"`
}

// same says whether two marks are of one entry.
func (m Mark) same(o Mark) bool {
	return m.Vault == o.Vault && m.Stream == o.Stream && m.Seq == o.Seq && m.MAC == o.MAC
}

func (v *Vault) mark(h AuditHead) Mark {
	return Mark{Stream: h.Stream, Seq: h.Seq, MAC: hex.EncodeToString(h.MAC), Time: v.cfg.Now().UTC().Truncate(time.Millisecond), Vault: v.id}
}

// anchoring is how far this process has anchored.
type anchoring struct {
	mu      sync.Mutex
	seqs    map[string]int64 // by stream
	at      time.Time        // of the last try
	count   int64            // of entries appended then
	failing int              // tries in a row that failed
}

// due says whether it is time: 5 minutes or 1,000 entries after what was
// anchored last; after a failure soon, and then ever later.
func (a *anchoring) due(now time.Time, appended int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	since := now.Sub(a.at)
	if a.failing > 0 {
		return since >= min(time.Second<<min(a.failing, 10), anchorEvery)
	}
	return since >= anchorEvery || appended-a.count >= anchorEntries
}

func (v *Vault) anchorWhenDue(ctx context.Context) {
	if v.cfg.Anchor != nil && v.chain.anchoring.due(v.cfg.Now(), v.chain.appended.Load()) {
		v.anchor(ctx)
	}
}

// anchor appends the heads that have moved since the last time. A failure is
// said once, and so is its end: nothing waits for the anchor. A copy that nobody
// has confirmed anchors nothing: the anchor is the original's.
func (v *Vault) anchor(ctx context.Context) {
	if v.cfg.Anchor == nil || v.Copied() {
		return
	}
	a := &v.chain.anchoring
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at, a.count = v.cfg.Now(), v.chain.appended.Load()
	ctx, cancel := context.WithTimeout(ctx, anchorWithin)
	defer cancel()
	err := v.anchorMoved(ctx, a)
	switch {
	case err == nil && a.failing > 0:
		v.log.Info("the audit is anchored again")
	case err != nil && a.failing == 0:
		v.log.Error("the audit is not anchored: what is cut from it now would not show", "error", err)
	}
	a.failing++
	if err == nil {
		a.failing = 0
	}
}

func (v *Vault) anchorMoved(ctx context.Context, a *anchoring) error {
	heads, err := v.AuditHeads(ctx)
	if err != nil || !a.moved(heads) {
		return err
	}
	if heads, err = v.syncedHeads(ctx); err != nil {
		return err
	}
	var marks []Mark
	for _, h := range heads {
		if a.seqs[h.Stream] != h.Seq {
			marks = append(marks, v.mark(h))
		}
	}
	if err := v.cfg.Anchor.Append(ctx, marks); err != nil {
		return err
	}
	a.seqs = map[string]int64{}
	for _, h := range heads {
		a.seqs[h.Stream] = h.Seq
	}
	return nil
}

func (a *anchoring) moved(heads []AuditHead) bool {
	for _, h := range heads {
		if a.seqs[h.Stream] != h.Seq {
			return true
		}
	}
	return false
}

// NewAnchorSegment is the operator's word that this vault was put back to an
// earlier state on purpose: an entry says so, and the marks that the anchor has
// from before no longer count. why is our code ("restored"). Without an anchor only the entry is written.
func (v *Vault) NewAnchorSegment(ctx context.Context, why string) error {
	var head AuditHead
	err := v.store.Update(ctx, func(tx Tx) error {
		if err := v.append(tx, Entry{Kind: kindSegment, Reason: why}); err != nil {
			return err
		}
		seq, mac, err := tx.Audit().Head(v.chain.stream())
		head = AuditHead{Stream: v.chain.stream(), Seq: seq, MAC: mac}
		return err
	})
	if err != nil || v.cfg.Anchor == nil {
		return err
	}
	m := v.mark(head)
	m.Segment = why
	if err := v.cfg.Anchor.Append(ctx, []Mark{m}); err != nil {
		return fmt.Errorf("anchoring a new segment: %w", err)
	}
	return nil
}

// MarkError says that an anchored head is not what the chain has.
type MarkError struct {
	Mark Mark
	Head int64 // of that stream now
	// Stranger says that the anchor has marks of other vaults only; Mark is its last.
	Stranger bool
}

// Error names the entry.
func (e *MarkError) Error() string {
	switch {
	case e.Stranger:
		return fmt.Sprintf("the anchor is of vault %s", e.Mark.Vault)
	case e.Mark.Seq > e.Head:
		return fmt.Sprintf("audit stream %s ends at entry %d, and entry %d was anchored", e.Mark.Stream, e.Head, e.Mark.Seq)
	}
	return fmt.Sprintf("entry %d of audit stream %s is not the one that was anchored", e.Mark.Seq, e.Mark.Stream)
}

// CheckMarks compares anchored heads with the chain, without walking it. The first that is missing or different is a *MarkError.
func (v *Vault) CheckMarks(ctx context.Context, marks []Mark) error {
	return v.store.View(ctx, func(tx Tx) error {
		_, _, err := v.checkMarks(tx, marks)
		return err
	})
}

// checkMarks answers how many marks it compared, and how many are of entries that were pruned.
func (v *Vault) checkMarks(tx Tx, marks []Mark) (n, gone int, err error) {
	pruned, err := v.segments(tx)
	if err != nil {
		return 0, 0, err
	}
	own, err := v.inForce(tx, pruned, marks)
	if err != nil {
		return 0, 0, err
	}
	if len(own) == 0 && len(marks) > 0 {
		return 0, 0, &MarkError{Mark: marks[len(marks)-1], Stranger: true}
	}
	for _, m := range own {
		if away, same := pruned.mark(m); same && m.Seq == pruned[m.Stream].Last {
			n++
			continue
		} else if away && same {
			gone++
			continue
		}
		row, err := entryAt(tx, m.Stream, m.Seq)
		if err != nil {
			return n, gone, err
		}
		if row.Seq != m.Seq || hex.EncodeToString(row.MAC) != m.MAC {
			head, _, err := tx.Audit().Head(m.Stream)
			return n, gone, errors.Join(&MarkError{Mark: m, Head: head}, err)
		}
		n++
	}
	return n, gone, nil
}

// inForce leaves out the marks of other vaults, and those before the last new
// segment. A segment that is not in the chain, or stands there a second time, is a mark like any other.
func (v *Vault) inForce(tx Tx, pruned segments, marks []Mark) ([]Mark, error) {
	var own []Mark
	var segments []Mark
	for _, m := range marks {
		if m.Vault != v.id {
			continue
		}
		if m.Segment != "" && !containsMark(segments, m) {
			row, err := entryAt(tx, m.Stream, m.Seq)
			if err != nil {
				return nil, err
			}
			if pruned.anew(m) || row.Kind == kindSegment && hex.EncodeToString(row.MAC) == m.MAC {
				segments, own = append(segments, m), nil
			}
		}
		own = append(own, m)
	}
	return own, nil
}

func containsMark(marks []Mark, m Mark) bool {
	for _, o := range marks {
		if o.same(m) {
			return true
		}
	}
	return false
}

// entryAt answers the row of that number, the zero row if there is none.
func entryAt(tx Tx, stream string, seq int64) (AuditRow, error) {
	rows, err := tx.Audit().Read(stream, seq, 1)
	if err != nil || len(rows) == 0 || rows[0].Seq != seq {
		return AuditRow{}, err
	}
	return rows[0], nil
}
