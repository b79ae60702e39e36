package vault

import (
	"context"
	"sync"
)

// looksAtOnce is how many picks share a snapshot at most.
const looksAtOnce = 16

// looks read for picks in groups: while one group is read, the next one gathers, as
// in the journal. Each has a snapshot of its own that begins when it has gathered, so
// nobody misses what was committed before they asked. SQLite forgets its pages with
// every commit that it sees; a group reads the upper ones once.
type looks struct {
	mu      sync.Mutex
	waiting []*look
	readers int // at work
}

// look is one pick's reading.
type look struct {
	read func(tx Tx, epoch int64) error
	done chan struct{}
	err  error
	self bool // it must be tried by itself, by who waits for it
}

// at runs read on a snapshot that is not older than the call. A read that fails for a
// reason that is not of its own request alone runs again by itself, and keeps nobody waiting.
func (q *looks) at(ctx context.Context, v *Vault, read func(tx Tx, epoch int64) error) error {
	l := &look{read: read, done: make(chan struct{})}
	q.mu.Lock()
	q.waiting = append(q.waiting, l)
	few := v.store.Readers()
	more := q.readers < few || q.readers < 2*few && len(q.waiting) > looksAtOnce
	if more {
		q.readers++
	}
	q.mu.Unlock()
	if more {
		go q.work(v)
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if !l.self {
		return l.err
	}
	return v.store.View(ctx, func(tx Tx) error {
		epoch, err := tx.Vault().Epoch()
		if err != nil {
			return err
		}
		return read(tx, epoch)
	})
}

// work reads group after group until nobody waits. It is of no caller in particular, so none of their contexts goes with it.
func (q *looks) work(v *Vault) {
	for group := q.next(); group != nil; group = q.next() {
		err := v.cfg.Store.View(context.Background(), func(tx Tx) error {
			epoch, err := tx.Vault().Epoch()
			if err != nil {
				return err
			}
			for _, l := range group {
				l.err = l.read(tx, epoch)
				l.self = l.err != nil && !alone(l.err)
			}
			return nil
		})
		for _, l := range group {
			l.self = l.self || err != nil
			close(l.done)
		}
	}
}

// next answers nil when nobody waits, and takes the reader off.
func (q *looks) next() []*look {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), looksAtOnce)
	if n == 0 {
		q.readers--
		return nil
	}
	group := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	return group
}
