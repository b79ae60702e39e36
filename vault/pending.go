package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

const (
	recRevocation = "revocation"

	firstTry   = 2 * time.Minute    // after a process that died before it could ask
	pauseMost  = time.Hour          // between two tries
	askedFor   = 7 * 24 * time.Hour // then the tokens are shredded, whatever the vendor says
	debtKept   = 2 * askedFor       // so that giving up is audited even if nothing ran at that time
	retryEvery = 15 * time.Second
)

// settle asks the vendor, and notes what it said.
func (v *Vault) settle(ctx context.Context, o *owed) (atVendor bool, err error) {
	conn := v.conns[o.Connection]
	if !bound(GrantRow{Destination: o.Destination}, conn) {
		return false, v.drop(ctx, o, "grant.revocation_dropped", string(ConnChanged))
	}
	var keeper *GrantRow
	if err := v.store.View(ctx, func(tx Tx) (err error) { keeper, err = v.keeper(tx, o.revocation); return err }); err == nil && keeper != nil {
		return false, v.drop(ctx, o, "grant.revocation_dropped", "in_use")
	}
	if err = v.lives(ctx); err == nil {
		err = conn.Revoke(ctx, provider.NewSecret(o.Access), provider.NewSecret(o.Refresh))
	}
	if err == nil {
		if !conn.CanRevoke(ctx) {
			return false, v.drop(ctx, o, "grant.revocation_dropped", "not_offered")
		}
		return true, v.drop(ctx, o, "grant.revoked_at_vendor", "")
	}
	v.log.Warn("the vendor did not confirm a revocation", "connection", o.Connection, "grant", o.Grant, "error", err)
	return false, errors.Join(ErrRevocationPending, err, v.postpone(ctx, o, err))
}

// drop forgets a debt, with its entry.
func (v *Vault) drop(ctx context.Context, o *owed, kind, reason string) error {
	err := v.store.Update(ctx, func(tx Tx) error {
		if o.rec.Kind != "" {
			if _, err := tx.Records().Take(o.rec.Kind, o.rec.Hash, v.now()); err != nil {
				return unless(ErrNotFound, err) // another process has settled it, with its entry
			}
		}
		return v.append(tx, v.debtEntry(o, kind, reason))
	})
	if err != nil {
		v.log.Error("noting what became of a revocation", "grant", o.Grant, "error", err)
	}
	return nil
}

func (v *Vault) debtEntry(o *owed, kind, reason string) Entry {
	e := Entry{Kind: kind, user: o.User, Connection: o.Connection, Account: o.Grant, Reason: reason}
	if kind != "grant.revoked_at_vendor" {
		e.Result = "refused"
	}
	return e
}

// postpone notes when to ask again. The first failure has an entry; those after it are in the log.
func (v *Vault) postpone(ctx context.Context, o *owed, cause error) error {
	if o.rec.Kind == "" {
		return nil // it is in no store
	}
	return v.store.Update(ctx, func(tx Tx) error {
		next := *o
		next.Tries++
		next.NextTry = v.now() + retryPause(next.Tries, cause).Milliseconds()
		if err := v.putDebt(tx, &next); err != nil {
			return unless(ErrConflict, err)
		}
		if next.Tries > 1 {
			return nil
		}
		return v.append(tx, v.debtEntry(o, "grant.revocation_pending", refusalCode(cause)))
	})
}

func refusalCode(err error) string {
	var re *provider.RevokeError
	switch {
	case errors.Is(err, ErrCopied):
		return "vault_copied"
	case errors.As(err, &re) && re.Status != 0:
		return fmt.Sprintf("http_%d", re.Status)
	}
	return "unreachable"
}

// retryPause doubles from a minute to an hour, with a fifth of jitter, so that a
// vendor that comes back is not asked for all at once.
func retryPause(tries int, cause error) time.Duration {
	wait := min(time.Minute<<min(tries-1, 6), pauseMost)
	wait += rand.N(wait / 5)
	if re := (*provider.RevokeError)(nil); errors.As(cause, &re) {
		wait = max(wait, min(re.RetryAfter, 24*time.Hour))
	}
	return wait
}

// RetryRevocations asks vendors again that did not confirm a revocation and
// whose turn it is, and says how many are done with and how many are left. After
// seven days it gives up, and the tokens are shredded.
func (v *Vault) RetryRevocations(ctx context.Context) (done, left int, err error) {
	if err := v.lives(ctx); err != nil {
		return 0, 0, err
	}
	var all []*owed
	err = v.store.View(ctx, func(tx Tx) (err error) { all, err = v.debts(tx); return err })
	if err != nil {
		return 0, 0, fmt.Errorf("reading pending revocations: %w", err)
	}
	for _, o := range all {
		if ctx.Err() != nil {
			return done, left + 1, ctx.Err()
		}
		if v.retry(ctx, o) {
			done++
		} else {
			left++
		}
	}
	return done, left, nil
}

// debts are all that vendors are owed. One that does not open was changed: it says nothing.
func (v *Vault) debts(tx Tx) (out []*owed, err error) {
	recs, err := tx.Records().List(recRevocation, "", v.now())
	if err != nil {
		return nil, err
	}
	for _, rec := range recs {
		o := &owed{rec: rec}
		plain, err := v.openRecord(tx, rec)
		if err == nil {
			err = json.Unmarshal(plain, &o.revocation)
		}
		if err != nil {
			v.log.Error("a pending revocation does not open", "error", err)
			continue
		}
		out = append(out, o)
	}
	return out, nil
}

// retry says whether a debt is done with.
func (v *Vault) retry(ctx context.Context, o *owed) bool {
	now := v.now()
	if now-o.Since >= askedFor.Milliseconds() {
		v.log.Error("the vendor never confirmed a revocation", "connection", o.Connection, "grant", o.Grant)
		return v.drop(ctx, o, "grant.revocation_given_up", "not_confirmed") == nil
	}
	if o.NextTry > now {
		return false
	}
	var claimed owed
	err := v.store.Update(ctx, func(tx Tx) error {
		claimed = *o
		claimed.NextTry = now + firstTry.Milliseconds()
		return v.putDebt(tx, &claimed)
	})
	if err != nil {
		return false // another process has it
	}
	_, err = v.settle(context.WithoutCancel(ctx), &claimed)
	return err == nil
}

func (v *Vault) retryRevocations(ctx context.Context) {
	every(ctx, retryEvery, func(ctx context.Context) {
		if _, _, err := v.RetryRevocations(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrCopied) {
			v.log.Warn("asking vendors again for revocations", "error", err)
		}
	})
}
