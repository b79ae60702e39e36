package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/grantry/grantry/bench/fleet"
	"github.com/grantry/grantry/vault"
)

// call exchanges for one random person after another, each at a random process.
func (w *world) call(ctx context.Context, r *rand.Rand) {
	for w.limits.Wait(ctx) == nil {
		w.exchange(context.WithoutCancel(ctx), r.IntN(len(w.people)), w.slots[r.IntN(len(w.slots))].Load())
	}
}

// exchange says whether it has the last word about the grant. A lost one is judged
// and connected anew.
func (w *world) exchange(ctx context.Context, i int, p *fleet.Process) (final bool) {
	consents := w.people[i].consents.Load()
	r, err := p.Do(ctx, fleet.Task{Do: fleet.DoExchange, User: i})
	switch {
	case errors.Is(err, fleet.ErrGone):
		w.tally.interrupted.Add(1)
		time.Sleep(10 * time.Millisecond) // its successor is starting
	case err != nil:
		w.unexplained(i, err.Error())
	case r.OK:
		w.tally.exchanges.Add(1)
		return true
	case r.Reason == string(vault.ProviderUnreachable):
		w.tally.unreachable.Add(1)
	case r.Reason == string(vault.VaultDegraded):
		w.tally.degraded.Add(1)
	case r.Reason == fleet.Refused:
		w.tally.refused.Add(1)
	default:
		w.lost(ctx, i, consents, r)
		return true
	}
	return false
}

// lost judges a loss, once for each consent, and has the person consent again.
func (w *world) lost(ctx context.Context, i int, consents int64, r fleet.Result) {
	p := &w.people[i]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.consents.Load() != consents {
		return // another caller has seen to it
	}
	v := w.vendor.Explain(fleet.Subject(i))
	switch {
	case r.Reason != string(vault.Revoked) && r.Reason != string(vault.Expired):
		w.unexplained(i, fmt.Sprintf("%s: %s", r.Reason, r.Detail))
	case v.Cause == fleet.ByKill:
		w.tally.killed.Add(1)
	case v.Cause == fleet.ByVendor:
		w.tally.unanswered.Add(1)
	default:
		w.unexplained(i, v.Detail)
	}
	for {
		r, err := w.slots[i%len(w.slots)].Load().Do(ctx, fleet.Task{Do: fleet.DoConnect, User: i})
		if err == nil && r.OK || ctx.Err() != nil {
			break
		}
		time.Sleep(100 * time.Millisecond) // the process was killed, or is busy: the person tries again
	}
	p.consents.Add(1)
}

func (w *world) unexplained(i int, why string) {
	w.tally.unexplained.Add(1)
	w.print("UNEXPLAINED: %s lost: %s", fleet.Subject(i), why)
}

// trouble kills a random process, or freezes it for up to 2 s, at random times.
func (w *world) trouble(ctx context.Context, r *rand.Rand) {
	for w.cfg.killEvery > 0 {
		select {
		case <-time.After(time.Duration(r.Int64N(2*int64(w.cfg.killEvery) + 1))):
		case <-ctx.Done():
			return
		}
		slot := &w.slots[r.IntN(len(w.slots))]
		if p := slot.Load(); r.IntN(4) == 0 && p.Freeze() == nil {
			w.tally.freezes.Add(1)
			time.Sleep(time.Duration(r.Int64N(int64(2 * time.Second))))
			_ = p.Thaw() // it runs, or it was never frozen
			continue
		}
		slot.Load().Kill()
		w.tally.kills.Add(1)
		p, err := w.fleet.Start(context.WithoutCancel(ctx), fleet.Job{Upkeep: true})
		if err != nil {
			w.tally.unexplained.Add(1)
			w.print("UNEXPLAINED: a process does not start again: %v", err)
			continue
		}
		slot.Store(p)
	}
}
