package e2e_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load calls for several people on all replicas, again and again.
type load struct {
	f       *fleet
	allowed [fleetSize]atomic.Bool
	ended   chan struct{}
	flying  atomic.Int64
	calls   atomic.Int64
	workers sync.WaitGroup
}

func (f *fleet) load(t *testing.T, tokens map[string]string) *load {
	t.Helper()
	l := &load{f: f, ended: make(chan struct{})}
	for i := range fleetSize {
		l.allowed[i].Store(true)
		for who, token := range tokens {
			for range 2 {
				l.workers.Go(func() { l.work(t, i, who, token) })
			}
		}
	}
	t.Cleanup(func() { l.stop() })
	return l
}

func (l *load) work(t *testing.T, i int, who, token string) {
	for {
		select {
		case <-l.ended:
			return
		case <-time.After(50 * time.Millisecond):
		}
		l.flying.Add(1)
		if !l.allowed[i].Load() {
			l.flying.Add(-1)
			continue
		}
		got, err := l.f.call(i, token)
		l.flying.Add(-1)
		l.calls.Add(1)
		if err != nil || got.IsError {
			t.Errorf("%s's call at replica %d: %+v, %v", who, i+1, got, err)
			return
		}
	}
}

// forbid waits for the calls under way.
func (l *load) forbid(t *testing.T, replicas ...int) {
	t.Helper()
	for _, i := range replicas {
		l.allowed[i].Store(false)
	}
	eventually(t, patience, "the end of the calls under way", func() bool { return l.flying.Load() == 0 })
}

func (l *load) allow(replicas ...int) {
	for _, i := range replicas {
		l.allowed[i].Store(true)
	}
}

// stop answers how many calls there were.
func (l *load) stop() int {
	select {
	case <-l.ended:
	default:
		close(l.ended)
	}
	l.workers.Wait()
	return int(l.calls.Load())
}
