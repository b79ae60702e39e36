package vault_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// second connects another account of alice.
func (b *bench) second(email string) vault.Account {
	b.t.Helper()
	b.clock.add(time.Second) // accounts are listed oldest first
	b.vendor.set(func(v *vendor) { v.account, v.email = "acc-2", email })
	need := &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{{Connection: "files", Scopes: []string{"files.read"}, VendorNeeded: true}}}
	_, acc, err := b.Finish(b.t.Context(), b.allow(b.ticket(alice, agent, need), alice))
	if err != nil {
		b.t.Fatal(err)
	}
	return acc
}

// A default account that died at the vendor is to be mended: a call never goes to the person's other account instead.
func TestDeadDefaultIsNotReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	work := b.connect(alice, agent)
	private := b.second("")
	if err := b.SetDefault(t.Context(), alice.Caller, work.ID); err != nil {
		t.Fatal(err)
	}
	b.clock.add(2 * time.Hour) // work's refresh token is not the vendor's latest: it is refused
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked || e.Options[0].Grant != work.ID {
		t.Fatalf("lack = %+v", e)
	}
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked || e.Options[0].Grant != work.ID {
		t.Errorf("the next call: %+v", e)
	}
	if _, err := b.Revoke(t.Context(), alice.Caller, work.ID); err != nil { // by its person: no default any more
		t.Fatal(err)
	}
	if tok := b.token(request(alice, agent)); tok.Grant != private.ID {
		t.Errorf("grant %s", tok.Grant)
	}
}

// Accounts that read the same are named by what the error lists, and an id always means its own account.
func TestLabelsThatCollide(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.connect(alice, agent)
	second := b.second("alice@example.com")
	r := request(alice, agent)
	r.Account = "alice@example.com"
	e := b.lack(r)
	if e.Reason != vault.AccountAmbiguous || len(e.Labels) != 2 || e.Labels[0] == e.Labels[1] {
		t.Fatalf("lack = %+v", e)
	}
	for i, want := range []string{first.ID, second.ID} {
		if r.Account = e.Labels[i]; b.token(r).Grant != want {
			t.Errorf("%q gave another account", e.Labels[i])
		}
	}
	b.vendor.set(func(v *vendor) { v.account, v.email = "acc-3", first.ID }) // calls itself by another's id
	need := &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{{Connection: "files", Scopes: []string{"files.read"}, VendorNeeded: true}}}
	tk := b.ticket(vault.Person{Caller: alice.Caller}, agent, need)
	if _, _, err := b.Finish(t.Context(), b.allow(tk, vault.Person{Caller: alice.Caller, Name: "no e-mail", EmailVerified: false})); err != nil {
		t.Fatal(err)
	}
	if r.Account = first.ID; b.token(r).Grant != first.ID {
		t.Error("an id named another account")
	}
}

// An account whose scopes serve by another of a group than the first can be opened to an agent.
func TestAccessByAnotherScopeOfTheGroup(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.set(func(v *vendor) { v.scopes = "files.read,files.admin" })
	b.connect(alice, agent)
	either := provider.Need{Provider: "oauth2", Groups: [][]string{{"files.write", "files.admin"}, {}, {"files.read"}}}
	e := b.lack(request(alice, agent, either))
	if e.Reason != vault.AgentNotAllowed || !slices.Equal(e.Options[0].Scopes, []string{"files.admin", "files.read"}) {
		t.Fatalf("lack = %+v", e)
	}
	s, err := b.Allow(t.Context(), answer(b, b.ticket(alice, agent, e), alice))
	if err != nil || s.Ticket.State != vault.TicketDone {
		t.Fatalf("allow = %+v, %v", s, err)
	}
	b.token(request(alice, agent, either))
}

// A link that asks for our page only is not given where the vendor's is needed, also when no scope tells them apart.
func TestLinkForWhatIsLackingNow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	bare := provider.Need{Provider: "oauth2"}
	other := vault.Agent{Issuer: agent.Issuer, ID: "other"}
	first := b.ticket(alice, other, b.lack(request(alice, other, bare)))
	if _, err := b.Revoke(t.Context(), alice.Caller, acc.ID); err != nil {
		t.Fatal(err)
	}
	second := b.ticket(alice, other, b.lack(request(alice, other, bare)))
	if first.Kind != vault.KindAccess || second.Kind != vault.KindConnect || first.ID == second.ID {
		t.Fatalf("%s, then %s", first.Kind, second.Kind)
	}
	if _, err := b.Allow(t.Context(), answer(b, first, alice)); !errors.Is(err, vault.ErrGone) {
		t.Errorf("the first link: %v", err)
	}
	if _, _, err := b.Finish(t.Context(), b.allow(second, alice)); err != nil {
		t.Error(err)
	}
	b.token(request(alice, other, bare))
}

// An account that its person revoked and connected again for one agent is not open again to the others.
func TestRevokedForAllAgents(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	other := vault.Agent{Issuer: agent.Issuer, ID: "other"}
	if _, err := b.Allow(t.Context(), answer(b, b.ticket(alice, other, b.lack(request(alice, other))), alice)); err != nil {
		t.Fatal(err)
	}
	b.token(request(alice, other))
	if _, err := b.Revoke(t.Context(), alice.Caller, acc.ID); err != nil {
		t.Fatal(err)
	}
	b.connect2(acc)
	b.token(request(alice, agent))
	if e := b.lack(request(alice, other)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("another agent: %s", e.Reason)
	}
	if n := b.audited("access.revoked"); n != 2 {
		t.Errorf("%d entries", n)
	}
}

// A bearer that was refused for one account says nothing about another.
func TestStaleBearerOfAnotherAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.connect(alice, agent)
	second := b.second("")
	r := request(alice, agent)
	r.Account = first.ID
	stale := b.token(r)
	r.Account, r.Stale = second.ID, &stale.Bearer
	before := b.vendor.requests()
	if tok := b.token(r); tok.Grant != second.ID || tok.Generation != 1 || b.vendor.requests() != before {
		t.Errorf("token = %+v after %d requests", tok, b.vendor.requests()-before)
	}
}
