package vault

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// askEvery is how often those who wait look at the store, and toldEvery
	// where other processes' changes are told: then only for the one that got lost.
	askEvery  = 200 * time.Millisecond
	toldEvery = 2 * time.Second

	rewatchMin = time.Second
	rewatchMax = time.Minute
)

// Watcher is a Store that tells of changes that other processes make. A Store
// need not be one: whoever waits then looks again and again.
type Watcher interface {
	// Watch calls changed once when it begins to hear, so that nothing before
	// it is missed, and again soon after another process has committed a change
	// to a grant, an access or a record. It returns when it hears no more, with
	// the reason, and nil where this store will never tell.
	Watch(ctx context.Context, changed func()) error
}

// bell wakes those in this process who wait for a ticket or for another's refresh.
type bell struct {
	mu   *sync.Mutex
	ch   *chan struct{}
	told *atomic.Bool // other processes' changes ring it too
}

func newBell() bell {
	ch := make(chan struct{})
	return bell{mu: new(sync.Mutex), ch: &ch, told: new(atomic.Bool)}
}

// wait answers a channel that closes at the next ring.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return *b.ch
}

// patience is how long to wait for a ring before looking all the same.
func (b *bell) patience() time.Duration {
	if b.told.Load() {
		return toldEvery
	}
	return askEvery
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(*b.ch)
	*b.ch = make(chan struct{})
}

// watch has the bell ring for other processes' changes until ctx ends. A store
// that does not tell now is asked again, less and less often.
func (v *Vault) watch(ctx context.Context) {
	w, ok := v.cfg.Store.(Watcher)
	if !ok {
		return
	}
	for wait := rewatchMin; ctx.Err() == nil; {
		err := w.Watch(ctx, func() {
			if !v.bell.told.Swap(true) {
				v.log.Debug("the store tells of other processes' changes")
				wait = rewatchMin
			}
			v.bell.ring()
		})
		if v.bell.told.Swap(false) {
			v.bell.ring() // whoever counts on being told looks again
		}
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			v.log.Debug("the store does not tell of other processes' changes; who waits for one looks every 200 ms", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, rewatchMax)
	}
}
