package vault_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// processBody is what an entry of a process says beside the public keys.
type processBody struct {
	Version, Reason string
	Heads           []struct {
		Stream      string
		Seq, Synced int64
	}
}

func processBodies(t *testing.T, rows []vault.AuditRow, kind string) (out []processBody) {
	t.Helper()
	for _, r := range rows {
		if r.Kind != kind {
			continue
		}
		var b processBody
		if err := json.Unmarshal(r.Body, &b); err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// Starts and stops are entries. A process that did not stop itself is told at
// the next start, with what is known to have been synced: a crash is no cut.
func TestStartAndStop(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dead := map[string]bool{}
	as := func(id string, a vault.Anchor) *vault.Vault {
		return b.open(id, func(c *vault.Config) {
			c.Version, c.Anchor, c.OwnerDead = "v9", a, func(id string) bool { return dead[id] }
		})
	}
	if err := as("looks", nil).Close(); err != nil || len(b.allRows()["main"]) > 0 {
		t.Fatalf("what did not run has left %v, %v", b.allRows(), err)
	}
	p1 := as("p1", nil)
	stop := running(t, p1)
	b.entries(p1, 3)
	stop()
	if err := p1.Close(); err != nil {
		t.Fatal(err)
	}
	a := &shelf{}
	p2 := as("p2", a)
	running(t, p2)
	until(t, "it is anchored", func() bool { return len(a.all()) == 1 })
	b.entries(p2, 2) // never closed
	dead["p2"] = true
	p3 := as("p3", nil)
	running(t, p3)
	rows := b.allRows()["main"]
	starts, stops := processBodies(t, rows, "process.started"), processBodies(t, rows, "process.stopped")
	if len(starts) != 3 || len(stops) != 1 || starts[0].Version != "v9" {
		t.Fatalf("%d starts, %d stops", len(starts), len(stops))
	}
	if starts[1].Reason != "" || starts[1].Heads[0].Seq != 5 || starts[1].Heads[0].Synced != 0 {
		t.Errorf("after a clean stop: %+v", starts[1])
	}
	synced := starts[2].Heads[0].Synced // the anchored head at least: what came after it may be synced or not
	if starts[2].Reason != "unclean_stop" || starts[2].Heads[0].Seq != 8 || synced < 6 || synced > 8 {
		t.Errorf("after an unclean stop: %+v", starts[2])
	}
	r, err := b.CheckAudit(t.Context(), vault.AuditCheck{})
	if err != nil || !slices.Equal(r.Crashes, []vault.Crash{{Stream: "main", Head: 8, Synced: synced}}) {
		t.Errorf("report %+v, %v", r, err)
	}
	p4 := as("p4", nil)
	running(t, p4)
	if last := kinds(t, b.Vault, "process.started"); last[3].Reason != "" {
		t.Error("the same unclean stop was told twice")
	}
}

// On a server every process has a chain of its own, a gone one's is taken
// again, and once an hour each notes where the others are, if they have moved.
func TestStreamsOfAServer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := func(c *vault.Config) { c.Store = onServer{c.Store, b.clock} }
	b.living("p1", vault.Stream)
	p1, p2 := b.open("p1", server), b.open("p2", server)
	running(t, p1)
	kill := running(t, p2)
	until(t, "both have begun", func() bool { return len(b.allRows()) == 2 })
	noted := func() int { return len(kinds(t, b.Vault, "chain.heads")) }
	b.clock.add(time.Hour)
	until(t, "both have noted", func() bool { return noted() >= 2 })
	kill()
	b.clock.add(24 * time.Hour)
	b.living("p1", vault.Stream)
	p3 := b.open("p3", server)
	running(t, p3)
	if rows := b.allRows(); len(rows) != 2 {
		t.Errorf("%d streams", len(rows))
	}
	if _, err := b.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

// Two processes that write one stream at once, as they may, write one chain.
func TestTwoProcessesOnOneStream(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := b.open("p2")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			if err := other.Audit(t.Context(), vault.Entry{Kind: "request_state.refused"}); err != nil {
				t.Error(err)
			}
		}
	}()
	b.entries(b.Vault, 100)
	<-done
	if n, err := b.VerifyAudit(t.Context()); n != 200 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
}
