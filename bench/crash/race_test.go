package crash_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/bench/fleet"
	"github.com/grantry/grantry/vault/storetest"
)

const processes = 4

// rounds is how often each race is run: GRANTRY_CRASH_ROUNDS, or 3.
func rounds(t *testing.T) int {
	t.Helper()
	return setting(t, "GRANTRY_CRASH_ROUNDS", 3)
}

// setting is a number from 1 on in the environment, or unset.
func setting(t *testing.T, name string, unset int) int {
	t.Helper()
	set := os.Getenv(name)
	if set == "" {
		return unset
	}
	n, err := strconv.Atoi(set)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q; it must be a number from 1 on", name, set)
	}
	return n
}

// race is several processes whose callers all want the token of one expired grant.
type race struct {
	*world
	all     []*fleet.Process
	callers int // of each process: GRANTRY_CRASH_CALLERS, or 100
}

func newRace(t *testing.T, store string, cfg fleet.VendorConfig) *race {
	t.Helper()
	r := &race{world: newWorld(t, store, cfg), callers: setting(t, "GRANTRY_CRASH_CALLERS", 100)}
	for range processes {
		r.all = append(r.all, r.start(fleet.Job{}))
	}
	return r
}

// served is what one caller got.
type served struct {
	fleet.Result
	err error
}

// run has all callers of all processes exchange at once, with meanwhile beside them.
func (r *race) run(user int, meanwhile func()) []served {
	r.t.Helper()
	var mu sync.Mutex
	var out []served
	var wg sync.WaitGroup
	for _, p := range r.all {
		for range r.callers {
			wg.Go(func() {
				var s served
				s.Result, s.err = p.Do(r.t.Context(), fleet.Task{Do: fleet.DoExchange, User: user})
				mu.Lock()
				defer mu.Unlock()
				out = append(out, s)
			})
		}
	}
	if meanwhile != nil {
		meanwhile()
	}
	wg.Wait()
	return out
}

// oneToken fails unless all who were served have the token of one refresh of one generation.
func (r *race) oneToken(out []served) (ok int) {
	r.t.Helper()
	serials := map[int64]map[int]bool{}
	for _, s := range out {
		if s.err != nil || !s.OK {
			continue
		}
		ok++
		if serials[s.Gen] == nil {
			serials[s.Gen] = map[int]bool{}
		}
		if s.Serial != 0 { // 0 says the same as before
			serials[s.Gen][s.Serial] = true
		}
	}
	for gen, tokens := range serials {
		if len(tokens) > 1 {
			r.t.Errorf("generation %d has %d tokens", gen, len(tokens))
		}
	}
	if len(serials) > 1 {
		r.t.Errorf("one refresh gave %d generations", len(serials))
	}
	return ok
}

// expire connects a person anew, and makes what they have run out everywhere.
func (r *race) expire(user int) {
	r.t.Helper()
	r.must(r.all[0], fleet.Task{Do: fleet.DoConnect, User: user})
	for _, p := range r.all {
		r.must(p, fleet.Task{Do: fleet.DoAhead, By: later})
	}
}

// G1: four processes with a hundred callers each want one expired grant of a
// vendor that takes a refresh token once. It is sent once, and all are served.
func TestRace(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(t *testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow := func(string) fleet.Act { return fleet.Act{After: func(string) { time.Sleep(50 * time.Millisecond) }} }
			r := newRace(t, store(t), fleet.VendorConfig{Policy: strict, Act: slow})
			for user := range rounds(t) {
				r.expire(user)
				r.allServed(user, r.run(user, nil))
			}
		})
	}
}

func strict(string) fleet.Policy { return fleet.Policy{Family: true} }

// allServed fails unless all callers have the token of the one refresh.
func (r *race) allServed(user int, out []served) {
	r.t.Helper()
	if n := r.oneToken(out); n != processes*r.callers {
		r.t.Errorf("%d of %d callers were served; the first that was not got %+v", n, processes*r.callers, unserved(out))
	}
	if truth := r.vendor.Truth(fleet.Subject(user)); truth != (fleet.Truth{Refreshes: 1, Spent: 1, MostSends: 1}) {
		r.t.Errorf("the vendor saw %+v, want one send", truth)
	}
}

func unserved(out []served) served {
	for _, s := range out {
		if s.err != nil || !s.OK {
			return s
		}
	}
	return served{}
}

// G2: the process that refreshes is killed once the vendor has its request, before
// the vendor acts. The others take over, and all of their callers are served.
func TestRaceWithAKill(t *testing.T) {
	t.Parallel()
	for user := range rounds(t) {
		r := newRace(t, "", fleet.VendorConfig{Policy: strict})
		r.expire(user)
		victim := make(chan string, 1)
		r.vendor.Plan(fleet.Subject(user), fleet.Act{Ignore: true, Before: func(worker string) {
			r.Process(worker).Kill()
			victim <- worker
		}})
		out := r.run(user, nil)
		if n := r.oneToken(out); n < (processes-1)*r.callers {
			t.Errorf("%d callers were served; the first that was not got %+v", n, unserved(out))
		}
		if truth := r.vendor.Truth(fleet.Subject(user)); len(victim) != 1 || truth.Refreshes != 1 || truth.MostSends != 2 {
			t.Errorf("%d were killed, and the vendor saw %+v", len(victim), truth)
		}
	}
}

// G2: one of the processes is killed at any moment. Where the vendor takes a spent
// token once more all others are served; where it does not, they are either all
// served, or the vendor's books explain why none is.
func TestRaceWithARandomKill(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]fleet.Policy{"no grace": {Family: true}, "30 min": {Grace: 30 * time.Minute, Family: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for user := range rounds(t) {
				r := newRace(t, "", fleet.VendorConfig{
					Policy: func(string) fleet.Policy { return policy },
					Act:    func(string) fleet.Act { return fleet.Act{After: func(string) { time.Sleep(20 * time.Millisecond) }} },
				})
				r.expire(user)
				r.survivors(user, policy, r.run(user, func() {
					time.Sleep(rand.N(60 * time.Millisecond))
					r.all[rand.IntN(processes)].Kill()
				}))
			}
		})
	}
}

func (r *race) survivors(user int, policy fleet.Policy, out []served) {
	r.t.Helper()
	ok, gone := r.oneToken(out), 0
	for _, s := range out {
		if s.err != nil {
			gone++
		}
	}
	truth := r.vendor.Truth(fleet.Subject(user))
	if truth.MostSends > mostSends {
		r.t.Errorf("one refresh token was sent %d times", truth.MostSends)
	}
	if ok+gone == len(out) && gone <= r.callers {
		return
	}
	verdict := r.vendor.Explain(fleet.Subject(user))
	switch {
	case verdict.Cause != fleet.ByKill:
		r.t.Errorf("%d served, %d gone; the first of the others got %+v, without need: %+v", ok, gone, unserved(out), verdict)
	case ok > 0:
		r.t.Errorf("%d were served from a grant that others were told is lost (%s)", ok, verdict.Detail)
	case policy.Grace > 0:
		r.t.Errorf("lost in spite of the grace: %s", verdict.Detail)
	}
}
