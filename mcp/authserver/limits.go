package authserver

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	registerEvery = 6 * time.Second // of one address, after a burst
	registerBurst = 20
	totalEvery    = time.Second // of all together
	totalBurst    = 100
	maxAddresses  = 10_000
)

// limits hold back who registers too much: an address by itself, and all together.
type limits struct {
	now func() time.Time

	mu    sync.Mutex
	total *rate.Limiter
	each  map[netip.Prefix]*rate.Limiter
}

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, total: rate.NewLimiter(rate.Every(totalEvery), totalBurst), each: map[netip.Prefix]*rate.Limiter{}}
}

// wait is 0 when the peer may go on, else how long it should wait.
func (l *limits) wait(peer string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := network(peer)
	one, ok := l.each[at]
	if !ok {
		if len(l.each) >= maxAddresses {
			clear(l.each)
		}
		one = rate.NewLimiter(rate.Every(registerEvery), registerBurst)
		l.each[at] = one
	}
	now := l.now()
	if !one.AllowN(now, 1) {
		return registerEvery
	}
	if !l.total.AllowN(now, 1) {
		return totalEvery
	}
	return 0
}

// network is whom an address belongs to: an IPv4 address, or a /64 of IPv6.
func network(peer string) netip.Prefix {
	at, err := netip.ParseAddrPort(peer)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if at.Addr().Unmap().Is6() {
		bits = 64
	}
	p, err := at.Addr().Unmap().Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
