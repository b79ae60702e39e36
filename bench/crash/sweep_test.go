package crash_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/grantry/grantry/bench/fleet"
	"github.com/grantry/grantry/vault"
)

const (
	pause     = 33 * time.Second // the longest spacing of two tries
	later     = 2 * time.Hour    // more than the life of a token
	mostSends = 3                // of one refresh token
)

// point is where a process dies, and how it gets there.
type point struct {
	step   string        // of vault's refresh, "" = somebody else kills it
	acts   []fleet.Act   // of the vendor, until then
	prep   []fleet.Doing // before the exchange
	acted  bool          // the vendor has spent the token, and its answer is kept nowhere
	dead   bool          // the grant was revoked at the vendor before
	paused bool          // the row says that the next send comes after a pause, whoever dies
	openID bool          // the answer has an id_token to be checked
	less   bool          // the refresh is for a token of fewer scopes
}

// points are all steps at which a process can die.
func points() map[string]point {
	cut := []fleet.Act{{Answer: fleet.Cut}}
	return map[string]point{
		"before the claim":                  {step: "before_claim"},
		"after the claim":                   {step: "after_claim"},
		"after the answer":                  {step: "after_answer", acted: true},
		"after a cut answer":                {step: "after_answer", acts: cut, acted: true},
		"after a refusal":                   {step: "after_answer", dead: true},
		"before a refusal is noted":         {step: "before_refused", dead: true},
		"after a refusal is noted":          {step: "after_refused", dead: true},
		"before a cut answer is noted":      {step: "before_refused", acts: cut, acted: true},
		"after a cut answer is noted":       {step: "after_refused", acts: cut, acted: true},
		"before the second send":            {step: "before_resend", acts: cut, acted: true},
		"after it is put aside":             {step: "after_journal", prep: []fleet.Doing{fleet.DoBreak}},
		"after the save":                    {step: "after_save"},
		"before it is verified":             {step: "before_verify", openID: true},
		"after it is verified":              {step: "after_verify", openID: true},
		"after the save, to be verified":    {step: "after_save", openID: true},
		"after the release":                 {step: "after_release"},
		"after the answer with an identity": {step: "after_answer", openID: true, acted: true},
	}
}

