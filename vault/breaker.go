package vault

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/grantry/grantry/vault/provider"
)

const (
	breakAfter    = 5 // failures in a row, of any grants of the connection
	breakFor      = time.Minute
	breakForMost  = 30 * time.Minute
	complainEvery = 10 * time.Minute
)

// errBreaker says that a vendor failed so often that it is left alone.
var errBreaker = errors.New("the vendor is left alone after failures in a row")

// breakers keep a vendor that is down from being asked for every grant. They are
// this process's own: what they save is requests, and no grant depends on them.
type breakers struct{ m sync.Map }

func (b *breakers) of(connection string) *breaker {
	found, _ := b.m.LoadOrStore(connection, newBreaker())
	return found.(*breaker)
}

// breaker is a circuit breaker of which the vault's own clock says when it half opens.
type breaker struct {
	mu         sync.Mutex
	circuit    circuitbreaker.CircuitBreaker[bool]
	opened     int       // in a row
	until      time.Time // while it is open
	probing    bool      // the one that half-open lets through is under way
	complained time.Time
}

func newBreaker() *breaker {
	// The library's delay never ends by itself: enter half opens the circuit.
	return &breaker{circuit: circuitbreaker.NewBuilder[bool]().
		WithFailureThreshold(breakAfter).WithSuccessThreshold(1).WithDelay(1000 * time.Hour).Build()}
}

// wait is how long the vendor is to be left alone, 0 for not at all.
func (b *breaker) wait(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left(now)
}

func (b *breaker) left(now time.Time) time.Duration {
	switch {
	case b.circuit.IsClosed():
		return 0
	case b.probing:
		return spacing
	}
	left := b.until.Sub(now)
	if left > breakForMost { // the clock was set back
		left = 0
	}
	return max(left, 0)
}

// enter lets a request through, which leave must follow, or says how long to wait.
func (b *breaker) enter(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left := b.left(now); left > 0 {
		return left
	}
	if !b.circuit.IsClosed() {
		b.circuit.HalfOpen()
		b.probing = true
	}
	return 0
}

func (b *breaker) leave(now time.Time, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if !failed {
		b.circuit.RecordSuccess()
		b.opened = 0
		return
	}
	was := b.circuit.State()
	b.circuit.RecordFailure()
	if b.circuit.IsOpen() && was != circuitbreaker.OpenState {
		b.until = now.Add(min(breakFor<<min(b.opened, 5), breakForMost))
		b.opened++
	}
}

// nextTry is what people see of when a grant is tried again, and why not now.
func (v *Vault) nextTry(g GrantRow) (next time.Time, code string) {
	next, code = FromMillis(g.NextTry), g.LastError
	now := v.cfg.Now()
	wait := v.breakers.of(g.Connection).wait(now)
	if wait == 0 || g.State != string(GrantActive) {
		return next, code
	}
	if until := now.Add(wait).UTC(); until.After(next) {
		next = until
	}
	return next, cmp.Or(code, "connection_down")
}

// complain says whether the operator should hear of a connection again.
func (b *breaker) complain(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if age := now.Sub(b.complained); age >= 0 && age < complainEvery {
		return false
	}
	b.complained = now
	return true
}

// trips says whether a failure is one of the vendor's reach or health, and not of the grant or the registration.
func trips(err error) bool {
	var te *provider.TokenError
	if !errors.As(err, &te) {
		return err != nil
	}
	return te.Class == provider.Ambiguous || te.Class == provider.Clean && te.Code == ""
}
