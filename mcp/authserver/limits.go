package authserver

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/grantry/grantry/vault/assertion"
)

const (
	registerEvery = 6 * time.Second // of one address, after a burst
	registerBurst = 20
	totalEvery    = time.Second // of all together
	totalBurst    = 100

	failEvery   = 15 * time.Second // failures of one client from one address, after a burst
	failBurst   = 20
	failEveryAt = 3 * time.Second // of one address, whatever clients it names
	failBurstAt = 100

	maxAddresses = 10_000
)

// limits hold back who registers too much, who asks for tokens too often, and who guesses.
type limits struct {
	now func() time.Time

	registered *counters[netip.Prefix]
	total      *counters[struct{}] // of registrations
	calls      *counters[asker]    // nil = as many as they like
	failed     *counters[asker]
	failedAt   *counters[netip.Prefix]
}

// asker is the client that an address says it is.
type asker struct {
	from   netip.Prefix
	client string
}

func newLimits(now func() time.Time, perMinute int) *limits {
	l := &limits{
		now: now, registered: newCounters[netip.Prefix](registerEvery, registerBurst), total: newCounters[struct{}](totalEvery, totalBurst),
		failed: newCounters[asker](failEvery, failBurst), failedAt: newCounters[netip.Prefix](failEveryAt, failBurstAt),
	}
	if perMinute > 0 {
		l.calls = newCounters[asker](time.Minute/time.Duration(perMinute), perMinute)
	}
	return l
}

// register is 0 when the peer may register a client, else how long it should wait.
func (l *limits) register(peer string) time.Duration {
	now := l.now()
	if wait := l.registered.take(network(peer), now); wait > 0 {
		return wait
	}
	return l.total.take(struct{}{}, now)
}

// call is 0 when who asks may go on, else how long it should wait. Who has failed too
// often waits, too: it could still be guessing.
func (l *limits) call(who asker) time.Duration {
	now := l.now()
	wait := max(l.failed.wait(who, now), l.failedAt.wait(who.from, now))
	if wait == 0 && l.calls != nil {
		wait = l.calls.take(who, now)
	}
	return wait
}

// fail counts a client, a code or a refresh token that was not good.
func (l *limits) fail(who asker) {
	now := l.now()
	l.failed.take(who, now)
	l.failedAt.take(who.from, now)
}

// counted holds back who asks too often, and counts how it went.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			oauthError(w, http.StatusBadRequest, "invalid_request", "the form cannot be read")
			return
		}
		who := asker{network(r.RemoteAddr), claimedClient(r)}
		if wait := s.limits.call(who); wait > 0 {
			w.Header().Set("Retry-After", retryAfter(wait))
			oauthError(w, http.StatusTooManyRequests, "too_many_requests", "too many requests; try again later")
			return
		}
		a := &attempt{peer: r.RemoteAddr}
		next.ServeHTTP(w, r.WithContext(withAttempt(r.Context(), a)))
		if a.failed {
			s.limits.fail(who)
		}
	})
}

// claimedClient is who a request says that it is of, unproven: only a name to count by.
func claimedClient(r *http.Request) string {
	if id, _, ok := r.BasicAuth(); ok {
		if plain, err := url.QueryUnescape(id); err == nil {
			return plain
		}
		return id
	}
	if id := r.Form.Get("client_id"); id != "" {
		return id
	}
	return assertion.Unproved(r.Form.Get("client_assertion"))
}

// retryAfter is a time in whole seconds, rounded up.
func retryAfter(wait time.Duration) string {
	return strconv.Itoa(int((wait + time.Second - 1) / time.Second))
}

// counters are limiters by key.
type counters[K comparable] struct {
	every time.Duration
	burst int

	mu   sync.Mutex
	each map[K]*rate.Limiter
}

func newCounters[K comparable](every time.Duration, burst int) *counters[K] {
	return &counters[K]{every: every, burst: burst, each: map[K]*rate.Limiter{}}
}

// take takes one, or says how long to wait for it.
func (c *counters[K]) take(key K, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.each[key]
	if !ok {
		c.forget(now)
		l = rate.NewLimiter(rate.Every(c.every), c.burst)
		c.each[key] = l
	}
	if l.AllowN(now, 1) {
		return 0
	}
	return c.lack(l, now)
}

// wait is how long until one more is free, 0 when it is.
func (c *counters[K]) wait(key K, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.each[key]; ok {
		return c.lack(l, now)
	}
	return 0
}

func (c *counters[K]) lack(l *rate.Limiter, now time.Time) time.Duration {
	if missing := 1 - l.TokensAt(now); missing > 0 {
		return max(time.Duration(missing*float64(c.every)), time.Millisecond)
	}
	return 0
}

// forget makes room: who is full again is as good as unknown; if that is not enough, all go. With mu held.
func (c *counters[K]) forget(now time.Time) {
	if len(c.each) < maxAddresses {
		return
	}
	for key, l := range c.each {
		if l.TokensAt(now) >= float64(c.burst) {
			delete(c.each, key)
		}
	}
	if len(c.each) >= maxAddresses {
		clear(c.each)
	}
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
