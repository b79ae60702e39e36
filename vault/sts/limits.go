package sts

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/grantry/grantry/vault"
)

const (
	failBurst   = 10 // failed proofs of one client from one address, then one in failEvery
	failEvery   = 30 * time.Second
	failBurstAt = 100 // of one address, whatever clients it names
	failEveryAt = 3 * time.Second
	maxCounters = 10_000
)

// counters are limiters by key. One that is full again is as good as none, so
// only those are forgotten when there are many.
type counters[K comparable] struct {
	every time.Duration
	burst int

	mu   sync.Mutex
	each map[K]*rate.Limiter
}

func newCounters[K comparable](every time.Duration, burst int) *counters[K] {
	return &counters[K]{every: every, burst: burst, each: map[K]*rate.Limiter{}}
}

// of answers the limiter of key; with mu held.
func (c *counters[K]) of(key K, now time.Time) *rate.Limiter {
	if l, ok := c.each[key]; ok {
		return l
	}
	if len(c.each) >= maxCounters {
		for k, l := range c.each {
			if l.TokensAt(now) >= float64(c.burst) {
				delete(c.each, k)
			}
		}
	}
	l := rate.NewLimiter(rate.Every(c.every), c.burst)
	if len(c.each) < 2*maxCounters {
		c.each[key] = l
	}
	return l
}

// wait is how long until one more is free, 0 when it is.
func (c *counters[K]) wait(key K, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.each[key]
	if !ok {
		return 0
	}
	if lack := 1 - l.TokensAt(now); lack > 0 {
		return max(time.Duration(lack*float64(c.every)), time.Second)
	}
	return 0
}

// take takes one, or says how long to wait for it.
func (c *counters[K]) take(key K, now time.Time) time.Duration {
	c.mu.Lock()
	l := c.of(key, now)
	c.mu.Unlock()
	if l.AllowN(now, 1) {
		return 0
	}
	return c.wait(key, now)
}

// failures hold back who guesses secrets.
type failures struct {
	now  func() time.Time
	each *counters[guess]
	all  *counters[netip.Prefix]
}

// guess is a client that an address claims to be.
type guess struct {
	from   netip.Prefix
	client string
}

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, each: newCounters[guess](failEvery, failBurst), all: newCounters[netip.Prefix](failEveryAt, failBurstAt)}
}

func (f *failures) wait(peer netip.Addr, client string) time.Duration {
	from, now := network(peer), f.now()
	return max(f.each.wait(guess{from, client}, now), f.all.wait(from, now))
}

func (f *failures) failed(peer netip.Addr, client string) {
	from, now := network(peer), f.now()
	f.each.take(guess{from, client}, now)
	f.all.take(from, now)
}

// network is whom an address belongs to: an IPv4 address, or a /64 of IPv6.
func network(peer netip.Addr) netip.Prefix {
	bits := 32
	if peer.Is6() {
		bits = 64
	}
	p, err := peer.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// use is a person for whom a workload works; what it may do a minute is counted for each.
type use struct {
	workload string
	caller   vault.Caller
}
