package vault

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	dueEvery   = 15 * time.Second
	dueAhead   = 30 * time.Minute   // how long before its end a token is looked at
	dueUsed    = 7 * 24 * time.Hour // how long an account stays in use without being used
	dueAtOnce  = 4                  // refreshes at one time
	dueRows    = 200                // looked at first; more where none of them can be refreshed
	dueAllRows = 50_000
)

// refreshDue refreshes accounts in use before a call has to wait for it. In use
// is what was used since its last refresh: an account that nobody uses any more is left alone after one more.
func (v *Vault) refreshDue(ctx context.Context) {
	every(ctx, dueEvery, func(ctx context.Context) {
		due, err := v.due(ctx)
		if err != nil && ctx.Err() == nil {
			v.log.Warn("looking for accounts to refresh", "error", err)
		}
		var g errgroup.Group
		g.SetLimit(dueAtOnce)
		for _, p := range due {
			g.Go(func() error {
				v.refreshBehind(ctx, p)
				return nil
			})
		}
		_ = g.Wait() // refreshBehind logs what fails
	})
}

// due answers the grants to refresh now. Those that cannot be, for want of their
// connection or because their vendor is down, do not stand in the way of others.
func (v *Vault) due(ctx context.Context) (out []picked, err error) {
	for limit, found := dueRows, dueRows; len(out) == 0 && found == limit && limit <= dueAllRows; limit *= 4 {
		err = v.store.View(ctx, func(tx Tx) error {
			out = nil
			rows, err := tx.Upkeep().Due(v.now()+dueAhead.Milliseconds(), v.now()-dueUsed.Milliseconds(), v.now(), limit)
			found = len(rows)
			for _, row := range rows {
				if p := (picked{row: row, conn: v.conns[row.Connection]}); v.ripe(&p) {
					out = append(out, p)
				}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ripe says whether a grant should be refreshed though nobody asks. A vendor
// whose refresh kills the token before is asked only once that one is over.
func (v *Vault) ripe(p *picked) bool {
	if !bound(p.row, p.conn) || p.row.LeaseOwner != "" || v.breakers.of(p.row.Connection).wait(v.cfg.Now()) > 0 {
		return false
	}
	if p.conn.Provider().Refresh.KillsAccess {
		return v.now() >= p.row.AccessExp
	}
	return v.early(p)
}

func (v *Vault) refreshBehind(ctx context.Context, p picked) {
	if !v.work.enter() {
		return
	}
	defer v.work.leave()
	ctx = context.WithoutCancel(ctx)
	_, err, _ := v.refreshes.Do(p.row.ID, func() (any, error) {
		return nil, degraded(v.refreshOnce(ctx, wanted{picked: p, early: true}))
	})
	if err != nil {
		v.log.Warn("refreshing an account in use", "grant", p.row.ID, "error", err)
	}
}
