package vault

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"time"
)

const (
	followEvery     = 2 * time.Second
	recollectAtOnce = 64 // people and agents on one snapshot
	recollectErrors = 10 // in a row: then it is given up
	errorRest       = 3 * time.Second
)

// remembering has what exchanges will read in memory before they ask for it, as far as there is room: of everybody
// after a start and wherever all of it was forgotten, and of whose rows have changed. An exchange that is quicker reads for itself.
func (v *Vault) remembering(ctx context.Context) {
	if !v.cfg.ReadAhead {
		return
	}
	read := int64(-1) // the floor above which it was
	every(ctx, followEvery, func(ctx context.Context) {
		if err := v.followNow(ctx); err != nil {
			if ctx.Err() == nil {
				v.log.Warn("learning what changed", "error", err)
			}
			return
		}
		if floor := v.changes.floor.Load(); floor != read {
			read = floor
			v.recollect(ctx)
		}
		v.recollectChanged(ctx)
	})
}

// followNow learns what changed, as a release does.
func (v *Vault) followNow(ctx context.Context) error {
	v.journal.turn.Lock()
	defer v.journal.turn.Unlock()
	return v.store.Append(ctx, v.changes.follow)
}

// recollect reads the accounts of everybody for each agent that has access to some. What
// it cannot read is left to who asks for it. Where there are calls it rests for as long as it reads.
func (v *Vault) recollect(ctx context.Context) {
	began, people, room, failed := time.Now(), 0, v.cfg.Remember/10*9, 0
	var at who
	for room > 0 && ctx.Err() == nil {
		start, before := time.Now(), v.journal.count()
		n, size, err := v.readAhead(ctx, &at, func(tx Tx) ([]AccessRow, error) {
			return tx.Access().Pairs(at.user, at.agent, recollectAtOnce)
		})
		rest := time.Since(start)
		if v.journal.count() == before {
			rest = 0
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

// recollectChanged reads the accounts of those whose rows have changed.
func (v *Vault) recollectChanged(ctx context.Context) {
	for users := range slices.Chunk(v.changes.take(), recollectAtOnce) {
		if ctx.Err() != nil {
			return
		}
		_, _, err := v.readAhead(ctx, new(who), func(tx Tx) (pairs []AccessRow, err error) {
			for _, u := range users {
				rows, err := tx.Access().List(u)
				if err != nil {
					return nil, err
				}
				slices.SortFunc(rows, func(a, b AccessRow) int { return cmp.Compare(a.Agent, b.Agent) })
				pairs = append(pairs, slices.CompactFunc(rows, func(a, b AccessRow) bool { return a.Agent == b.Agent })...)
			}
			return pairs, nil
		})
		if err != nil && ctx.Err() == nil {
			v.log.Debug("reading again what changed", "error", err)
		}
	}
}

// readAhead remembers the accounts of people for their agents, in the order that pairs has, and answers how many these
// were and what they take. What is remembered already it leaves as it is. last is the one that it has come to: one
// that fails is passed over, and ends it.
func (v *Vault) readAhead(ctx context.Context, last *who, pairs func(tx Tx) ([]AccessRow, error)) (n, size int, err error) {
	type reading struct {
		who
		all []account
	}
	var epoch int64
	var read []reading
	at, giveWay := *last, v.givingWay()
	err = v.store.View(ctx, func(tx Tx) error {
		n, size, read, at = 0, 0, nil, *last
		if epoch, err = tx.Vault().Epoch(); err != nil {
			return err
		}
		list, err := pairs(tx)
		if err != nil {
			return err
		}
		for _, a := range list {
			at = who{a.User, a.Agent}
			n++
			if s, ok := v.remembered(at); ok {
				size += s.size
				continue
			}
			all, err := v.held(tx, at)
			if err != nil {
				return err
			}
			read = append(read, reading{at, all})
			giveWay()
		}
		return nil
	})
	*last = at
	if err == nil && !v.changes.reached(epoch) {
		err = v.followNow(ctx)
	}
	for _, r := range read {
		size += v.shelve(r.who, epoch, r.all)
		giveWay()
	}
	return n, size, err
}

// givingWay answers what lets all else that can run go first, where there are calls.
// A goroutine that gives way for nobody goes on at another processor, and is slower there.
func (v *Vault) givingWay() func() {
	calls := v.journal.count()
	return func() {
		if n := v.journal.count(); n != calls {
			calls = n
			runtime.Gosched()
		}
	}
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
