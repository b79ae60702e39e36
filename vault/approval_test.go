package vault_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

// write is a call of files_write with these arguments.
func write(arguments string) vault.Write {
	sum := sha256.Sum256([]byte(arguments))
	return vault.Write{Tool: "files_write", Title: "Write a file", Arguments: json.RawMessage(arguments), Digest: sum[:]}
}

// writing is the request of such a call.
func writing(p vault.Person, a vault.Agent, call, approval string) vault.Request {
	r := request(p, a)
	r.Tool, r.Call, r.Approval = "files_write", call, approval
	return r
}

// ask opens the ticket of a write that lacks nothing else.
func (b *bench) ask(p vault.Person, a vault.Agent, w vault.Write) vault.Ticket {
	b.t.Helper()
	t, _, err := b.OpenTicket(b.t.Context(), vault.TicketRequest{Owner: p, Agent: a, Tool: w.Tool, Write: &w, Call: writing(p, a, "", "")})
	if err != nil {
		b.t.Fatal(err)
	}
	return t
}

// approve presses Allow on the ticket of a write, which must be done with it.
func (b *bench) approve(t vault.Ticket, p vault.Person, f vault.ApproveFor) vault.Ticket {
	b.t.Helper()
	a := answer(b, t, p)
	a.Approve = f
	s, err := b.Allow(b.t.Context(), a)
	if err != nil || s.Ticket.State != vault.TicketDone {
		b.t.Fatalf("allow gave a ticket that is %s, %v", s.Ticket.State, err)
	}
	return s.Ticket
}

// approved is what lets a call run now, "" for nothing.
func (b *bench) approved(p vault.Person, a vault.Agent, w vault.Write) string {
	b.t.Helper()
	id, err := b.Approved(b.t.Context(), writing(p, a, "", ""), w)
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// benches are the same bench on both databases.
func benches(t *testing.T) map[string]*bench {
	t.Helper()
	return map[string]*bench{"sqlite": newBench(t), "postgres": newBenchOn(t, storetest.Postgres(t))}
}

// R79: what was approved runs once, with the approved arguments, on the approved
// account, within five minutes; a second exchange of the same call is free.
func TestR79ApprovedRunsOnce(t *testing.T) {
	t.Parallel()
	for name, b := range benches(t) {
		acc := b.connect(alice, agent)
		w := write(`{"name":"a","text":"hello"}`)
		tk := b.ask(alice, agent, w)
		if tk.Kind != vault.KindApprove || tk.Reason != vault.ApprovalRequired || tk.Options[0].Grant != acc.ID || tk.Options[0].VendorNeeded {
			t.Fatalf("%s: ticket = %+v", name, tk)
		}
		if again := b.ask(alice, agent, w); again.ID != tk.ID || b.ask(alice, agent, write(`{}`)).ID == tk.ID {
			t.Errorf("%s: one ticket for each call", name)
		}
		if id := b.approved(alice, agent, w); id != "" {
			t.Fatalf("%s: approved before its person said so", name)
		}
		if e := b.lack(writing(alice, agent, "c0", tk.Approval)); e.Reason != vault.ApprovalRequired {
			t.Errorf("%s: an unanswered approval: %s", name, e.Reason)
		}
		b.approve(tk, alice, "")
		if id := b.approved(alice, agent, w); id != tk.Approval {
			t.Errorf("%s: approved = %q, want %q", name, id, tk.Approval)
		}
		if id := b.approved(alice, agent, write(`{"name":"a","text":"other"}`)); id != "" {
			t.Errorf("%s: other arguments have the approval %q", name, id)
		}
		b.token(writing(alice, agent, "c1", tk.Approval))
		b.token(writing(alice, agent, "c1", tk.Approval))
		var ran *vault.RanError
		if e := b.lack(writing(alice, agent, "c2", tk.Approval)); e.Reason != vault.ApprovalRequired || !errors.As(e, &ran) || !ran.At.Equal(b.clock.Now()) {
			t.Errorf("%s: a replay: %+v", name, e)
		}
		if _, err := b.TakeApproved(t.Context(), alice.Caller, agent, w.Tool, tk.Approval); !errors.As(err, &ran) {
			t.Errorf("%s: taken again: %v", name, err)
		}
		if id := b.approved(alice, agent, w); id != "" {
			t.Errorf("%s: a spent approval lets the call run", name)
		}
		for kind, want := range map[string]int{"approval.asked": 2, "approval.approved": 1, "approval.ran": 1} {
			if n := b.audited(kind); n != want {
				t.Errorf("%s: %d entries %s", name, n, kind)
			}
		}
	}
}

// R79, R42: an approval is of one person, one agent and one tool, and for anybody else it is not there.
func TestR79ApprovalOfSomebodyElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	other := vault.Agent{Issuer: agent.Issuer, ID: "other"}
	if _, err := b.Allow(t.Context(), answer(b, b.ticket(alice, other, b.lack(request(alice, other))), alice)); err != nil {
		t.Fatal(err)
	}
	b.vendor.set(func(v *vendor) { v.account, v.email = "acc-bob", "bob@example.com" })
	b.connect(bob, agent)
	w := write(`{"name":"a"}`)
	tk := b.ask(alice, agent, w)
	b.approve(tk, alice, "")
	take := func(p vault.Person, a vault.Agent, tool string) error {
		_, err := b.TakeApproved(t.Context(), p.Caller, a, tool, tk.Approval)
		return err
	}
	for name, err := range map[string]error{
		"person": take(bob, agent, w.Tool), "agent": take(alice, other, w.Tool), "tool": take(alice, agent, "files_delete"),
	} {
		if !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := b.Approval(t.Context(), bob.Caller, tk.Approval); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("another person's page: %v", err)
	}
	if b.approved(bob, agent, w)+b.approved(alice, other, w) != "" {
		t.Error("the same arguments of somebody else have the approval")
	}
	b.refused(writing(bob, agent, "c1", tk.Approval))
	b.refused(writing(alice, other, "c1", tk.Approval))
	b.refused(request(alice, agent), tk.Approval) // another tool
	got, err := b.TakeApproved(t.Context(), alice.Caller, agent, w.Tool, tk.Approval)
	if err != nil || string(got.Arguments) != `{"name":"a"}` {
		t.Fatalf("taken by its own: %+v, %v", got, err)
	}
	b.token(writing(alice, agent, "c1", tk.Approval))
}

