package vault

import (
	"context"
	"fmt"
	"time"
)

const (
	kindPruned = "audit.pruned"

	// pruneAtOnce is how many entries one transaction removes: others wait for it.
	pruneAtOnce = 2000
	// clockSlack is how many entries a clock that was set back may have put out of order.
	clockSlack = 1000
)

// PruneAudit removes the entries of whole months that are over and lie before a
// time, from the beginning of every stream, and answers what went. The
// last number, count and MAC stay, so that the chain is verified from there on; so does
// each stream's newest entry. All chains must be whole and fit the marks in check.
// That it was done is an entry, written first. Where it is interrupted, the next one goes on. A dry run only answers.
func (v *Vault) PruneAudit(ctx context.Context, before time.Time, check AuditCheck, dry bool) (went []AuditSegment, err error) {
	report, err := v.CheckAudit(ctx, check)
	if err != nil {
		return nil, err
	}
	until := monthOf(before)
	if now := monthOf(v.cfg.Now()); now.Before(until) {
		until = now
	}
	err = v.store.View(ctx, func(tx Tx) error {
		went, err = v.prunable(tx, report, until)
		return err
	})
	if err != nil || dry || len(went) == 0 {
		return went, err
	}
	e := Entry{Kind: kindPruned, Reason: "before " + until.Format(time.DateOnly)}
	for _, s := range went {
		e.Detail.Count += s.Count
		e.heads = append(e.heads, headNote{Stream: s.Stream, Seq: s.Last, MAC: s.MAC})
	}
	if err := v.store.Update(ctx, func(tx Tx) error { return v.append(tx, e) }); err != nil {
		return nil, fmt.Errorf("writing the audit entry, without which nothing is pruned: %w", err)
	}
	for _, s := range went {
		for last := s.First; last <= s.Last; last += pruneAtOnce {
			to := min(last+pruneAtOnce-1, s.Last)
			if err := v.store.Update(ctx, func(tx Tx) error { return v.pruneTo(tx, s.Stream, to) }); err != nil {
				return nil, fmt.Errorf("pruning audit: %w", err)
			}
		}
	}
	return went, nil
}

func monthOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// prunable are the entries before a time, by stream.
func (v *Vault) prunable(tx Tx, r AuditReport, until time.Time) (out []AuditSegment, err error) {
	gone, err := v.segments(tx)
	if err != nil {
		return nil, err
	}
	for _, h := range r.Streams {
		first := gone[h.Stream].Last + 1
		next, err := firstSince(tx, h.Stream, first, h.Seq, Millis(until))
		if err != nil {
			return nil, err
		}
		last, err := entryAt(tx, h.Stream, min(next, h.Seq)-1)
		if err != nil {
			return nil, err
		}
		if last.Seq >= first {
			out = append(out, AuditSegment{Stream: h.Stream, First: first, Last: last.Seq, Count: last.Seq - first + 1, MAC: last.MAC, Until: FromMillis(last.Time)})
		}
	}
	return out, nil
}

// pruneTo removes a stream's entries up to a number, and leaves their last in their place.
func (v *Vault) pruneTo(tx Tx, stream string, last int64) error {
	all, err := v.segments(tx)
	if err != nil {
		return err
	}
	s := all[stream]
	if s.Last >= last { // another process prunes, too
		return nil
	}
	rows, err := tx.Audit().Read(stream, s.Last+1, int(last-s.Last))
	if err != nil {
		return err
	}
	if n := len(rows); n == 0 || rows[n-1].Seq != last {
		return &ChainError{Stream: stream, Seq: s.Last + 1}
	}
	for _, r := range rows {
		if r.Kind == kindSegment {
			s.Anew = append(s.Anew, headNote{Stream: stream, Seq: r.Seq, MAC: r.MAC})
		}
		s.Stream, s.First, s.Last, s.Count, s.MAC, s.Until = stream, 1, r.Seq, r.Seq, r.MAC, r.Time
	}
	all[stream] = s
	if err := v.setSegments(tx, all); err != nil {
		return err
	}
	return tx.Audit().Prune(stream, last)
}

// firstSince is the number of the first entry from lo to hi that is not before a
// time in milliseconds, hi+1 for none. Times rise with numbers but for clocks that were set back a little.
func firstSince(tx Tx, stream string, lo, hi, at int64) (int64, error) {
	low, high := lo, hi+1
	for low < high {
		mid := low + (high-low)/2
		row, err := entryAt(tx, stream, mid)
		switch {
		case err != nil:
			return 0, err
		case row.Seq != mid: // it is missing: who reads from the beginning sees that
			return lo, nil
		case row.Time < at:
			low = mid + 1
		default:
			high = mid
		}
	}
	from := max(lo, low-clockSlack)
	if from == low {
		return low, nil
	}
	rows, err := tx.Audit().Read(stream, from, int(low-from))
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if r.Time >= at {
			return r.Seq, nil
		}
	}
	return low, nil
}
