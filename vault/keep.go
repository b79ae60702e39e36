package vault

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

var (
	errClosed  = errors.New("vault is closed")
	errUnsaved = errors.New("a refreshed grant is not stored yet")
)

const (
	keepTries = 5               // of a refresh, until its callers are told
	keepPause = 5 * time.Second // at most, between the tries behind their back
	lastTries = 10              // once the vault is closed, 200 ms apart
)

// work counts what Close waits for, and lets nothing in afterwards.
type work struct {
	mu     sync.Mutex
	closed bool
	n      sync.WaitGroup
}

func (w *work) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.n.Add(1)
	return true
}

func (w *work) leave() { w.n.Done() }

func (w *work) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

func (w *work) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.n.Wait()
}

// keep stores what a refresh answered: first of all, before anything is checked
// or used. Where the store fails, the tokens go to the emergency journal and stay in
// memory, and are tried again until they are stored; callers are told meanwhile.
func (v *Vault) keep(ctx context.Context, a *attempt, g *provider.Grant) error {
	if v.save(ctx, a, g) == nil {
		hit("after_save")
		return nil
	}
	journalled := v.putAside(a, g)
	wait := 50 * time.Millisecond
	for range keepTries - 1 {
		time.Sleep(wait)
		wait *= 2
		if v.save(ctx, a, g) == nil {
			v.saved(a.p.row.ID)
			hit("after_save")
			return nil
		}
	}
	v.work.n.Add(1) // its refresh is counted, so that Close cannot be past waiting
	go func() {
		defer v.work.leave()
		switch {
		case v.keepTrying(ctx, a, g, wait):
			v.saved(a.p.row.ID)
		case journalled:
			v.log.Error("a refreshed grant could not be stored before the end: the next start takes it from the emergency journal", "grant", a.p.row.ID)
		default:
			v.log.Error("a refreshed grant was lost: it could not be stored before the end", "grant", a.p.row.ID)
		}
	}()
	return errUnsaved
}

func (v *Vault) keepTrying(ctx context.Context, a *attempt, g *provider.Grant, wait time.Duration) bool {
	for last := 0; last < lastTries; {
		if v.work.isClosed() {
			wait = 200 * time.Millisecond
			last++
		}
		if v.save(ctx, a, g) == nil {
			return true
		}
		for until := time.Now().Add(wait); time.Now().Before(until) && (last > 0 || !v.work.isClosed()); {
			time.Sleep(50 * time.Millisecond)
		}
		wait = min(2*wait, keepPause)
	}
	return false
}

// save stores once. Where only the audit fails, the token is saved without its
// entry, and nothing is released until the entry is written (AuditGap): losing
// the token would help no one.
func (v *Vault) save(ctx context.Context, a *attempt, g *provider.Grant) (err error) {
	late := false
	for _, gap := range []bool{false, true} {
		if err = v.store.Update(ctx, func(tx Tx) (err error) { late, err = v.saveIn(tx, a, g, gap); return err }); err == nil {
			break
		}
		v.log.Error("a refreshed grant is not stored yet", "grant", a.p.row.ID, "without_entry", gap, "error", err)
	}
	if err == nil && late {
		v.giveBackLate(ctx, a.p.row, g)
	}
	v.bell.ring()
	return err
}

// giveBackLate revokes tokens that came for an account that was revoked meanwhile; what the vendor says is logged.
func (v *Vault) giveBackLate(ctx context.Context, row GrantRow, g *provider.Grant) {
	_, _ = v.revokeAtVendor(ctx, row, v.refreshed(GrantRow{}, tokens{}, g).tokens, "")
}

