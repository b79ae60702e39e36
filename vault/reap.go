package vault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	reapEvery = time.Hour
	reapBatch = 100
)

// Ages say after how long a grant is reaped; 0 = never.
type Ages struct {
	Revoked time.Duration // since it was revoked: its row goes
	Dead    time.Duration // since it expired, ran out or was quarantined: its row goes
	Idle    time.Duration // since it was last used: it is revoked, also at the vendor
}

// Reaped is a grant that was reaped, or would be.
type Reaped struct {
	Account Account
	Revoke  bool // revoked for want of use; else its row goes
	Since   time.Time
}

// Reap ends grants that nobody used for long, and removes those that ended long
// ago, with the access to them. With dry it only says which. What it answers
// beside an error was reaped.
func (v *Vault) Reap(ctx context.Context, ages Ages, dry bool) (out []Reaped, err error) {
	// The active ones last: what is revoked now is not forgotten in the same breath.
	for _, of := range []struct {
		state GrantState
		age   time.Duration
	}{{GrantRevoked, ages.Revoked}, {GrantExpired, ages.Dead}, {GrantNoRefresh, ages.Dead}, {GrantQuarantined, ages.Dead}, {GrantActive, ages.Idle}} {
		if of.age <= 0 {
			continue
		}
		some, err := v.reapState(ctx, of.state, v.now()-of.age.Milliseconds(), dry)
		if out = append(out, some...); err != nil {
			return out, fmt.Errorf("reaping grants: %w", err)
		}
	}
	return out, nil
}

// reapState goes on while what it reaps makes room for more; a dry run sees all at once.
func (v *Vault) reapState(ctx context.Context, state GrantState, before int64, dry bool) (out []Reaped, err error) {
	limit := reapBatch
	if dry {
		limit = 1 << 20
	}
	if err := v.journal.sync(v); err != nil { // what was used a moment ago is not idle
		return nil, err
	}
	for {
		found, err := v.reapable(ctx, state, before, limit)
		if err != nil || dry {
			return append(out, found...), err
		}
		for _, r := range found {
			if err := v.reap(ctx, r); err != nil {
				return out, err
			}
			out = append(out, r)
		}
		if len(found) < limit {
			return out, nil
		}
	}
}

func (v *Vault) reapable(ctx context.Context, state GrantState, before int64, limit int) (out []Reaped, err error) {
	err = v.store.View(ctx, func(tx Tx) error {
		out = nil
		list := func() ([]GrantRow, error) { return tx.Upkeep().Ended(string(state), before, limit) }
		if state == GrantActive {
			list = func() ([]GrantRow, error) { return tx.Upkeep().Idle(before, limit) }
		}
		rows, err := list()
		if err != nil {
			return err
		}
		for _, row := range rows {
			a, err := v.withProfile(tx, row)
			if err != nil {
				return err
			}
			r := Reaped{Account: v.view(a), Revoke: state == GrantActive, Since: FromMillis(row.Updated)}
			if r.Revoke {
				r.Since = FromMillis(max(row.Used, row.Created))
			}
			out = append(out, r)
		}
		return nil
	})
	return out, err
}

// reap looks at the grant once more: one that moved since it was found is left alone.
func (v *Vault) reap(ctx context.Context, r Reaped) error {
	if r.Revoke {
		return v.reapIdle(ctx, r)
	}
	return v.store.Update(ctx, func(tx Tx) error {
		g, err := tx.Grants().Get(r.Account.ID)
		if err != nil || g.State != string(r.Account.State) || Millis(r.Since) != g.Updated {
			return unless(ErrNotFound, err)
		}
		if err := tx.Upkeep().Delete(g.ID, g.Gen); err != nil {
			return err
		}
		return v.append(tx, Entry{Kind: "grant.reaped", user: g.User, Connection: g.Connection, Account: g.ID, Reason: g.State})
	})
}

// reapIdle revokes as the owner would. A vendor that does not confirm leaves a grant that is over here all the same.
func (v *Vault) reapIdle(ctx context.Context, r Reaped) error {
	_, err := v.revokeFor(ctx, r.Account.Owner.Caller, r.Account.ID, "idle")
	if err == nil || errors.Is(err, ErrNotFound) {
		return nil
	}
	if now, e := v.Account(ctx, r.Account.Owner.Caller, r.Account.ID); e == nil && now.State == GrantRevoked {
		return nil
	}
	return err
}

// reapOften is the reaper in the background.
func (v *Vault) reapOften(ctx context.Context) {
	if v.cfg.Reap == (Ages{}) {
		return
	}
	every(ctx, reapEvery, func(ctx context.Context) {
		done, err := v.Reap(ctx, v.cfg.Reap, false)
		if len(done) > 0 {
			v.log.Info("reaped grants", "count", len(done))
		}
		if err != nil && ctx.Err() == nil {
			v.log.Warn("reaping grants", "error", err)
		}
	})
}
