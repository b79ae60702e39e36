package vault

import (
	"context"
	"time"
)

const (
	followEvery     = 10 * time.Second
	recollectAtOnce = 64 // people and agents on one snapshot
	recollectErrors = 10 // in a row: then it is given up
	errorRest       = 3 * time.Second
)

// remembering has what exchanges will read in memory before they ask for it, as far as there is room, and
// sees to it that it is not taken for outdated where nobody exchanges: the store names for a while only whose rows changed.
func (v *Vault) remembering(ctx context.Context) {
	v.recollect(ctx)
	every(ctx, followEvery, func(ctx context.Context) {
		if err := v.followNow(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("learning what changed", "error", err)
		}
	})
}

// followNow learns what changed, as a release does.
func (v *Vault) followNow(ctx context.Context) error {
	v.journal.turn.Lock()
	defer v.journal.turn.Unlock()
	return v.store.Append(ctx, v.changes.follow)
}

// recollect reads the accounts of everybody for each agent that has access to some. What
// it cannot read is left to who asks for it.
func (v *Vault) recollect(ctx context.Context) {
	began, people, room, failed := time.Now(), 0, v.cfg.Remember/10*9, 0
	var at who
	for room > 0 && ctx.Err() == nil {
		start, before := time.Now(), v.journal.count()
		n, size, err := v.recollectSome(ctx, &at)
		rest := time.Since(start)
		if v.journal.count() == before {
			rest = 0 // nobody waits
		}
		if failed++; err == nil {
			failed = 0
		} else if rest = errorRest; failed == recollectErrors {
			v.log.Warn("reading ahead what exchanges will want", "error", err)
			return
		}
		people, room = people+n, room-size
		if err == nil && n == 0 {
			v.log.Debug("what exchanges will want is in memory", "people", people, "took", time.Since(began))
			return
		}
		sleep(ctx, rest)
	}
}

// recollectSome remembers the next ones after at, and answers how many these were and what they take. What fails is passed over.
func (v *Vault) recollectSome(ctx context.Context, at *who) (n, size int, err error) {
	var epoch int64
	var asking []who
	var read [][]account
	next := *at
	err = v.store.View(ctx, func(tx Tx) error {
		asking, read, next = nil, nil, *at
		if epoch, err = tx.Vault().Epoch(); err != nil {
			return err
		}
		pairs, err := tx.Access().Pairs(at.user, at.agent, recollectAtOnce)
		if err != nil {
			return err
		}
		for _, a := range pairs {
			next = who{a.User, a.Agent}
			all, err := v.held(tx, next)
			if err != nil {
				return err
			}
			asking, read = append(asking, next), append(read, all)
		}
		return nil
	})
	*at = next
	if err == nil && !v.changes.reached(epoch) {
		err = v.followNow(ctx)
	}
	for i, w := range asking {
		size += v.shelve(w, epoch, read[i])
	}
	return len(asking), size, err
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
