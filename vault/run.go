package vault

import (
	"context"
	"sync"
	"time"
)

// sweepEvery is how often expired records are removed.
const sweepEvery = time.Minute

// Run does what a vault does between calls, until ctx ends. Each job sees to its
// own failures: what fails now is tried again later. A process that lives for one
// command need not run it.
func (v *Vault) Run(ctx context.Context) error {
	var jobs sync.WaitGroup
	for _, job := range []func(context.Context){
		v.keepChain,
		v.writeNotesOften,
		v.sweepRecords,
		v.keepProcess,
		v.retryRevocations,
		v.eraseAlternatesOften,
		v.watchHome,
		v.syncAtEnd,
		v.watch,
		v.refreshDue,
		v.reapOften,
		v.tend,
		v.remembering,
	} {
		jobs.Go(func() { job(ctx) })
	}
	jobs.Wait()
	return ctx.Err()
}

// every calls do at once and then at each interval, until ctx ends.
func every(ctx context.Context, interval time.Duration, do func(context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		do(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// syncAtEnd syncs the audit when the process is about to stop.
func (v *Vault) syncAtEnd(ctx context.Context) {
	<-ctx.Done()
	_ = v.journal.sync(v) // it logs what fails
}

func (v *Vault) sweepRecords(ctx context.Context) {
	every(ctx, sweepEvery, func(ctx context.Context) {
		if _, err := v.Sweep(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("sweeping expired records", "error", err)
		}
	})
}
