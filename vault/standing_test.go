package vault_test

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// A yes for an hour lets other calls of the same agent, tool and account run until its end.
func TestStandingApproval(t *testing.T) {
	t.Parallel()
	for name, b := range benches(t) {
		b.connect(alice, agent)
		b.approve(b.ask(alice, agent, write(`{"n":1}`)), alice, vault.ApproveHour)
		id := b.approved(alice, agent, write(`{"n":2}`))
		all, err := b.StandingApprovals(t.Context(), alice.Caller)
		if err != nil || len(all) != 1 || all[0].ID != id || all[0].Tool != "files_write" || !all[0].Until.Equal(b.clock.Now().Add(time.Hour)) {
			t.Fatalf("%s: %q of %+v, %v", name, id, all, err)
		}
		b.token(writing(alice, agent, "c1", id))
		b.token(writing(alice, agent, "c2", id))
		b.refused(request(alice, agent), id) // another tool
		destroy := write(`{"n":3}`)
		if destroy.Destroy = true; b.approved(alice, agent, destroy) != "" {
			t.Errorf("%s: what destroys ran without a question", name)
		}
		if err := b.EndStanding(t.Context(), bob.Caller, id); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%s: ended by somebody else: %v", name, err)
		}
		b.clock.add(time.Hour)
		b.refused(writing(alice, agent, "c3", id))
		if b.approved(alice, agent, write(`{"n":2}`)) != "" {
			t.Errorf("%s: it stands after its end", name)
		}
	}
}

// A yes for today ends at the next midnight of this machine's clock, on the dot, also one that is given a minute before.
func TestStandingToday(t *testing.T) {
	t.Parallel()
	for _, hour := range []int{0, 9, 23} {
		b := newBench(t)
		now := b.clock.Now().Local()
		y, m, d := now.Date()
		b.clock.add(time.Date(y, m, d+1, hour, 59, 0, 0, time.Local).Sub(now))
		midnight := time.Date(y, m, d+2, 0, 0, 0, 0, time.Local)
		b.connect(alice, agent)
		b.approve(b.ask(alice, agent, write(`{"n":1}`)), alice, vault.ApproveToday)
		id := b.approved(alice, agent, write(`{"n":2}`))
		all, err := b.StandingApprovals(t.Context(), alice.Caller)
		if err != nil || len(all) != 1 || all[0].ID != id || !all[0].Until.Equal(midnight) {
			t.Fatalf("at %d: %q of %+v, %v; want an end at %v", hour, id, all, err, midnight)
		}
		b.clock.add(midnight.Sub(b.clock.Now()) - time.Millisecond)
		if got := b.approved(alice, agent, write(`{"n":3}`)); got != id {
			t.Errorf("at %d: a moment before midnight %q stands, want %q", hour, got, id)
		}
		b.token(writing(alice, agent, "c1", id))
		b.clock.add(time.Millisecond)
		if got := b.approved(alice, agent, write(`{"n":3}`)); got != "" {
			t.Errorf("at %d: it stands after midnight: %q", hour, got)
		}
		b.refused(writing(alice, agent, "c2", id))
		if all, err := b.StandingApprovals(t.Context(), alice.Caller); err != nil || len(all) != 0 {
			t.Errorf("at %d: after midnight: %+v, %v", hour, all, err)
		}
	}
}

// A standing approval ends by its person's word, and with the agent's access to the account.
func TestStandingApprovalIsEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	for name, end := range map[string]func(id string) error{
		"its own end": func(id string) error { return b.EndStanding(t.Context(), alice.Caller, id) },
		"access": func(string) error {
			all, err := b.AccessList(t.Context(), alice.Caller)
			return errors.Join(err, b.RevokeAccess(t.Context(), alice.Caller, all[0].ID))
		},
	} {
		b.clock.add(6 * time.Minute) // what was approved before has run out
		tk := b.ask(alice, agent, write(`{"of":"`+name+`"}`))
		b.approve(tk, alice, vault.ApproveToday)
		id := b.approved(alice, agent, write(`{"n":2}`))
		if err := end(id); err != nil || id == "" {
			t.Fatalf("%s: %q, %v", name, id, err)
		}
		if all, _ := b.StandingApprovals(t.Context(), alice.Caller); len(all) != 0 {
			t.Errorf("%s: %+v", name, all)
		}
		if name == "access" { // and is not there again with new access
			if _, err := b.Allow(t.Context(), answer(b, b.ticket(alice, agent, b.lack(request(alice, agent))), alice)); err != nil {
				t.Fatal(err)
			}
			b.refused(writing(alice, agent, "c1", tk.Approval))
		}
		b.refused(writing(alice, agent, "c1", id))
	}
	if n := b.audited("approval.ended"); n != 3 {
		t.Errorf("%d entries of %s", n, acc.ID)
	}
}

// What destroys is asked for each time, whatever the answer was.
func TestDestroyDoesNotStand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	w := write(`{"n":1}`)
	w.Destroy = true
	b.approve(b.ask(alice, agent, w), alice, vault.ApproveToday)
	if all, err := b.StandingApprovals(t.Context(), alice.Caller); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if b.approved(alice, agent, w) == "" {
		t.Error("the call itself is not approved")
	}
}

