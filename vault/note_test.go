package vault_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// kinds are the entries of one kind, as they are read.
func (b *bench) kinds(kind string) (out []vault.AuditEntry) {
	b.t.Helper()
	for e, err := range b.AuditLog(b.t.Context(), vault.AuditQuery{Kind: kind}) {
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// An agent that asks again and again for what it cannot have writes an entry a minute, and none of its refusals is lost.
func TestALoopingAgentWritesAnEntryAMinute(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 100 {
		b.lack(request(alice, agent))
		b.clock.add(time.Second)
	}
	b.lack(request(bob, agent))
	var sum int64
	got := b.kinds("token.refused")
	for _, e := range got {
		if e.Result != "refused" || e.Reason != "not_connected" || e.Connection != "files" || e.Tool != "files_list" || e.Agent != agent.ID || e.Detail.Call != "call-1" {
			t.Errorf("entry %+v", e)
		}
		sum += max(e.Detail.Count, 1)
	}
	if len(got) != 3 || got[2].User != b.Pseudonym(bob.Caller) {
		t.Fatalf("%d entries: %+v", len(got), got)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got = b.kinds("token.refused"); len(got) != 4 || sum+got[3].Detail.Count != 101 {
		t.Errorf("after the end %d entries, %d refusals and then %+v", len(got), sum, got[len(got)-1])
	}
}

// However many there are to tell apart, what is written in a minute is bounded.
func TestNotesAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 2000 {
		e := vault.Entry{Kind: "auth.refused", Agent: vault.Agent{ID: fmt.Sprint("agent ", i)}, Result: "refused", Reason: "signature"}
		if err := b.Note(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	var sum int64
	got := b.kinds("auth.refused")
	for _, e := range got {
		sum += max(e.Detail.Count, 1)
	}
	if len(got) > 510 || sum != 2000 {
		t.Errorf("%d entries of %d refusals", len(got), sum)
	}
}

// What was counted while the store took no entries is written when it does again.
func TestNotesOutliveAFullDisk(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	disk := &fullNow{}
	disk.full.Store(true)
	v := b.open("p2", func(c *vault.Config) { disk.Store, c.Store = c.Store, disk })
	refused := vault.Entry{Kind: "auth.refused", Result: "refused", Reason: "signature"}
	if err := v.Note(t.Context(), refused); err == nil {
		t.Error("no error from a store that takes no entry")
	}
	if err := v.Note(t.Context(), refused); err != nil {
		t.Errorf("the store was asked again at once: %v", err)
	}
	disk.full.Store(false)
	b.clock.add(time.Minute)
	if err := v.Note(t.Context(), refused); err != nil {
		t.Error(err)
	}
	if got := b.kinds("auth.refused"); len(got) != 1 || got[0].Detail.Count != 3 {
		t.Errorf("entries %+v", got)
	}
}

// fullNow is a store that takes no entries while full is set.
type fullNow struct {
	vault.Store
	full atomic.Bool
}

func (s *fullNow) Append(ctx context.Context, fn func(vault.Tx) error) error {
	if s.full.Load() {
		return auditless{s.Store}.Append(ctx, fn)
	}
	return s.Store.Append(ctx, fn)
}

// A ticket that nobody answers is an entry, whether the sweep finds it or the next call; one that was answered is none.
func TestTicketsThatRunOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, vault.Agent{ID: "another"})
	b.ticket(alice, agent, b.lack(request(alice, agent)))
	b.clock.add(24*time.Hour + time.Minute)
	b.ticket(alice, agent, b.lack(request(alice, agent))) // in the place of the first
	if n := len(b.kinds("ticket.expired")); n != 1 {
		t.Errorf("%d entries after the second ticket", n)
	}
	b.clock.add(25 * time.Hour)
	for range 2 {
		if _, err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := b.kinds("ticket.expired")
	if len(got) != 2 || got[1].User != b.Pseudonym(alice.Caller) || got[1].Connection != "files" || got[1].Agent != agent.ID {
		t.Errorf("entries %+v", got)
	}
}

// A visit to the vendor that began at the last moment keeps its ticket open.
func TestATicketAtTheLastMoment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ticket := b.ticket(alice, agent, b.lack(request(alice, agent)))
	b.clock.add(24*time.Hour - time.Second)
	b.allow(ticket, alice)
	b.clock.add(9 * time.Minute)
	b.allow(ticket, alice)
	b.clock.add(2 * time.Minute) // the ticket's time and the first visit's are over
	sweep := func() int {
		if _, err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(b.kinds("ticket.expired"))
	}
	if n := sweep(); n != 0 {
		t.Errorf("%d entries while the person is at the vendor's", n)
	}
	b.clock.add(9 * time.Minute)
	if n := sweep(); n != 1 {
		t.Errorf("%d entries afterwards", n)
	}
}

// A no in the client's dialog and what it leads to are in the audit.
func TestDismissals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	lack := b.lack(request(alice, agent))
	for _, closed := range []bool{true, false} {
		if err := b.BackOff(t.Context(), alice.Caller, agent, "files", closed); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if _, _, err := b.OpenTicket(t.Context(), vault.TicketRequest{Owner: alice, Agent: agent, Need: lack}); err == nil {
			t.Error("a ticket after a no")
		}
	}
	got := append(b.kinds("ticket.dismissed"), b.kinds("ticket.refused")...)
	if len(got) != 3 || got[0].Reason != "closed" || got[1].Reason != "declined" || got[2].Reason != "declined_lately" || got[2].Connection != "files" {
		t.Errorf("entries %+v", got)
	}
}

// A start with another configuration is an entry, which shows none of it.
func TestConfigChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, settings := range []string{"listen=canary-1", "listen=canary-1", "listen=canary-2"} {
		v := b.open(fmt.Sprint("c", i), func(c *vault.Config) { c.Settings = settings })
		running(t, v)
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got := b.kinds("config.changed")
	if len(got) != 2 || got[0].Detail.Was != "" || got[0].Detail.Hash == "" || got[1].Detail.Was != got[0].Detail.Hash || got[1].Detail.Hash == got[0].Detail.Hash {
		t.Errorf("entries %+v", got)
	}
	for _, row := range b.allRows()["main"] {
		if strings.Contains(string(row.Body), "canary") {
			t.Errorf("entry shows the configuration: %s", row.Body)
		}
	}
}

// TestToolChanges is R83: what agents are told of a tool does not change behind anybody's back.
func TestToolChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, offer := range []map[string]string{
		{"a": "1", "b": "1"},
		{"a": "1", "b": "1"},
		{"a": "2"}, // a process without b
		{"a": "2", "b": "1", "c": "1"},
	} {
		if err := b.ToolsOffered(t.Context(), offer); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.kinds("tools.listed"); len(got) != 1 || got[0].Detail.Count != 2 || got[0].Detail.Hash == "" {
		t.Errorf("first: %+v", got)
	}
	got := b.kinds("tool.")
	if len(got) != 2 || got[0].Kind != "tool.changed" || got[0].Tool != "a" || got[0].Detail.Was != "1" || got[0].Detail.Hash != "2" ||
		got[1].Kind != "tool.added" || got[1].Tool != "c" {
		t.Errorf("later: %+v", got)
	}
}
