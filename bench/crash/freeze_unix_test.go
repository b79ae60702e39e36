//go:build unix

package crash_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/grantry/grantry/bench/fleet"
)

// G1 with processes that stop at random for a moment, as on a machine that is
// out of breath: still one send, and all are served.
func TestRaceWithFreezes(t *testing.T) {
	t.Parallel()
	slow := func(string) fleet.Act { return fleet.Act{After: func(string) { time.Sleep(50 * time.Millisecond) }} }
	r := newRace(t, "", fleet.VendorConfig{Policy: strict, Act: slow})
	for user := range rounds(t) {
		r.expire(user)
		r.allServed(user, r.run(user, func() {
			for range 6 {
				p := r.all[rand.IntN(processes)]
				if err := p.Freeze(); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
				if err := p.Thaw(); err != nil {
					t.Error(err)
				}
			}
		}))
	}
}

// G12: the process that refreshes is frozen for longer than its lease, once the
// vendor has accepted the token. Another takes over and sends it once more; when
// the first one wakes up it stores what it has, and the grant works.
func TestFrozenBeyondTheLease(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]fleet.Policy{"no grace": {}, "30 min": {Grace: 30 * time.Minute, Family: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRace(t, "", fleet.VendorConfig{Policy: func(string) fleet.Policy { return policy }})
			r.expire(0)
			frozen := make(chan string, 1)
			r.vendor.Plan(fleet.Subject(0), fleet.Act{After: func(worker string) {
				if err := r.Process(worker).Freeze(); err != nil {
					t.Error(err)
				}
				frozen <- worker
			}})
			first, other := r.all[0], r.all[1]
			done := make(chan served, 1)
			go func() {
				var s served
				s.Result, s.err = first.Do(t.Context(), fleet.Task{Do: fleet.DoExchange})
				done <- s
			}()
			select {
			case <-frozen:
			case s := <-done:
				t.Fatalf("it was not frozen: %+v", s)
			}
			r.must(other, fleet.Task{Do: fleet.DoAhead, By: pause})
			taken, err := other.Do(t.Context(), fleet.Task{Do: fleet.DoExchange})
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Thaw(); err != nil {
				t.Fatal(err)
			}
			woken := <-done
			r.judgeFreeze(policy, taken, woken)
		})
	}
}

func (r *race) judgeFreeze(policy fleet.Policy, taken fleet.Result, woken served) {
	r.t.Helper()
	if policy.Grace > 0 && !taken.OK {
		r.t.Errorf("who took over got %+v", taken)
	}
	if woken.err != nil || !woken.OK {
		r.t.Errorf("who was frozen got %+v", woken)
	}
	for i, p := range r.all {
		if got := r.settle(r.t.Context(), p, fleet.Task{Do: fleet.DoExchange}); !got.OK {
			r.t.Errorf("then process %d got %+v", i, got)
		}
	}
	if truth := r.vendor.Truth(fleet.Subject(0)); truth.MostSends != 2 {
		r.t.Errorf("the vendor saw %s", fmt.Sprintf("%+v, want one send more", truth))
	}
	r.must(r.all[2], fleet.Task{Do: fleet.DoAhead, By: later})
	r.must(r.all[2], fleet.Task{Do: fleet.DoExchange})
}
