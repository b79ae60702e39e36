package vault_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

var (
	older = vault.Agent{Issuer: "https://idp.example", ID: "cursor-1", Name: "Cursor", Host: "cursor.example"}
	newer = vault.Agent{Issuer: "https://idp.example", ID: "older-2", Name: "cursor ", Host: "Cursor.example"}
)

// let opens alice's account to an agent by our page alone.
func (b *bench) let(a vault.Agent, change ...func(*vault.Answer)) {
	b.t.Helper()
	ans := answer(b, b.ticket(alice, a, b.lack(request(alice, a))), alice)
	for _, f := range change {
		f(&ans)
	}
	if s, err := b.Allow(b.t.Context(), ans); err != nil || s.AuthURL != "" {
		b.t.Fatalf("allow: %+v, %v", s, err)
	}
}

// access is an agent's to the account of a person.
func (b *bench) access(p vault.Person, a vault.Agent) vault.Access {
	b.t.Helper()
	list, err := b.AccessList(b.t.Context(), p.Caller)
	i := slices.IndexFunc(list, func(x vault.Access) bool { return x.Agent.ID == a.ID })
	if err != nil || i < 0 {
		b.t.Fatalf("access of %s: %+v, %v", a.ID, list, err)
	}
	return list[i]
}

// Access that nobody uses for 90 days has ended, whatever its own end is; one that is used lasts.
func TestAccessEndsWhenUnused(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *vault.Config) { c.AccessTTL = 400 * 24 * time.Hour })
	acc := b.connect(alice, agent)
	b.let(older)
	use := func(a vault.Agent) {
		b.token(request(alice, a))
		b.eventually("the note of its use", func() bool { return b.access(alice, a).Used.Equal(b.clock.Now()) })
	}
	for range 3 {
		b.clock.add(vault.UnusedFor - time.Hour)
		use(agent)
	}
	if a := b.access(alice, agent); a.Connection != "files" || a.Label != acc.Label || !a.Ends.Equal(b.clock.Now().Add(vault.UnusedFor)) {
		t.Fatalf("access = %+v, now %s", a, b.clock.Now())
	}
	if a := b.access(alice, older); !a.Ends.Equal(a.Created.Add(vault.UnusedFor)) || !a.Expires.After(b.clock.Now()) {
		t.Errorf("of whom nothing was heard: %+v", a)
	}
	if e := b.lack(request(alice, older)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("unused for long: %s", e.Reason)
	}
	b.clock.add(vault.UnusedFor + time.Second)
	if e := b.lack(request(alice, agent)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("in the memory of this process: %s", e.Reason)
	}
	b.let(older) // a person's new yes counts from now
	b.token(request(alice, older))
}

// Agents are known by what they have, had and ask for, the last used first; those of one name and host are one group.
func TestAgents(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.let(older)
	b.clock.add(time.Hour)
	b.ticket(alice, newer, b.lack(request(alice, newer)))
	got, err := b.Agents(t.Context(), alice.Caller)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d agents, %v", len(got), err)
	}
	by := map[string]vault.KnownAgent{}
	for _, k := range got {
		by[k.Agent.ID] = k
		if k.Key != b.AgentKey(k.Agent) || !k.Stopped.IsZero() || k.First.IsZero() {
			t.Errorf("agent %+v", k)
		}
	}
	if got[0].Agent.ID != newer.ID || len(got[0].Access) != 0 || len(by[older.ID].Access) != 1 {
		t.Errorf("agents %+v", got)
	}
	if by[older.ID].Group != by[newer.ID].Group || by[agent.ID].Group == by[older.ID].Group {
		t.Error("groups are not by name and host")
	}
	if other, err := b.Agents(t.Context(), bob.Caller); err != nil || len(other) != 0 {
		t.Errorf("bob knows %+v, %v", other, err)
	}
}

