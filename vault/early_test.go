package vault_test

import (
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// settled closes the vault, which waits for what goes on behind its back.
func (b *bench) settled(v *vault.Vault) {
	b.t.Helper()
	if err := v.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// Past four fifths of a token's life a call still gets it, and its successor is
// fetched behind its back, once for all processes; before three quarters nothing happens.
func TestEarlyRefresh(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	before := b.vendor.requests()
	first, second, third := b.Vault, b.open("p2"), b.open("p3")
	b.clock.add(44 * time.Minute)
	if tok := b.token(request(alice, agent)); tok.Generation != 1 {
		t.Errorf("generation %d", tok.Generation)
	}
	b.settled(first)
	if n := b.vendor.requests() - before; n != 0 {
		t.Fatalf("%d refreshes before their time", n)
	}
	b.vendor.set(func(v *vendor) { v.delay = 100 * time.Millisecond })
	b.clock.add(8 * time.Minute)
	var wg sync.WaitGroup
	for range 20 {
		for _, v := range []*vault.Vault{second, third} {
			wg.Go(func() {
				start := time.Now()
				tok, err := v.Exchange(t.Context(), request(alice, agent))
				if err != nil {
					t.Error(err)
				} else if tok.Generation == 1 && time.Since(start) > 10*time.Second {
					t.Error("a call waited for an early refresh")
				}
			})
		}
	}
	wg.Wait()
	b.settled(second)
	b.settled(third)
	if n := b.vendor.requests() - before; n != 1 || b.row(acc.ID).Gen != 2 {
		t.Errorf("%d refreshes, generation %d", n, b.row(acc.ID).Gen)
	}
}

// An early refresh that fails costs nobody anything, and is not tried again before its time.
func TestEarlyRefreshFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.clock.add(52 * time.Minute)
	b.vendor.set(func(v *vendor) { v.status, v.retry = 503, "60" })
	before := b.vendor.requests()
	for range 5 {
		if tok := b.token(request(alice, agent)); tok.Generation != 1 {
			t.Errorf("generation %d", tok.Generation)
		}
		for end := time.Now().Add(5 * time.Second); b.row(acc.ID).FailCount == 0 && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		b.clock.add(5 * time.Second)
	}
	if n := b.vendor.requests() - before; n != 1 {
		t.Errorf("%d tries", n)
	}
	b.clock.add(time.Minute)
	b.token(request(alice, agent))
	b.settled(b.Vault)
	if n := b.vendor.requests() - before; n != 2 {
		t.Errorf("%d tries after the pause", n)
	}
}

// Grants that were connected at the same moment fall due at different ones, each at the same in every process.
func TestEarlyRefreshIsSpread(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const people = 12
	for i := range people {
		name := string(rune('a' + i))
		b.vendor.set(func(v *vendor) { v.account, v.email = name, name+"@example.com" })
		b.connect(somebody(name), agent)
	}
	b.vendor.set(func(v *vendor) { v.status, v.retry = 503, "3000" }) // so that each is tried once
	seen := map[int]bool{}
	last := 0
	for minute := 44; minute <= 52; minute++ {
		v := b.open("p" + string(rune('0'+minute-40)))
		for i := range people {
			if _, err := v.Exchange(t.Context(), request(somebody(string(rune('a'+i))), agent)); err != nil {
				t.Fatal(err)
			}
		}
		b.settled(v)
		if n := b.vendor.requests(); n != last {
			seen[minute] = true
			last = n
		}
		if minute == 44 {
			b.clock.add(44 * time.Minute)
			seen = map[int]bool{}
		}
		b.clock.add(time.Minute)
	}
	if len(seen) < 3 {
		t.Errorf("they were tried in the minutes %v", seen)
	}
}

func somebody(name string) vault.Person {
	return vault.Person{Caller: vault.Caller{Issuer: "https://idp.example", Subject: name}, Email: name + "@example.com", EmailVerified: true}
}

// Where a refresh kills the token at hand, a call is not given one that dies under it.
func TestNoEarlyRefreshWhereItKills(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *vault.Config) { c.Connections[0].Provider().Refresh.KillsAccess = true })
	b.connect(alice, agent)
	before := b.vendor.requests()
	b.clock.add(55 * time.Minute)
	b.token(request(alice, agent))
	b.settled(b.Vault)
	if n := b.vendor.requests() - before; n != 0 {
		t.Errorf("%d refreshes", n)
	}
}
