package vault

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
)

// wanted is a refresh that somebody asks for.
type wanted struct {
	picked
	stale *provider.Bearer // that the API refused
	ttl   time.Duration    // that the token must live yet
	early bool             // the token at hand will do for a while yet
	asked bool             // the emergency journals were read since another's lease was found over
}

// errLook says that another process's lease is over, and that its emergency
// journal must be read before its work is taken over: it may live, hold the
// successor of the row's token, and be unable to write it.
var errLook = errors.New("another process's lease is over")

// attempt is a claimed refresh: the row as it was, its opened tokens, and the
// key that seals what comes.
type attempt struct {
	p     picked
	lease Lease
	dek   *seal.DEK
	sends int // of this refresh token of which nobody knows what they did, this one included

	answered int64 // when its tokens came, which may be long before they are stored
}

// phase is the durable form of sends: "sent", "sent 2", ….
func phase(sends int) string {
	switch {
	case sends <= 0:
		return ""
	case sends == 1:
		return "sent"
	}
	return "sent " + strconv.Itoa(sends)
}

// sends is how often the row's refresh token was sent with an outcome that
// nobody knows: an intent that was written before a crash counts.
func (g GrantRow) sends() int {
	rest, found := strings.CutPrefix(g.AttemptPhase, "sent")
	if !found {
		return 0
	}
	if n, err := strconv.Atoi(strings.TrimSpace(rest)); err == nil {
		return n
	}
	return 1
}

// claim writes the durable intent: lease and phase, by compare-and-swap on
// generation and lease. nil without an error means that the row has moved on
// meanwhile and needs no refresh, or must be verified first.
func (v *Vault) claim(ctx context.Context, w wanted) (*attempt, error) {
	ctx, cancel := context.WithTimeout(ctx, claimLimit)
	defer cancel()
	for {
		rung := v.bell.wait()
		a, wait, err := v.tryClaim(ctx, w)
		if errors.Is(err, errLook) {
			v.replay(ctx)
			w.asked = true
			continue
		}
		if err != nil || !wait {
			return a, err
		}
		select {
		case <-rung: // perhaps for this grant: a moment apart, for it rings for all
			time.Sleep(5*time.Millisecond + rand.N(20*time.Millisecond))
		case <-time.After(50*time.Millisecond + rand.N(200*time.Millisecond)):
		case <-ctx.Done():
			return nil, v.unreachable(&w.picked, 0, ctx.Err())
		}
	}
}

func (v *Vault) tryClaim(ctx context.Context, w wanted) (a *attempt, wait bool, err error) {
	ended := false
	err = v.store.Update(ctx, func(tx Tx) error {
		a, wait, ended = nil, false, false
		now, err := v.claimable(tx, w)
		if err != nil || now == nil {
			return err
		}
		at, err := v.storeNow(tx)
		if err != nil {
			return err
		}
		if v.leased(tx, now.row, at) {
			wait = !w.early
			return nil
		}
		if owner := now.row.LeaseOwner; owner != "" && owner != v.cfg.Instance && !w.asked && v.cfg.Rescue != nil {
			return errLook
		}
		if err := v.mayTry(now, w.stale, at); err != nil {
			return err
		}
		if now.tokens.refresh == "" {
			ended = true
			return v.ranOut(tx, *now)
		}
		a, err = v.lease(tx, *now, at)
		return err
	})
	if errors.Is(err, ErrConflict) {
		return nil, true, nil
	}
	if err == nil && ended {
		v.noticeEnded(ctx, w.row.ID)
	}
	return a, wait, err
}

// claimable reads the row again: nil where there is nothing to refresh.
func (v *Vault) claimable(tx Tx, w wanted) (*picked, error) {
	row, err := tx.Grants().Get(w.row.ID)
	if err != nil {
		return nil, err
	}
	if row.State != string(GrantActive) || row.Unverified || !bound(row, w.conn) {
		return nil, nil // the next pick says why
	}
	now := &picked{row: row, need: w.need, conn: w.conn, label: w.label, slim: w.slim, consent: w.consent}
	if err := v.findNarrowed(stored{tx}, now); err != nil {
		return nil, err
	}
	if w.slim != nil && (row.RefreshCT == nil || now.narrow != nil && now.narrow.Refused != "") {
		return nil, nil // it cannot be had
	}
	if now.tokens, err = v.openTokens(tx, row); err != nil {
		return nil, unlessDamaged(err) // the next pick quarantines it
	}
	if w.early && !v.early(now) || !w.early && v.usable(now, w.stale) && !v.lengthens(now, w.ttl) {
		return nil, nil
	}
	return now, nil
}

// lease writes the intent to send the row's refresh token.
func (v *Vault) lease(tx Tx, p picked, at int64) (*attempt, error) {
	dek, err := v.userDEK(tx, p.row.User)
	if err != nil {
		return nil, err
	}
	row := p.row
	a := &attempt{p: p, dek: dek, sends: row.sends() + 1}
	a.lease = Lease{
		Owner: v.cfg.Instance, Seq: row.LeaseSeq + 1, Until: at + leaseFor.Milliseconds(), AttemptAt: at, Phase: phase(a.sends),
		NextTry: row.NextTry, FailCount: row.FailCount, LastError: row.LastError,
	}
	return a, tx.Grants().Lease(row.ID, row.Gen, row.LeaseSeq, a.lease)
}

// unclaim takes a claim back of which nothing was sent.
func (v *Vault) unclaim(ctx context.Context, a *attempt) error {
	l := a.lease
	l.Owner, l.Until, l.Phase = "", 0, phase(a.sends-1)
	err := v.store.Update(ctx, func(tx Tx) error {
		return tx.Grants().Lease(a.p.row.ID, a.p.row.Gen, a.lease.Seq, l)
	})
	return unless(ErrConflict, err)
}

// storeNow is the clock of leases: the one that all machines on the store share.
func (v *Vault) storeNow(tx Tx) (int64, error) {
	now, err := tx.Vault().Now()
	if now == 0 {
		now = v.now()
	}
	return now, err
}

// leased says whether another try may still be under way: its lease runs, and
// its owner is not known to be dead. A lease from the future is one of before the
// clock was set back; the longest wait for it is the lease's own time.
func (v *Vault) leased(tx Tx, g GrantRow, at int64) bool {
	age := at - g.AttemptAt
	return g.LeaseOwner != "" && max(age, -age) < leaseFor.Milliseconds() && !v.ownerGone(tx, g)
}

// mayTry keeps tries apart: 30 s and more after a failure, and 10 forced or
// narrowing ones a minute. A failure from the future was before the clock was set back.
func (v *Vault) mayTry(p *picked, stale *provider.Bearer, at int64) error {
	if wait := pending(p.row, at); wait > 0 {
		e := v.unreachable(p, wait, nil)
		if operatorCode(p.row.LastError) {
			e.Reason = ConnMisconfigured
		}
		return e
	}
	if (stale != nil || p.slim != nil) && !v.forced.allow(p.row.ID, v.cfg.Now()) {
		return v.unreachable(p, time.Minute, errors.New("the vendor refuses fresh tokens"))
	}
	return nil
}

// pending is how long a grant is left alone yet. A lease that was taken over ended
// in the middle of a send: its successor must not lose a vendor's grace to a pause.
func pending(g GrantRow, at int64) time.Duration {
	if g.LeaseOwner != "" || g.AttemptAt > at {
		return 0
	}
	return max(time.Duration(g.NextTry-at)*time.Millisecond, 0)
}
