package vault

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/grantry/grantry/vault/provider"
)

const (
	leaseFor   = 30 * time.Second // longer than the token endpoint's 25 s and resendAfter
	spacing    = 30 * time.Second // between tries after a failure
	claimLimit = 40 * time.Second // for another's refresh to end
	altKept    = 24 * time.Hour
	// resendAfter is how long a refresh whose answer was lost waits for its one immediate repetition.
	resendAfter = 2 * time.Second
)

// forcedLimits bound refreshes that an API's 401 forces: 10 a minute per grant.
type forcedLimits struct{ m sync.Map }

func (f *forcedLimits) allow(grant string, now time.Time) bool {
	l, _ := f.m.LoadOrStore(grant, rate.NewLimiter(rate.Every(6*time.Second), 10))
	return l.(*rate.Limiter).AllowN(now, 1)
}

// refresh spends the refresh token of a grant, once among all goroutines and
// processes, on a context of its own: a caller that goes away takes nothing with
// it. When it answers nil the row has moved on, and picking it again says where to.
// Its errors are *ConsentError, and the caller's own cancellation.
func (v *Vault) refresh(ctx context.Context, w wanted) error {
	flight := w.row.ID
	if w.stale != nil { // what is enough for a refresh by the clock may not be for a forced one
		flight += "/" + strconv.FormatInt(w.stale.Generation, 10)
	}
	if w.slim != nil { // nor for one that asks for fewer scopes
		flight += "/" + provider.FormatScopes(w.slim)
	}
	if w.ttl > 0 { // nor for one that must bring a longer life
		flight += "/" + w.ttl.String()
	}
	if !v.work.enter() {
		return degraded(errClosed)
	}
	done := v.refreshes.DoChan(flight, func() (any, error) {
		return nil, degraded(v.refreshOnce(context.WithoutCancel(ctx), w))
	})
	answered := make(chan error, 1)
	go func() {
		defer v.work.leave()
		r := <-done
		answered <- r.Err
	}()
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refreshEarly refreshes a grant behind the back of a call that is served with
// the token at hand, where four fifths of that one's life are over. A vendor whose
// refresh kills the token before is asked only when it must be: the call would use a dead one.
func (v *Vault) refreshEarly(ctx context.Context, p *picked) {
	if !v.early(p) || p.conn.Provider().Refresh.KillsAccess || v.breakers.of(p.row.Connection).wait(v.cfg.Now()) > 0 {
		return
	}
	if _, running := v.earlies.LoadOrStore(p.row.ID, true); running || !v.work.enter() {
		return
	}
	v.refreshBeside(context.WithoutCancel(ctx), *p)
}

func (v *Vault) refreshBeside(ctx context.Context, p picked) {
	go func() {
		defer v.work.leave()
		defer v.earlies.Delete(p.row.ID)
		_, err, _ := v.refreshes.Do(p.row.ID, func() (any, error) {
			return nil, degraded(v.refreshOnce(ctx, wanted{picked: p, early: true}))
		})
		if err != nil {
			v.log.Warn("an early refresh failed", "grant", p.row.ID, "error", err)
		}
	}()
}

func (v *Vault) refreshOnce(ctx context.Context, w wanted) error {
	if err := v.lives(ctx); err != nil {
		return err
	}
	if w.row.Unverified {
		return v.verify(ctx, &w.picked)
	}
	for {
		if err := v.preflight(ctx, &w.picked); err != nil {
			return err
		}
		hit("before_claim")
		a, err := v.claim(ctx, w)
		if err != nil || a == nil {
			return err
		}
		hit("after_claim")
		if err = v.spend(ctx, a); !errors.Is(err, errTaken) {
			return err
		}
	}
}

// preflight proves, before anything is spent, that what comes can be kept: in the
// store, and in the emergency journal. It also looks for what a process that is gone has left there.
func (v *Vault) preflight(ctx context.Context, p *picked) error {
	if wait := v.breakers.of(p.row.Connection).wait(v.cfg.Now()); wait > 0 {
		return v.unreachable(p, wait, errBreaker)
	}
	if v.unsaved.has(p.row.ID) {
		return errUnsaved
	}
	if err := v.store.Check(ctx); err != nil {
		return err
	}
	if v.cfg.Rescue == nil {
		return nil
	}
	v.replay(ctx)
	return v.cfg.Rescue.Ready()
}

// spend sends the claimed refresh token, at most three times in all (the second
// after 2 s, or an alternate), and stores what comes. errTaken says that another process took the lease over.
func (v *Vault) spend(ctx context.Context, a *attempt) error {
	for {
		b := v.breakers.of(a.p.row.Connection)
		if wait := b.enter(v.cfg.Now()); wait > 0 {
			return errors.Join(v.unclaim(ctx, a), v.unreachable(&a.p, wait, errBreaker))
		}
		grant, err := a.p.redeem(ctx)
		hit("after_answer")
		b.leave(v.cfg.Now(), trips(err))
		if err == nil {
			a.answered = v.now()
			if err := v.keep(ctx, a, grant); err != nil {
				return err
			}
			v.complainOfNarrowing(a.p, grant)
			return v.verify(ctx, &a.p)
		}
		if a, err = v.refused(ctx, a, err); a == nil || err != nil {
			return err
		}
	}
}

func (v *Vault) unreachable(p *picked, after time.Duration, err error) *ConsentError {
	e := v.lacks(ProviderUnreachable, p, nil)
	e.RetryAfter, e.Err = after, err
	return e
}

// ranOut ends a grant whose access token is over and that has no refresh token.
// Where tokens never end by the clock, a refused one was revoked at the vendor.
func (v *Vault) ranOut(tx Tx, p picked) error {
	state := GrantNoRefresh
	if p.row.AccessExp == 0 {
		state = GrantRevoked
	}
	return v.end(tx, p.row, state, string(state))
}

// end moves a grant to a state in which only a person can mend it.
func (v *Vault) end(tx Tx, g GrantRow, state GrantState, code string) error {
	g.State, g.Updated = string(state), v.now()
	if err := errors.Join(tx.Grants().Swap(g, g.Gen), v.dropNarrowed(tx, g)); err != nil {
		return err
	}
	return v.append(tx, Entry{Kind: "grant.ended", user: g.User, Connection: g.Connection, Account: g.ID, Reason: code})
}
