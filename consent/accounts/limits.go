package accounts

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/grantry/grantry/vault"
)

const maxCounted = 10_000

// limits count the calls of each application for each person, by the minute.
type limits struct {
	most int
	now  func() time.Time

	mu     sync.Mutex
	minute int64
	calls  map[caller]int
}

type caller struct {
	client string
	person vault.Caller
}

func newLimits(most int, now func() time.Time) *limits {
	return &limits{most: most, now: now, calls: map[caller]int{}}
}

// take counts a call, says in h how many are left, and refuses one too many.
func (l *limits) take(h http.Header, c *call) error {
	if l.most <= 0 {
		return nil
	}
	now := l.now()
	n := l.count(caller{c.who.Client, c.who.Person.Caller}, now.Unix()/60)
	reset := now.Truncate(time.Minute).Add(time.Minute)
	h.Set("X-RateLimit-Limit", strconv.Itoa(l.most))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, l.most-n)))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
	if n <= l.most {
		return nil
	}
	p := refusal(http.StatusTooManyRequests, "too_many_requests", "Too many calls for this person in one minute.")
	p.retry = reset.Sub(now)
	return p
}

func (l *limits) count(who caller, minute int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if minute != l.minute || len(l.calls) > maxCounted {
		l.minute = minute
		clear(l.calls)
	}
	l.calls[who]++
	return l.calls[who]
}
