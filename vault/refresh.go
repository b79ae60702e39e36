package vault

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/grantry/grantry/vault/provider"
)

const (
	leaseFor   = 30 * time.Second // longer than the token endpoint's 25 s
	spacing    = 30 * time.Second // between tries after a failure
	claimLimit = 40 * time.Second // for another's refresh to end
	altKept    = 24 * time.Hour
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
func (v *Vault) refresh(ctx context.Context, p picked, stale *provider.Bearer) error {
	flight := p.row.ID
	if stale != nil { // what is enough for a refresh by the clock may not be for a forced one
		flight += "/" + strconv.FormatInt(stale.Generation, 10)
	}
	if !v.work.enter() {
		return degraded(errClosed)
	}
	done := v.refreshes.DoChan(flight, func() (any, error) {
		return nil, degraded(v.refreshOnce(context.WithoutCancel(ctx), p, stale))
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

// attempt is a claimed refresh: the row as it was, and its opened tokens.
type attempt struct {
	p     picked
	lease Lease
}

// errTaken says that another process took a lease over before its owner was done.
var errTaken = errors.New("lease was taken over")

func (v *Vault) refreshOnce(ctx context.Context, p picked, stale *provider.Bearer) error {
	for {
		if v.unsaved.has(p.row.ID) {
			return errUnsaved
		}
		if err := v.store.Check(ctx); err != nil {
			return err
		}
		hit("before_claim")
		a, err := v.claim(ctx, p, stale)
		if err != nil || a == nil {
			return err
		}
		hit("after_claim")
		grant, err := a.p.conn.Refresh(ctx, provider.NewSecret(a.p.tokens.refresh), provider.ParseScopes(a.p.row.Scopes))
		hit("after_answer")
		if err == nil {
			return v.keep(ctx, a, grant)
		}
		if err = v.refused(ctx, a, err); !errors.Is(err, errTaken) {
			return err
		}
	}
}

// claim writes the durable intent: lease and phase "sent", by compare-and-swap
// on generation and lease. nil without an error means that the row has moved
// on meanwhile and needs no refresh.
func (v *Vault) claim(ctx context.Context, p picked, stale *provider.Bearer) (*attempt, error) {
	ctx, cancel := context.WithTimeout(ctx, claimLimit)
	defer cancel()
	for {
		a, wait, err := v.tryClaim(ctx, p, stale)
		if err != nil || !wait {
			return a, err
		}
		select {
		case <-time.After(50*time.Millisecond + rand.N(200*time.Millisecond)):
		case <-ctx.Done():
			return nil, v.unreachable(p, 0, ctx.Err())
		}
	}
}

func (v *Vault) tryClaim(ctx context.Context, p picked, stale *provider.Bearer) (a *attempt, wait bool, err error) {
	err = v.store.Update(ctx, func(tx Tx) error {
		a, wait = nil, false
		row, err := tx.Grants().Get(p.row.ID)
		if err != nil {
			return err
		}
		if row.State != string(GrantActive) || !bound(row, p.conn) {
			return nil // the next pick says why
		}
		now := picked{row: row, need: p.need, conn: p.conn, label: p.label}
		if now.tokens, err = v.openTokens(tx, row); err != nil {
			return unlessDamaged(err) // the next pick quarantines it
		}
		if v.usable(now, stale) {
			return nil
		}
		if v.leased(tx, row) {
			wait = true
			return nil
		}
		if err := v.mayTry(now, stale); err != nil {
			return err
		}
		if now.tokens.refresh == "" {
			return v.ranOut(tx, now)
		}
		a = &attempt{p: now, lease: Lease{
			Owner: v.cfg.Instance, Seq: row.LeaseSeq + 1, Until: v.now() + leaseFor.Milliseconds(),
			AttemptAt: v.now(), Phase: "sent", NextTry: row.NextTry, FailCount: row.FailCount, LastError: row.LastError,
		}}
		return tx.Grants().Lease(row.ID, row.Gen, row.LeaseSeq, a.lease)
	})
	if errors.Is(err, ErrConflict) {
		return nil, true, nil
	}
	return a, wait, err
}

// leased says whether another try may still be under way: its lease runs, and
// its owner is not known to be dead. A lease from the future is one of before the
// clock was set back; the longest wait for it is the lease's own time.
func (v *Vault) leased(tx Tx, g GrantRow) bool {
	age := v.now() - g.AttemptAt
	return g.LeaseOwner != "" && max(age, -age) < leaseFor.Milliseconds() && !v.ownerGone(tx, g)
}

// mayTry keeps tries apart: 30 s and more after a failure, and 10 forced ones a
// minute. A failure from the future was before the clock was set back.
func (v *Vault) mayTry(p picked, stale *provider.Bearer) error {
	if wait := p.row.NextTry - v.now(); wait > 0 && p.row.AttemptAt <= v.now() {
		return v.unreachable(p, time.Duration(wait)*time.Millisecond, nil)
	}
	if stale != nil && !v.forced.allow(p.row.ID, v.cfg.Now()) {
		return v.unreachable(p, time.Minute, errors.New("the vendor refuses fresh tokens"))
	}
	return nil
}

func (v *Vault) unreachable(p picked, after time.Duration, err error) *ConsentError {
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
	if err := tx.Grants().Swap(g, g.Gen); err != nil {
		return err
	}
	return v.append(tx, Entry{Kind: "grant.ended", user: g.User, Connection: g.Connection, Account: g.ID, Reason: code})
}

// refreshed is the row's next generation. An answer without a refresh token keeps the old one.
func (v *Vault) refreshed(row GrantRow, had tokens, g *provider.Grant) picked {
	t := tokens{access: accessSet{Token: g.Access.Reveal(), APIBase: g.APIBase}, refresh: had.refresh, alt: had.alt}
	if t.access.APIBase == "" {
		t.access.APIBase = had.access.APIBase
	}
	if !g.Refresh.IsZero() && g.Refresh.Reveal() != had.refresh {
		t.refresh, t.alt = g.Refresh.Reveal(), had.refresh
		row.AltUntil = v.now() + altKept.Milliseconds()
	}
	if g.Confirmed {
		row.Scopes = provider.FormatScopes(g.Scopes)
	}
	row.Gen++
	row.AccessExp, row.Refreshed, row.Updated = Millis(g.Expiry), v.now(), v.now()
	return picked{row: row, tokens: t}
}

// keepAlternate stores a token that lost the race beside the winner's, where the winner is of the same destination.
func (v *Vault) keepAlternate(tx Tx, a *attempt, row GrantRow, g *provider.Grant) error {
	if g.Refresh.IsZero() || row.State != string(GrantActive) || !bytes.Equal(row.Destination, a.p.row.Destination) {
		return nil
	}
	t, err := v.openTokens(tx, row)
	if damaged(err) || err == nil && t.refresh == g.Refresh.Reveal() {
		return nil
	}
	if err != nil {
		return err
	}
	dek, err := v.userDEK(tx, row.User)
	if err != nil {
		return err
	}
	t.alt, row.AltUntil = g.Refresh.Reveal(), v.now()+altKept.Milliseconds()
	if err := v.sealTokens(dek, &row, t); err != nil {
		return err
	}
	return tx.Grants().Swap(row, row.Gen)
}

// refused sorts a failed refresh: invalid_grant, after reading the row again,
// ends the grant; invalid_client is the operator's matter; all else is temporary.
func (v *Vault) refused(ctx context.Context, a *attempt, cause error) error {
	var te *provider.TokenError
	if !errors.As(cause, &te) {
		te = &provider.TokenError{Connection: a.p.row.Connection, Class: provider.Ambiguous, Err: cause}
	}
	moved, wait := false, time.Duration(0)
	err := v.store.Update(ctx, func(tx Tx) error {
		row, err := tx.Grants().Get(a.p.row.ID)
		if err != nil {
			return err
		}
		if moved = row.Gen != a.p.row.Gen; moved {
			return nil // the loser of a race uses the winner's token
		}
		if row.LeaseSeq != a.lease.Seq {
			return errTaken // who took it knows more: this answer may be what they caused
		}
		wait, err = v.noteRefusal(tx, row, te)
		return err
	})
	switch {
	case err != nil:
		return err
	case moved, te.Class == provider.Rejected:
		return nil
	case operatorCode(te.Code):
		v.log.Error("the vendor refuses the client registration", "connection", a.p.row.Connection, "code", te.Code)
		e := v.lacks(ConnMisconfigured, a.p, nil)
		e.Err = te
		return e
	}
	return v.unreachable(a.p, wait, te)
}

// idleExpiry is how long an unused refresh token lives at the strictest of the vendors.
const idleExpiry = 60 * 24 * time.Hour

// deathOf is what invalid_grant most likely means, since vendors do not say: a
// token that was idle for long has run out, another was taken back.
func (v *Vault) deathOf(g GrantRow) GrantState {
	if v.now()-max(g.Refreshed, g.Created) > idleExpiry.Milliseconds() {
		return GrantExpired
	}
	return GrantRevoked
}

func operatorCode(code string) bool {
	return code == "invalid_client" || code == "unauthorized_client" || code == "unsupported_grant_type"
}

// pause is how long a grant is left alone after its n-th failure in a row: 30 s,
// from the fifth on a minute, doubling to 30.
func pause(n int64) time.Duration {
	if n < 5 {
		return spacing
	}
	return min(time.Minute<<min(n-5, 5), 30*time.Minute)
}

// noteRefusal frees the lease and writes when to try again; the attempt's phase stays when nobody knows what the vendor did.
func (v *Vault) noteRefusal(tx Tx, row GrantRow, te *provider.TokenError) (wait time.Duration, err error) {
	code := te.Code
	if code == "" {
		code = string(te.Class)
	}
	wait = max(pause(row.FailCount+1), te.RetryAfter)
	l := Lease{
		Seq: row.LeaseSeq, AttemptAt: row.AttemptAt, FailCount: row.FailCount + 1, LastError: code,
		NextTry: v.now() + wait.Milliseconds(),
	}
	if te.Class == provider.Ambiguous {
		l.Phase = row.AttemptPhase
	}
	if err := tx.Grants().Lease(row.ID, row.Gen, row.LeaseSeq, l); err != nil {
		return wait, err
	}
	if te.Class == provider.Rejected {
		return wait, v.end(tx, row, v.deathOf(row), "invalid_grant")
	}
	return wait, v.append(tx, Entry{Kind: "grant.refresh_failed", user: row.User, Connection: row.Connection, Account: row.ID, Result: "refused", Reason: code})
}