// saveIn writes the row's next generation. The compare-and-swap is on the
// generation, so that a late holder never clobbers a winner. late says that the
// account was revoked meanwhile: then nothing is stored, and the tokens go back.
func (v *Vault) saveIn(tx Tx, a *attempt, g *provider.Grant, gap bool) (late bool, err error) {
	row, err := tx.Grants().Get(a.p.row.ID)
	if err != nil {
		return errors.Is(err, ErrNotFound), unless(ErrNotFound, err)
	}
	if row.Gen != a.p.row.Gen {
		return row.State == string(GrantRevoked), v.keepAlternate(tx, a.p.row.Destination, row, g)
	}
	dek, err := v.userDEK(tx, row.User)
	if err != nil {
		return false, err
	}
	next := v.nextOf(row, a, g)
	if next.row.AuditGap = row.AuditGap || gap; row.State != string(GrantQuarantined) {
		next.row.State = string(GrantActive) // whatever a slower process took the old token's end for
	}
	v.unchecked(&next, g)
	if err := v.sealTokens(dek, &next.row, next.tokens); err != nil {
		return false, err
	}
	if err := errors.Join(tx.Grants().Swap(next.row, row.Gen), v.keepNarrowed(tx, next.row, a, g)); err != nil {
		return false, err
	}
	if err := tx.Grants().Lease(row.ID, next.row.Gen, row.LeaseSeq, Lease{Seq: row.LeaseSeq, AttemptAt: row.AttemptAt}); err != nil || gap {
		return false, err
	}
	e := refreshedEntry(next.row)
	if a.p.slim != nil {
		e.Scopes, e.Reason = a.p.slim, "narrowed"
	}
	return false, v.append(tx, e)
}

func (v *Vault) nextOf(row GrantRow, a *attempt, g *provider.Grant) picked {
	if a.p.slim != nil {
		return v.slimmed(row, a.p.tokens, g)
	}
	next := v.refreshed(row, a.p.tokens, g)
	next.row.Refreshed = a.answered
	return next
}

// refreshed is the row's next generation, with what was answered as its own.
func (v *Vault) refreshed(row GrantRow, had tokens, g *provider.Grant) picked {
	next := v.rotated(row, had, g)
	next.tokens.access = accessSet{Token: g.Access.Reveal(), APIBase: cmp.Or(g.APIBase, had.access.APIBase)}
	if g.Confirmed {
		next.row.Scopes = provider.FormatScopes(g.Scopes)
	}
	next.row.AccessExp, next.row.Refreshed = Millis(g.Expiry), v.now()
	return next
}

// rotated is the row's next generation without an access token. An answer without a refresh token keeps the old one.
func (v *Vault) rotated(row GrantRow, had tokens, g *provider.Grant) picked {
	t := tokens{refresh: had.refresh, alt: had.alt}
	if row.AltUntil <= v.now() {
		t.alt, row.AltUntil = "", 0
	}
	if !g.Refresh.IsZero() && g.Refresh.Reveal() != had.refresh {
		t.refresh, t.alt, row.AltUntil = g.Refresh.Reveal(), had.refresh, v.now()+altKept.Milliseconds()
	}
	row.Gen++
	row.Updated = v.now()
	return picked{row: row, tokens: t}
}

// keepAlternate stores a token that lost the race beside the winner's, where the winner is of the same destination.
func (v *Vault) keepAlternate(tx Tx, destination []byte, row GrantRow, g *provider.Grant) error {
	if g.Refresh.IsZero() || row.State != string(GrantActive) || !bytes.Equal(row.Destination, destination) {
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

func refreshedEntry(g GrantRow) Entry {
	return Entry{Kind: "grant.refreshed", user: g.User, Connection: g.Connection, Account: g.ID, Scopes: provider.ParseScopes(g.Scopes)}
}

// closeGap writes the entry that a refresh could not, so that its token can be released.
func (v *Vault) closeGap(ctx context.Context, id string) error {
	return v.store.Update(ctx, func(tx Tx) error {
		g, err := tx.Grants().Get(id)
		if err != nil || !g.AuditGap {
			return unless(ErrNotFound, err)
		}
		g.AuditGap = false
		if err := tx.Grants().Swap(g, g.Gen); err != nil {
			return err
		}
		e := refreshedEntry(g)
		e.Reason = "audit_gap"
		return v.append(tx, e)
	})
}