// Every step at which a test build can die is in the table.
func TestSweepIsComplete(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "vault", "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("vault has %d files, %v", len(files), err)
	}
	swept := map[string]bool{}
	for _, p := range points() {
		swept[p.step] = true
	}
	found := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bhit\("([a-z_]+)"\)`).FindAllSubmatch(text, -1) {
			found++
			if !swept[string(m[1])] {
				t.Errorf("%s can die at %s, and the sweep does not", name, m[1])
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d steps found: the search is broken", found)
	}
}

// graces are how long vendors take a spent refresh token once more.
func graces() map[string]fleet.Policy {
	return map[string]fleet.Policy{
		"no grace":             {},
		"no grace, one family": {Family: true},
		"5 s":                  {Grace: 5 * time.Second, Family: true},
		"30 min":               {Grace: 30 * time.Minute, Family: true},
	}
}

// G2: SIGKILL at every step of a refresh, at vendors of every kind. After a restart
// the grant works, or it is lost where the vendor's books say that it had to be.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for name, p := range points() {
		for grace, policy := range graces() {
			t.Run(name+"/"+grace, func(t *testing.T) {
				t.Parallel()
				killedAt(t, p, policy)
			})
		}
	}
}

// A refresh for a token of fewer scopes is a refresh like any other: what it spends is accounted for at every step.
func TestKilledWhileNarrowing(t *testing.T) {
	t.Parallel()
	for name, p := range points() {
		p.less = true
		for _, grace := range []string{"no grace", "30 min"} {
			t.Run(name+"/"+grace, func(t *testing.T) {
				t.Parallel()
				killedAt(t, p, graces()[grace])
			})
		}
	}
}

func killedAt(t *testing.T, p point, policy fleet.Policy) {
	w := newWorld(t, "", fleet.VendorConfig{OpenID: p.openID, Policy: func(string) fleet.Policy { return policy }})
	mark := filepath.Join(t.TempDir(), "mark")
	w.refreshUntilDeath(p, "GRANTRY_FAILPOINT="+p.step, "GRANTRY_FAILPOINT_MARK="+mark)
	if got, err := os.ReadFile(mark); err != nil || string(got) != p.step {
		t.Fatalf("the step %s was not reached: %q, %v", p.step, got, err)
	}
	w.afterwards(p, policy)
}

// refreshUntilDeath connects an account and has it refreshed by a process that does not survive it.
func (w *world) refreshUntilDeath(p point, env ...string) {
	w.t.Helper()
	child := w.start(fleet.Job{}, env...)
	w.must(child, fleet.Task{Do: fleet.DoConnect})
	w.must(child, fleet.Task{Do: fleet.DoAhead, By: later})
	for _, d := range p.prep {
		w.must(child, fleet.Task{Do: d})
	}
	w.vendor.Plan(fleet.Subject(0), p.acts...)
	if p.dead {
		w.vendor.Revoke(fleet.Subject(0))
	}
	r, err := child.Do(w.t.Context(), fleet.Task{Do: fleet.DoExchange, Less: p.less})
	for i := 0; err == nil && !r.Final() && i < 3; i++ { // its step may come with a later try
		w.wait(child, r.After)
		r, err = child.Do(w.t.Context(), fleet.Task{Do: fleet.DoExchange, Less: p.less})
	}
	if !errors.Is(err, fleet.ErrGone) {
		w.t.Fatalf("the process lived: %+v, %v", r, err)
	}
	<-child.Done()
}

// afterwards restarts, and compares what the vault says with what the vendor knows.
func (w *world) afterwards(p point, policy fleet.Policy) {
	w.t.Helper()
	child := w.start(fleet.Job{Ahead: later})
	r := w.settle(w.t.Context(), child, fleet.Task{Do: fleet.DoExchange, Less: p.less})
	truth := w.vendor.Truth(fleet.Subject(0))
	if truth.MostSends > mostSends {
		w.t.Errorf("one refresh token was sent %d times", truth.MostSends)
	}
	mayLose := p.dead || p.acted && policy.Grace == 0 || p.paused && policy.Grace < pause
	if r.OK {
		w.works(p, child, r, truth)
		return
	}
	verdict := w.vendor.Explain(fleet.Subject(0))
	switch {
	case r.Reason != string(vault.Revoked) && r.Reason != string(vault.Expired):
		w.t.Errorf("the vault says %+v", r)
	case verdict.Cause == "":
		w.t.Errorf("lost without need: %s", verdict.Detail)
	case !mayLose:
		w.t.Errorf("lost, and explained (%+v), where nothing may be lost", verdict)
	}
	before := truth.Refreshes
	if again := w.settle(w.t.Context(), child, fleet.Task{Do: fleet.DoExchange, Less: p.less}); again.Reason != r.Reason {
		w.t.Errorf("the vault says %s, and then %s", r.Reason, again.Reason)
	}
	if after := w.vendor.Truth(fleet.Subject(0)); after.Refreshes != before || after.MostSends != truth.MostSends {
		w.t.Errorf("a lost grant was sent on: %+v, then %+v", truth, after)
	}
}

// works proves that not only the access token lives but its refresh token, too.
func (w *world) works(p point, child *fleet.Process, r fleet.Result, truth fleet.Truth) {
	w.t.Helper()
	if r.Serial == 0 || truth.Spent == 0 {
		w.t.Errorf("a token that was not refreshed: %+v, %+v", r, truth)
	}
	w.must(child, fleet.Task{Do: fleet.DoAhead, By: later})
	next := w.must(child, fleet.Task{Do: fleet.DoExchange, Less: p.less})
	if after := w.vendor.Truth(fleet.Subject(0)); next.Gen <= r.Gen || after.Spent != truth.Spent+1 {
		w.t.Errorf("the next refresh: generation %d after %d, %+v after %+v", next.Gen, r.Gen, after, truth)
	}
	if err := child.Close(); err != nil {
		w.t.Error(err)
	}
}

// The vendor kills: before it has acted nothing is lost; after it has acted and
// not answered the token is lost only where it takes no spent one.
func TestKilledByTheVendor(t *testing.T) {
	t.Parallel()
	for grace, policy := range graces() {
		for name, before := range map[string]bool{"before it acts": true, "after it acted": false} {
			t.Run(name+"/"+grace, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, "", fleet.VendorConfig{Policy: func(string) fleet.Policy { return policy }})
				kill := func(worker string) { w.Process(worker).Kill() }
				p := point{acts: []fleet.Act{{Before: kill, Ignore: true}}}
				if !before {
					p = point{acts: []fleet.Act{{After: kill, Answer: fleet.None}}, acted: true}
				}
				w.refreshUntilDeath(p)
				w.afterwards(p, policy)
			})
		}
	}
}

// A vendor's grace is over when the process is started again: lost, and explained.
func TestRestartedAfterTheGrace(t *testing.T) {
	t.Parallel()
	policy := fleet.Policy{Grace: 5 * time.Second, Family: true}
	w := newWorld(t, "", fleet.VendorConfig{Policy: func(string) fleet.Policy { return policy }})
	p := point{acts: []fleet.Act{{After: func(worker string) { w.Process(worker).Kill() }}}, acted: true}
	w.refreshUntilDeath(p)
	w.vendor.Advance(6 * time.Second)
	w.afterwards(p, fleet.Policy{})
	if v := w.vendor.Explain(fleet.Subject(0)); v.Cause != fleet.ByKill {
		t.Errorf("the vendor explains it by %+v", v)
	}
}