// What an earlier agent had goes over to the new one of its group, as far and as long as it was given.
func TestMoveAccess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.let(older)
	old := b.access(alice, older)
	b.clock.add(time.Hour)
	b.ticket(alice, newer, b.lack(request(alice, newer)))
	move := func(p vault.Person, from, to vault.Agent) (int, error) {
		return b.MoveAccess(t.Context(), p.Caller, b.AgentKey(from), b.AgentKey(to))
	}
	if _, err := move(alice, older, agent); !errors.Is(err, vault.ErrForeign) {
		t.Errorf("to another group: %v", err)
	}
	if _, err := move(alice, agent, older); !errors.Is(err, vault.ErrForeign) {
		t.Errorf("from another group: %v", err)
	}
	for _, pair := range [][2]vault.Agent{{older, older}, {older, {ID: "nobody"}}, {{ID: "nobody"}, older}} {
		if _, err := move(alice, pair[0], pair[1]); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%v: %v", pair, err)
		}
	}
	if _, err := move(bob, older, newer); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("R42: by another person: %v", err)
	}
	if _, err := move(alice, newer, older); !errors.Is(err, vault.ErrForeign) {
		t.Errorf("from the later one to the earlier one: %v", err)
	}
	if n, err := move(alice, older, newer); n != 1 || err != nil {
		t.Fatalf("moved %d, %v", n, err)
	}
	b.token(request(alice, newer))
	if e := b.lack(request(alice, older)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("the earlier one: %s", e.Reason)
	}
	if a := b.access(alice, newer); !a.Expires.Equal(old.Expires) || !slices.Equal(a.Scopes, old.Scopes) {
		t.Errorf("moved: %+v, was %+v", a, old)
	}
	if _, err := b.VerifyAudit(t.Context()); err != nil || b.audited("access.revoked") != 1 {
		t.Errorf("%d revoked, %v", b.audited("access.revoked"), err)
	}
}

// Which agent was there first does not change when the person thinks of it again.
func TestFirstMetStays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	lack := b.lack(request(alice, older))
	b.let(older)
	b.clock.add(time.Hour)
	b.let(newer)
	b.clock.add(time.Hour)
	if _, err := b.Allow(t.Context(), answer(b, b.ticket(alice, older, lack), alice)); err != nil { // a new yes
		t.Fatal(err)
	}
	got, err := b.Agents(t.Context(), alice.Caller)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]vault.KnownAgent{}
	for _, k := range got {
		by[k.Agent.ID] = k
	}
	if first := by[older.ID].First; !first.Equal(b.clock.Now().Add(-2 * time.Hour)) {
		t.Errorf("the older one was first met %v", first)
	}
	if a := b.access(alice, older); !a.Created.Equal(b.clock.Now()) {
		t.Errorf("its access is from %v", a.Created)
	}
	if !by[newer.ID].Inherits(by[older.ID]) || by[older.ID].Inherits(by[newer.ID]) {
		t.Error("the later one does not inherit from the earlier one")
	}
	ans := answer(b, b.ticket(alice, older, lack), alice)
	ans.Move = b.AgentKey(newer)
	if _, err := b.Allow(t.Context(), ans); !errors.Is(err, vault.ErrForeign) {
		t.Errorf("the page takes a later one's access: %v", err)
	}
}

// Nobody vouches for a name that a client gave itself: it inherits nothing of one that is vouched for.
func TestMoveAccessToAnImpostor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	real, fake := older, newer
	real.Verified = true
	b.let(real)
	b.ticket(alice, fake, b.lack(request(alice, fake)))
	if n, err := b.MoveAccess(t.Context(), alice.Caller, b.AgentKey(real), b.AgentKey(fake)); n != 0 || !errors.Is(err, vault.ErrForeign) {
		t.Errorf("moved %d, %v", n, err)
	}
	ans := answer(b, b.ticket(alice, fake, b.lack(request(alice, fake))), alice)
	ans.Move = b.AgentKey(real)
	if _, err := b.Allow(t.Context(), ans); !errors.Is(err, vault.ErrForeign) {
		t.Errorf("by the page: %v", err)
	}
}

// The yes on the page of a new agent can take an earlier one's access along.
func TestAllowMovesAccess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.let(older)
	b.clock.add(time.Second)
	b.let(newer, func(a *vault.Answer) { a.Move = b.AgentKey(older) })
	b.token(request(alice, newer))
	if e := b.lack(request(alice, older)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("the earlier one: %s", e.Reason)
	}
}

// The operator sees everybody's access, and takes any of it away.
func TestAnyAccess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.vendor.set(func(v *vendor) { v.account, v.email = "acc-bob", bob.Email })
	acc := b.connect(bob, agent)
	all, err := b.AllAccess(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	i := slices.IndexFunc(all, func(a vault.Access) bool { return a.Owner.Caller == bob.Caller })
	if i < 0 || all[i].Label != acc.Label || all[i].Owner.Email != bob.Email || all[i].Agent.ID != agent.ID {
		t.Fatalf("%+v", all)
	}
	if err := b.RevokeAnyAccess(t.Context(), all[i].ID); err != nil {
		t.Fatal(err)
	}
	if e := b.lack(request(bob, agent)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("bob's agent: %s", e.Reason)
	}
	b.token(request(alice, agent))
	if err := b.RevokeAnyAccess(t.Context(), all[i].ID); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	entries := b.pages(bob, vault.ActivityQuery{Kinds: []string{"access.revoked"}})
	if len(entries) != 1 || entries[0].Agent != agent.ID {
		t.Errorf("bob reads %+v", entries)
	}
}
