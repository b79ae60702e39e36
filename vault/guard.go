package vault

import (
	"context"
	"errors"
	"sync"
	"time"
)

// guardEvery is how often guards look whether the store's epoch has moved, where nothing tells them.
const guardEvery = time.Second

// ErrRevoked is the cause of a call's cancellation: the access that it ran under was taken away.
var ErrRevoked = errors.New("access was taken away")

// Guard watches over one call in flight.
type Guard struct {
	v           *Vault
	user, agent string
	cancel      context.CancelCauseFunc

	mu    sync.Mutex
	used  map[string]string // account → access that it is used by, "" until that was looked up
	fresh bool              // an account was added since the last look
}

// guards are those of this process. Nothing runs while there are none.
type guards struct {
	mu   sync.Mutex
	all  map[*Guard]struct{}
	idle chan struct{} // of the watch that runs: closed when the last guard has ended
}

// Guard answers a context for one call of an agent that ends within 5 s when access that the call
// uses is taken away, in whichever process: its cause is a *StoppedError or ErrRevoked. End the guard with the call.
func (v *Vault) Guard(ctx context.Context, c Caller, a Agent) (context.Context, *Guard) {
	ctx, cancel := context.WithCancelCause(ctx)
	g := &Guard{v: v, user: v.Pseudonym(c), agent: v.agentKey(a), cancel: cancel, used: map[string]string{}}
	v.guards.add(v, g)
	return ctx, g
}

// Uses says that the call has a token of this account (Bearer.Grant).
func (g *Guard) Uses(grant string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.used[grant]; !known {
		g.used[grant], g.fresh = "", true
	}
}

// End ends the watch. It may be called twice.
func (g *Guard) End() {
	g.v.guards.remove(g)
	g.cancel(nil)
}

func (gs *guards) add(v *Vault, g *Guard) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.all == nil {
		gs.all = map[*Guard]struct{}{}
	}
	gs.all[g] = struct{}{}
	if gs.idle == nil {
		gs.idle = make(chan struct{})
		go v.watchGuards(gs.idle)
	}
}

func (gs *guards) remove(g *Guard) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	delete(gs.all, g)
	if len(gs.all) == 0 && gs.idle != nil {
		close(gs.idle)
		gs.idle = nil
	}
}

// due are the guards to look at: all when the epoch has moved, else those that use something new.
func (gs *guards) due(moved bool) (out []*Guard) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	for g := range gs.all {
		if g.take(moved) {
			out = append(out, g)
		}
	}
	return out
}

func (g *Guard) take(moved bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	due := len(g.used) > 0 && (moved || g.fresh)
	g.fresh = false
	return due
}

// watchGuards runs while there are guards. What this process and, where the store tells,
// others change rings the bell; a look costs one read while nothing has.
func (v *Vault) watchGuards(idle <-chan struct{}) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for seen, failed := int64(0), false; ; {
		rung := v.bell.wait()
		last, err := v.lookAtGuards(seen, failed)
		if failed = err != nil; !failed {
			seen = last
		}
		select {
		case <-idle:
			return
		case <-rung:
		case <-tick.C:
		}
	}
}

// lookAtGuards cancels calls whose access is gone, and answers the epoch at which that was so. It looks at all after a look that failed.
func (v *Vault) lookAtGuards(seen int64, all bool) (epoch int64, err error) {
	gone := map[*Guard]error{}
	err = v.store.View(context.Background(), func(tx Tx) error {
		if epoch, err = tx.Vault().Epoch(); err != nil {
			return err
		}
		for _, g := range v.guards.due(all || epoch != seen) {
			cause, err := g.lost(tx)
			if err != nil {
				return err
			}
			if cause != nil {
				gone[g] = cause
			}
		}
		return nil
	})
	for g, cause := range gone {
		g.cancel(cause)
	}
	return epoch, err
}

// lost says why the call must end: nil where all access that it uses is there. That access
// has run out or was spent, on this very call, ends no call.
func (g *Guard) lost(tx Tx) (cause, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for grant, id := range g.used {
		row, err := tx.Access().Get(g.user, g.agent, grant)
		switch {
		case err == nil && (id == "" || id == row.ID):
			g.used[grant] = row.ID
			continue
		case unless(ErrNotFound, err) != nil:
			return nil, err
		}
		var stopped *StoppedError
		if err := g.v.stopped(tx, g.user, g.agent, grant); errors.As(err, &stopped) {
			return stopped, nil
		} else if err != nil {
			return nil, err
		}
		return ErrRevoked, nil
	}
	return nil, nil
}
