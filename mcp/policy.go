package mcp

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
)

// The rules for tools that write.
const (
	ruleAsk    = "ask"
	ruleAllow  = "allow"
	ruleDeny   = "deny"
	ruleClient = "client" // the client asks its user by itself
)

// rule is what holds for a tool: allow, deny, ask or client. What a client
// confirms by itself runs, except where something would be removed.
func (s *Server) rule(e entry) string {
	if !e.writes() {
		if s.cfg.Policy[e.tool.Name] == ruleDeny {
			return ruleDeny
		}
		return ruleAllow
	}
	rule, set := s.cfg.Policy[e.tool.Name]
	if !set {
		rule = s.cfg.Writes
	}
	if rule == ruleClient && e.kind == tools.Destroy {
		return ruleAsk
	}
	return rule
}

// maxLimited is how many pairs of caller and agent are counted at once.
const maxLimited = 10_000

// limiter counts the calls of one caller and agent.
type limiter struct {
	limits Limits
	now    func() time.Time

	mu    sync.Mutex
	pairs map[pair]*counters
}

type pair struct {
	caller        vault.Caller
	issuer, agent string
}

type counters struct{ calls, writes *rate.Limiter }

func newLimiter(l Limits, now func() time.Time) *limiter {
	return &limiter{limits: l, now: now, pairs: map[pair]*counters{}}
}

// take counts one call; what = "" when it may run, else the limit that is used
// up and how long that lasts.
func (l *limiter) take(c vault.Caller, a vault.Agent, write bool) (what string, wait time.Duration) {
	if l.limits == (Limits{}) {
		return "", 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := pair{caller: c, issuer: a.Issuer, agent: a.ID}
	n := l.pairs[key]
	if n == nil {
		if len(l.pairs) >= maxLimited {
			clear(l.pairs)
		}
		n = &counters{calls: perMinute(l.limits.CallsPerMinute), writes: perMinute(l.limits.WritesPerMinute)}
		l.pairs[key] = n
	}
	now := l.now()
	if wait := taken(n.calls, now); wait > 0 {
		return "calls_per_minute", wait
	}
	if write {
		if wait := taken(n.writes, now); wait > 0 {
			return "writes_per_minute", wait
		}
	}
	return "", 0
}

// taken takes one, or says how long it is until there is one.
func taken(l *rate.Limiter, now time.Time) time.Duration {
	r := l.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func perMinute(n int) *rate.Limiter {
	if n <= 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Every(time.Minute/time.Duration(n)), n)
}