// refused says that an exchange must give none for want of an approval.
func (b *bench) refused(r vault.Request, approval ...string) {
	b.t.Helper()
	for _, id := range approval {
		r.Approval = id
	}
	if e := b.lack(r); e.Reason != vault.ApprovalRequired {
		b.t.Errorf("refused with %s", e.Reason)
	}
}

// R79: an approval is bound to the account that the page showed.
func TestR79ApprovalOfAnotherAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	work := b.connect(alice, agent)
	w := write(`{"name":"a"}`)
	tk := b.ask(alice, agent, w)
	b.approve(tk, alice, vault.ApproveHour)
	private := b.second("")
	if err := b.SetDefault(t.Context(), alice.Caller, private.ID); err != nil {
		t.Fatal(err)
	}
	if id := b.approved(alice, agent, w); id != "" {
		t.Errorf("the call would go to another account by %s", id)
	}
	b.refused(writing(alice, agent, "c1", tk.Approval))
	got, err := b.TakeApproved(t.Context(), alice.Caller, agent, w.Tool, tk.Approval)
	if err != nil || got.Account != work.ID {
		t.Fatalf("taken: %+v, %v", got, err)
	}
	r := writing(alice, agent, "c1", tk.Approval)
	r.Account = got.Account
	if tok := b.token(r); tok.Grant != work.ID {
		t.Errorf("grant %s", tok.Grant)
	}
}

// R79: no answer after five minutes, after a decline, or of a question that ran out.
func TestR79ApprovalEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	late := write(`{"n":1}`)
	tk := b.ask(alice, agent, late)
	b.approve(tk, alice, "")
	b.clock.add(5*time.Minute + time.Second)
	b.refused(writing(alice, agent, "c1", tk.Approval))
	if _, err := b.TakeApproved(t.Context(), alice.Caller, agent, late.Tool, tk.Approval); !errors.Is(err, vault.ErrGone) {
		t.Errorf("after five minutes: %v", err)
	}
	open := b.ask(alice, agent, write(`{"n":3}`))
	no := b.ask(alice, agent, write(`{"n":2}`))
	if _, err := b.TakeApproved(t.Context(), alice.Caller, agent, "files_write", no.Approval); !errors.Is(err, vault.ErrStale) {
		t.Errorf("unanswered: %v", err)
	}
	if _, err := b.Decline(t.Context(), b.Handle(no), alice); err != nil {
		t.Fatal(err)
	}
	if _, err := b.TakeApproved(t.Context(), alice.Caller, agent, "files_write", no.Approval); !errors.Is(err, vault.ErrGone) {
		t.Errorf("declined: %v", err)
	}
	b.refused(writing(alice, agent, "c1", no.Approval))
	b.clock.add(25 * time.Hour)
	if _, err := b.Allow(t.Context(), answer(b, open, alice)); !errors.Is(err, vault.ErrGone) {
		t.Errorf("a question of yesterday: %v", err)
	}
	if _, err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]int{"approval.expired": 2, "approval.declined": 1, "approval.ran": 0} {
		if n := b.audited(kind); n != want {
			t.Errorf("%d entries %s", n, kind)
		}
	}
	fresh, err := b.AskAgain(t.Context(), b.Handle(open), alice)
	if err != nil || fresh.Approval == "" || fresh.Approval == open.Approval {
		t.Errorf("asked again: %+v, %v", fresh, err)
	}
}

// R63, R79: of many exchanges at once, in two processes, one runs; after a restart none.
func TestR63ApprovalSpentOnceAmongProcesses(t *testing.T) {
	t.Parallel()
	for name, b := range benches(t) {
		b.connect(alice, agent)
		tk := b.ask(alice, agent, write(`{"n":1}`))
		b.approve(tk, alice, "")
		second := b.open("p2")
		var wg sync.WaitGroup
		var mu sync.Mutex
		ran := 0
		for i := range 16 {
			v := []*vault.Vault{b.Vault, second}[i%2]
			wg.Go(func() {
				_, err := v.Exchange(t.Context(), writing(alice, agent, string(rune('a'+i)), tk.Approval))
				var lack *vault.ConsentError
				if err != nil && !errors.As(err, &lack) {
					t.Errorf("%s: %v", name, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					ran++
				}
			})
		}
		wg.Wait()
		if ran != 1 || b.audited("approval.ran") != 1 {
			t.Errorf("%s: it ran %d times, %d entries", name, ran, b.audited("approval.ran"))
		}
		third := b.open("p3")
		var lack *vault.ConsentError
		if _, err := third.Exchange(t.Context(), writing(alice, agent, "z", tk.Approval)); !errors.As(err, &lack) || lack.Reason != vault.ApprovalRequired {
			t.Errorf("%s: after a restart: %v", name, err)
		}
	}
}

// A release that is refused for its approval takes nothing of its moment's other releases with it.
func TestRefusedApprovalIsAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	tk := b.ask(alice, agent, write(`{"n":1}`))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { b.refused(writing(alice, agent, "c", tk.Approval)) })
		wg.Go(func() {
			if _, err := b.Exchange(t.Context(), request(alice, agent)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
