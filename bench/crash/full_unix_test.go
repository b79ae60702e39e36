//go:build unix

package crash_test

import (
	"testing"
	"time"

	"github.com/grantry/grantry/bench/fleet"
	"github.com/grantry/grantry/vault"
)

// G4: a disk that is full before anything is sent: nothing is, and with room again all is as before.
func TestFullBeforeTheSend(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", fleet.VendorConfig{Policy: strict})
	child := w.expired()
	w.must(child, fleet.Task{Do: fleet.DoFill})
	w.degraded(child)
	if truth := w.vendor.Truth(fleet.Subject(0)); truth.Refreshes != 0 {
		t.Errorf("with a full disk the vendor was asked: %+v", truth)
	}
	w.must(child, fleet.Task{Do: fleet.DoFree})
	w.works(point{}, child, w.settle(t.Context(), child, fleet.Task{Do: fleet.DoExchange}), w.vendor.Truth(fleet.Subject(0)))
}

// G4: a disk that fills up between the vendor's answer and its commit. The tokens are stored
// once there is room, or by the next process after SIGKILL: nothing is lost, and nothing is sent twice.
func TestFullAfterTheAnswer(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(w *world, child *fleet.Process) *fleet.Process{
		"room again": func(w *world, child *fleet.Process) *fleet.Process {
			w.must(child, fleet.Task{Do: fleet.DoFree})
			return child
		},
		"killed": func(w *world, child *fleet.Process) *fleet.Process {
			child.Kill()
			return w.start(fleet.Job{Ahead: later})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "", fleet.VendorConfig{Policy: strict})
			child := w.expired()
			w.vendor.Plan(fleet.Subject(0), fleet.Act{After: func(string) { w.must(child, fleet.Task{Do: fleet.DoFill}) }})
			w.degraded(child)
			child = next(w, child)
			r := w.stored(child)
			truth := w.vendor.Truth(fleet.Subject(0))
			if truth.Spent != 1 || truth.MostSends != 1 {
				t.Errorf("the vendor's books say %+v", truth)
			}
			w.works(point{}, child, r, truth)
		})
	}
}

// expired is a process with an account whose token is over.
func (w *world) expired() *fleet.Process {
	w.t.Helper()
	child := w.start(fleet.Job{})
	w.must(child, fleet.Task{Do: fleet.DoConnect})
	w.must(child, fleet.Task{Do: fleet.DoAhead, By: later})
	return child
}

// degraded wants an exchange to say that the vault cannot keep what it would get.
func (w *world) degraded(child *fleet.Process) {
	w.t.Helper()
	r, err := child.Do(w.t.Context(), fleet.Task{Do: fleet.DoExchange})
	if err != nil || r.Reason != string(vault.VaultDegraded) {
		w.t.Fatalf("with a full disk: %+v, %v", r, err)
	}
}

// stored exchanges until what was put aside is stored: the vault tries every few seconds.
func (w *world) stored(child *fleet.Process) fleet.Result {
	w.t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		r, err := child.Do(w.t.Context(), fleet.Task{Do: fleet.DoExchange})
		if err == nil && r.OK {
			return r
		}
		if err != nil || r.Reason != string(vault.VaultDegraded) || time.Now().After(until) {
			w.t.Fatalf("with room again: %+v, %v", r, err)
		}
	}
}
