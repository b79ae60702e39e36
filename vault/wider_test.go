package vault_test

import (
	"slices"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// A wider token than the ceiling goes out only if its person was told of it: at the first ticket, or by one more.
func TestWiderIsAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.set(func(v *vendor) { v.scopes = "files.all mail" })
	r := exchange(alice, []string{"files.read"})
	r.Ceiling.Wider = true
	first, _, err := b.OpenTicket(t.Context(), vault.TicketRequest{Owner: alice, Agent: nightly, Need: b.lack(r)})
	if err != nil || first.Wider {
		t.Fatal(first, err)
	}
	if _, _, err := b.Finish(t.Context(), b.allow(first, alice)); err != nil {
		t.Fatal(err)
	}
	e := b.lack(r)
	if e.Reason != vault.AgentNotAllowed || e.Options[0].VendorNeeded || !slices.Equal(e.Options[0].Scopes, []string{"files.read"}) {
		t.Fatalf("lack = %+v", e)
	}
	b.yes(alice, e, false) // to the same again, without a word of more
	if e := b.lack(r); e.Reason != vault.AgentNotAllowed {
		t.Fatalf("lack = %+v", e)
	}
	b.yes(alice, e, true)
	if tok := b.token(r); !slices.Equal(tok.Scopes, []string{"files.all", "mail"}) {
		t.Errorf("scopes %q", tok.Scopes)
	}
	if list, err := b.AccessList(t.Context(), alice.Caller); err != nil || len(list) != 1 || !list[0].Wider {
		t.Errorf("the list does not say it: %+v, %v", list, err)
	}
	r.Ceiling.Wider = false
	if e := b.lack(r); e.Reason != vault.CannotNarrow {
		t.Errorf("a yes to more than the operator allows now: %+v", e)
	}
	b.clock.add(721 * time.Hour)
	r.Ceiling.Wider = true
	b.yes(alice, b.lack(r), false)
	if e := b.lack(r); e.Reason != vault.AgentNotAllowed {
		t.Errorf("a yes that had ended holds yet: %+v", e)
	}
}

// The first ticket may say it, too, and one that says it is another than one that does not.
func TestWiderAtTheFirstTicket(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.set(func(v *vendor) { v.scopes = "files.all mail" })
	r := exchange(alice, []string{"files.read"})
	r.Ceiling.Wider = true
	need := b.lack(r)
	silent := b.ticket(alice, nightly, need)
	said, fresh, err := b.OpenTicket(t.Context(), vault.TicketRequest{Owner: alice, Agent: nightly, Need: need, Wider: true})
	if err != nil || !fresh || said.ID == silent.ID || !said.Wider {
		t.Fatalf("ticket = %+v, %t, %v", said, fresh, err)
	}
	if _, _, err := b.Finish(t.Context(), b.allow(said, alice)); err != nil {
		t.Fatal(err)
	}
	b.token(r)
}

// What its person did not say yes to no token of a workload can do, though the operator's ceiling would allow
// it: the page has said that it will be able to do nothing else.
func TestTokenIsWhatThePersonAllowed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.set(func(v *vendor) { v.scopes = "files.read mail openid" })
	b.connect(alice, nightly)
	r := exchange(alice, []string{"files.read", "mail"})
	e := b.lack(r)
	if e.Reason != vault.AgentNotAllowed || e.Options[0].VendorNeeded || !slices.Equal(e.Options[0].Scopes, []string{"files.read", "mail"}) {
		t.Fatalf("lack = %+v", e)
	}
	b.token(request(alice, nightly)) // of a tool, which stays in the program
	b.yes(alice, e, false)
	if tok := b.token(r); !slices.Equal(tok.Scopes, []string{"files.read", "mail", "openid"}) {
		t.Errorf("scopes %q", tok.Scopes)
	}
}

// Where the vendor narrows, the token is made to be what the person allowed.
func TestTokenIsNarrowedToWhatThePersonAllowed(t *testing.T) {
	t.Parallel()
	b := narrowing(t, "", "honest")
	b.connect(alice, nightly)
	if can, _ := b.truth(b.token(exchange(alice, []string{"files.all", "mail"}))); can != "files.read offline_access" {
		t.Errorf("the token can do %q", can)
	}
}

// The switches of a person stop a workload as they stop an agent: the end of access, access for one call, the kill switch, the loss of the account.
func TestWorkloadsObeyThePerson(t *testing.T) {
	t.Parallel()
	r := exchange(alice, []string{"files.read"})
	for name, tc := range map[string]struct {
		do   func(b *bench, acc vault.Account) error
		want vault.Reason
	}{
		"access revoked": {func(b *bench, _ vault.Account) error {
			return b.RevokeAccess(b.t.Context(), alice.Caller, b.access(alice, nightly).ID)
		}, vault.AgentNotAllowed},
		"access ran out": {func(b *bench, _ vault.Account) error { b.clock.add(721 * time.Hour); return nil }, vault.AgentNotAllowed},
		"this workload stopped": {func(b *bench, _ vault.Account) error {
			_, err := b.Stop(b.t.Context(), alice.Caller, vault.StopScope{Agent: b.AgentKey(nightly)})
			return err
		}, vault.AgentNotAllowed},
		"account disconnected": {func(b *bench, acc vault.Account) error {
			_, err := b.Revoke(b.t.Context(), alice.Caller, acc.ID)
			return err
		}, vault.Revoked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			acc := b.connect(alice, nightly)
			b.token(r)
			if err := tc.do(b, acc); err != nil {
				t.Fatal(err)
			}
			if e := b.lack(r); e.Reason != tc.want {
				t.Errorf("lack = %+v, want %s", e, tc.want)
			}
		})
	}
}

// Access for one call is for one exchange: without a call's id each is a call of its own.
func TestWorkloadOnce(t *testing.T) {
	t.Parallel()
	b := narrowing(t, "", "honest")
	b.connect(alice, agent)
	r := exchange(alice, []string{"files.read"})
	ticket, _, err := b.OpenTicket(t.Context(), vault.TicketRequest{Owner: alice, Agent: nightly, Need: b.lack(r)})
	if err != nil {
		t.Fatal(err)
	}
	a := answer(b, ticket, alice)
	a.Once = true
	if _, err := b.Allow(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if can, _ := b.truth(b.token(r)); can != "files.read offline_access" {
		t.Errorf("the token can do %q", can)
	}
	if e := b.lack(r); e.Reason != vault.AgentNotAllowed {
		t.Errorf("a second exchange: %+v", e)
	}
}

// A need without scopes is one of all that there is under the ceiling: the person must have said yes to all of it.
func TestNothingInParticular(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.set(func(v *vendor) { v.scopes = "files.read mail" })
	b.connect(alice, nightly)
	r := exchange(alice, []string{"files.read", "mail", "more"}, provider.Need{Connection: "files"})
	e := b.lack(r)
	if e.Reason != vault.AgentNotAllowed || !slices.Equal(e.Options[0].Scopes, []string{"files.read", "mail"}) {
		t.Fatalf("lack = %+v", e)
	}
	b.yes(alice, e, false)
	b.token(r)
	r.Ceiling = &vault.Ceiling{Scopes: []string{"more"}}
	if e := b.lack(r); e.Reason != vault.CannotNarrow {
		t.Errorf("lack = %+v", e)
	}
}
