package vault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/grantry/grantry/vault/provider"
)

const (
	leaseFor     = 30 * time.Second // longer than the token endpoint's 25 s
	spacing      = 30 * time.Second // between tries after a failure
	refreshLimit = 40 * time.Second // of one refresh with its commits
	altKept      = 24 * time.Hour
)

// forcedLimits bound refreshes that an API's 401 forces: 10 a minute per grant.
type forcedLimits struct{ m sync.Map }

func (f *forcedLimits) allow(grant string, now time.Time) bool {
	l, _ := f.m.LoadOrStore(grant, rate.NewLimiter(rate.Every(6*time.Second), 10))
	return l.(*rate.Limiter).AllowN(now, 1)
}

// refresh spends the refresh token of a grant, once among all goroutines and
// processes, on a context of its own: a caller that goes away takes nothing with
// it. When it answers nil the row holds a newer generation than the caller saw.
func (v *Vault) refresh(ctx context.Context, p picked, stale *provider.Bearer) error {
	v.inFlight.Add(1)
	done := v.refreshes.DoChan(p.row.ID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshLimit)
		defer cancel()
		return nil, v.refreshOnce(ctx, p, stale)
	})
	answered := make(chan error, 1)
	go func() {
		defer v.inFlight.Done()
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

func (v *Vault) refreshOnce(ctx context.Context, p picked, stale *provider.Bearer) error {
	if err := v.store.Check(ctx); err != nil {
		return &ConsentError{Reason: VaultDegraded, Err: err}
	}
	a, err := v.claim(ctx, p, stale)
	if err != nil || a == nil {
		return err
	}
	grant, err := a.p.conn.Refresh(ctx, provider.NewSecret(a.p.tokens.refresh), provider.ParseScopes(a.p.row.Scopes))
	if err != nil {
		return v.refused(ctx, a, err)
	}
	return v.keep(ctx, a, grant)
}

// claim writes the durable intent: lease and phase "sent", by compare-and-swap
// on generation and lease. nil without an error means that the row has moved
// on meanwhile and needs no refresh.
func (v *Vault) claim(ctx context.Context, p picked, stale *provider.Bearer) (*attempt, error) {
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
		if row.State != string(GrantActive) {
			return nil // the next pick says why
		}
		now := picked{row: row, need: p.need, conn: p.conn, label: p.label}
		if now.tokens, err = v.openTokens(tx, row); err != nil {
			return err
		}
		if v.usable(now, stale) {
			return nil
		}
		if v.leased(row) {
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

// leased says whether another try may still be under way: its lease runs, and its owner is not known to be dead.
func (v *Vault) leased(g GrantRow) bool {
	return g.LeaseOwner != "" && v.now() < g.AttemptAt+leaseFor.Milliseconds() && !v.cfg.OwnerDead(g.LeaseOwner)
}

// mayTry keeps tries apart: 30 s after a failure, and 10 forced ones a minute.
func (v *Vault) mayTry(p picked, stale *provider.Bearer) error {
	if wait := p.row.NextTry - v.now(); wait > 0 {
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
	return v.append(tx, Entry{Kind: "grant.ended", Connection: g.Connection, Account: g.ID, Reason: code})
}

// keep stores what a refresh answered: first of all, before anything is
// checked or used. The compare-and-swap is on the generation, so that a late
// holder never clobbers a winner; a token that lost the race is kept as alternate.
func (v *Vault) keep(ctx context.Context, a *attempt, g *provider.Grant) error {
	var err error
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		if err = v.store.Update(ctx, func(tx Tx) error { return v.store1(tx, a, g) }); err == nil {
			v.bell.ring()
			return nil
		}
		v.log.Error("a refreshed grant is not stored yet", "grant", a.p.row.ID, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return &ConsentError{Reason: VaultDegraded, Err: fmt.Errorf("storing refreshed grant: %w", err)}
		}
	}
}

func (v *Vault) store1(tx Tx, a *attempt, g *provider.Grant) error {
	row, err := tx.Grants().Get(a.p.row.ID)
	if err != nil {
		return err
	}
	dek, err := v.userDEK(tx, row.User)
	if err != nil {
		return err
	}
	if row.Gen != a.p.row.Gen {
		return v.keepAlternate(tx, row, g)
	}
	next := v.refreshed(row, a.p.tokens, g)
	if err := v.sealTokens(dek, &next.row, next.tokens); err != nil {
		return err
	}
	if err := tx.Grants().Swap(next.row, row.Gen); err != nil {
		return err
	}
	if err := tx.Grants().Lease(row.ID, next.row.Gen, row.LeaseSeq, Lease{Seq: row.LeaseSeq}); err != nil {
		return err
	}
	return v.append(tx, Entry{Kind: "grant.refreshed", Connection: row.Connection, Account: row.ID, Scopes: provider.ParseScopes(next.row.Scopes)})
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

// keepAlternate stores a token that lost the race beside the winner's.
func (v *Vault) keepAlternate(tx Tx, row GrantRow, g *provider.Grant) error {
	t, err := v.openTokens(tx, row)
	if err != nil || g.Refresh.IsZero() || row.State == string(GrantRevoked) {
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
// is a person's matter; invalid_client the operator's; all else is temporary.
func (v *Vault) refused(ctx context.Context, a *attempt, cause error) error {
	var te *provider.TokenError
	if !errors.As(cause, &te) {
		te = &provider.TokenError{Connection: a.p.row.Connection, Class: provider.Ambiguous, Err: cause}
	}
	moved := false
	err := v.store.Update(ctx, func(tx Tx) error {
		row, err := tx.Grants().Get(a.p.row.ID)
		if err != nil {
			return err
		}
		if moved = row.Gen != a.p.row.Gen; moved {
			return nil // the loser of a race uses the winner's token
		}
		return v.noteRefusal(tx, row, te)
	})
	switch {
	case err != nil:
		return &ConsentError{Reason: VaultDegraded, Err: err}
	case moved:
		return nil
	case te.Class == provider.Rejected:
		return v.lacks(stateReason(v.deathOf(a.p.row)), a.p, nil)
	case operatorCode(te.Code):
		v.log.Error("the vendor refuses the client registration", "connection", a.p.row.Connection, "code", te.Code)
		e := v.lacks(ConnMisconfigured, a.p, nil)
		e.Err = te
		return e
	}
	return v.unreachable(a.p, max(spacing, te.RetryAfter), te)
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

// noteRefusal frees the lease and writes when to try again; the attempt's phase stays when nobody knows what the vendor did.
func (v *Vault) noteRefusal(tx Tx, row GrantRow, te *provider.TokenError) error {
	code := te.Code
	if code == "" {
		code = string(te.Class)
	}
	l := Lease{
		Seq: row.LeaseSeq, AttemptAt: row.AttemptAt, FailCount: row.FailCount + 1, LastError: code,
		NextTry: v.now() + max(spacing, te.RetryAfter).Milliseconds(),
	}
	if te.Class == provider.Ambiguous {
		l.Phase = row.AttemptPhase
	}
	if err := tx.Grants().Lease(row.ID, row.Gen, row.LeaseSeq, l); err != nil {
		return err
	}
	if te.Class == provider.Rejected {
		return v.end(tx, row, v.deathOf(row), "invalid_grant")
	}
	return v.append(tx, Entry{Kind: "grant.refresh_failed", Connection: row.Connection, Account: row.ID, Result: "refused", Reason: code})
}