// All that a call lacks is one ticket: the account, the agent's access and the yes to the write.
func TestOneVisitForAll(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := write(`{"n":1}`)
	tk := b.ask(alice, agent, w)
	if tk.Kind != vault.KindConnect || tk.Reason != vault.NotConnected || tk.Approval == "" {
		t.Fatalf("ticket = %+v", tk)
	}
	done, acc, err := b.Finish(t.Context(), b.allow(tk, alice))
	if err != nil || done.State != vault.TicketDone {
		t.Fatal(err)
	}
	if a, err := b.Approval(t.Context(), alice.Caller, tk.Approval); err != nil || a.Account != acc.ID || a.State != vault.ApprovalApproved {
		t.Fatalf("approval = %+v, %v", a, err)
	}
	b.token(writing(alice, agent, "c1", b.approved(alice, agent, w)))

	other := vault.Agent{Issuer: agent.Issuer, ID: "other"}
	if tk = b.ask(alice, other, w); tk.Kind != vault.KindAccess || tk.Reason != vault.AgentNotAllowed {
		t.Fatalf("ticket = %+v", tk)
	}
	b.approve(tk, alice, "")
	b.token(writing(alice, other, "c1", b.approved(alice, other, w)))
}

// A local client's own dialog answers what asks for the write alone.
func TestApprovedInTheClient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	both := b.ask(alice, agent, write(`{"n":0}`))
	if err := b.ApproveInClient(t.Context(), alice, both.Approval, ""); !errors.Is(err, vault.ErrGone) {
		t.Errorf("an account was to be connected, too: %v", err)
	}
	b.connect(alice, agent)
	w := write(`{"n":1}`)
	tk := b.ask(alice, agent, w)
	if err := b.ApproveInClient(t.Context(), bob, tk.Approval, ""); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("by somebody else: %v", err)
	}
	if err := b.ApproveInClient(t.Context(), alice, tk.Approval, ""); err != nil {
		t.Fatal(err)
	}
	b.token(writing(alice, agent, "c1", b.approved(alice, agent, w)))
	no := b.ask(alice, agent, write(`{"n":2}`))
	if err := b.DeclineInClient(t.Context(), alice, no.Approval); err != nil {
		t.Fatal(err)
	}
	if err := b.ApproveInClient(t.Context(), alice, no.Approval, ""); !errors.Is(err, vault.ErrGone) {
		t.Errorf("after the no: %v", err)
	}
}

// A write's arguments are in no entry of the audit, are not to be read in the file, and go with their person.
func TestArgumentsAreSealed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	w := write(`{"text":"argument-canary"}`)
	w.Changes = []vault.Change{{Field: "text", Was: "was-canary", Becomes: "becomes-canary"}}
	tk := b.ask(alice, agent, w)
	if a, err := b.Approval(t.Context(), alice.Caller, tk.Approval); err != nil || len(a.Changes) != 1 {
		t.Fatalf("approval = %+v, %v", a, err)
	}
	for _, name := range []string{b.path, b.path + "-wal"} {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte("-canary")) {
			t.Errorf("%s holds an argument", name)
		}
	}
	if _, err := b.DeleteUser(t.Context(), b.Pseudonym(alice.Caller)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Approval(t.Context(), alice.Caller, tk.Approval); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("after its person was deleted: %v", err)
	}
}

// The owner's terms: a shorter time, never a longer one.
func TestShorterAccess(t *testing.T) {
	t.Parallel()
	for ttl, want := range map[time.Duration]time.Duration{0: 720 * time.Hour, time.Hour: time.Hour, 9000 * time.Hour: 720 * time.Hour} {
		b := newBench(t)
		a := answer(b, b.ticket(alice, agent, b.lack(request(alice, agent))), alice)
		a.TTL = ttl
		s, err := b.Allow(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Finish(t.Context(), callback(t, s, alice)); err != nil {
			t.Fatal(err)
		}
		all, err := b.AccessList(t.Context(), alice.Caller)
		if err != nil || len(all) != 1 || !all[0].Expires.Equal(b.clock.Now().Add(want)) {
			t.Errorf("%s: %+v, %v", ttl, all, err)
		}
	}
}

// What a person connects themselves: they may leave scopes out, and name agents that may use it.
func TestOwnTerms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.vendor.set(func(v *vendor) { v.account, v.email = "acc-2", "" })
	scopes := []string{"files.read", "files.write"}
	need := &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{
		{Connection: "files", Scopes: append([]string{"openid"}, scopes...), Missing: scopes, VendorNeeded: true},
	}}
	tk := b.ticket(alice, vault.Agent{}, need)
	if !slices.Equal(tk.Options[0].Optional, scopes) {
		t.Errorf("optional are %v", tk.Options[0].Optional)
	}
	a := answer(b, tk, alice)
	if a.Without = scopes; !errors.Is(allowError(b, a), vault.ErrNoScopes) {
		t.Errorf("all left out: %v", allowError(b, a))
	}
	a.Without, a.Agents = []string{"files.write"}, []string{"nobody"}
	if err := allowError(b, a); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("an agent that nobody knows: %v", err)
	}
	a.Agents = []string{b.AgentKey(agent)}
	s, err := b.Allow(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	_, acc, err := b.Finish(t.Context(), callback(t, s, alice))
	if err != nil || !slices.Equal(acc.Scopes, []string{"files.read", "openid"}) {
		t.Fatalf("account = %+v, %v", acc, err)
	}
	r := request(alice, agent)
	r.Account = acc.ID
	b.token(r)
	r.Needs = []provider.Need{{Provider: "oauth2", Groups: [][]string{{"files.write"}}}}
	if e := b.lack(r); e.Reason != vault.UnderScoped {
		t.Errorf("what was left out: %s", e.Reason)
	}
}

func allowError(b *bench, a vault.Answer) error {
	_, err := b.Allow(b.t.Context(), a)
	return err
}

// A tool's need cannot be left out.
func TestNeededScopesStay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := answer(b, b.ticket(alice, agent, b.lack(request(alice, agent))), alice)
	a.Without = []string{"files.read"}
	s, err := b.Allow(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if _, acc, err := b.Finish(t.Context(), callback(t, s, alice)); err != nil || len(acc.Scopes) != 1 {
		t.Errorf("account = %+v, %v", acc, err)
	}
}
