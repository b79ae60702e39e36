package vault_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// change is what somebody does, in another process, to what p1 has picked.
type change struct {
	do   func(b *bench, other *vault.Vault, acc vault.Account) error
	want vault.Reason // of the exchange after it
}

func changes() map[string]change {
	return map[string]change{
		"the account is revoked": {func(b *bench, other *vault.Vault, acc vault.Account) error {
			_, err := other.Revoke(b.t.Context(), alice.Caller, acc.ID)
			return err
		}, vault.Revoked},
		"the agent's access is revoked": {func(b *bench, other *vault.Vault, _ vault.Account) error {
			list, err := other.AccessList(b.t.Context(), alice.Caller)
			if err != nil || len(list) != 1 || list[0].Agent != agent {
				b.t.Errorf("access = %+v, %v", list, err)
				return err
			}
			return other.RevokeAccess(b.t.Context(), alice.Caller, list[0].ID)
		}, vault.AgentNotAllowed},
		"the connection is confirmed for another address": {func(b *bench, _ *vault.Vault, _ vault.Account) error {
			elsewhere := newVendor(b.t, b.clock.Now)
			conns := b.conns
			b.conns = []*provider.Connection{elsewhere.connection("files")}
			defer func() { b.conns = conns }()
			n, err := b.open("p3").ConfirmConnection(b.t.Context(), "files")
			if n != 1 {
				b.t.Errorf("%d grants were confirmed", n)
			}
			return err
		}, vault.ConnChanged},
		"the person is deleted": {func(b *bench, _ *vault.Vault, _ vault.Account) error {
			return b.store.Update(b.t.Context(), func(tx vault.Tx) error { return tx.Users().Delete(b.Pseudonym(alice.Caller)) })
		}, vault.NotConnected},
		"the grant is quarantined": {func(b *bench, _ *vault.Vault, acc vault.Account) error {
			b.change(acc.ID, func(g *vault.GrantRow) { g.State = string(vault.GrantQuarantined) })
			return nil
		}, vault.AccountChanged},
	}
}

// What is taken back between the look at the rows and the entry of the release is
// not released, whether that look was a moment ago or is remembered from an earlier exchange.
func TestNoTokenOvertakesARevocation(t *testing.T) {
	t.Parallel()
	for when, remembered := range map[string]bool{"as it is picked": false, "remembered": true} {
		for name, tc := range changes() {
			t.Run(when+"/"+name, func(t *testing.T) {
				t.Parallel()
				f, with := broken(t)
				b := newBench(t, with)
				acc := b.connect(alice, agent)
				if remembered {
					b.token(request(alice, agent))
				}
				other := b.open("p2")
				f.onceReleasing(func() {
					if err := tc.do(b, other, acc); err != nil {
						t.Error(err)
					}
				})
				released := b.audited("token.released")
				if e := b.lack(request(alice, agent)); e.Reason != tc.want {
					t.Errorf("lack = %+v, want %s", e, tc.want)
				}
				if b.audited("token.released") != released {
					t.Error("the audit says that a token was released")
				}
			})
		}
	}
}

// A remembered pick serves nobody any more once something has changed, also in another process.
func TestRememberedPickEndsWithAChange(t *testing.T) {
	t.Parallel()
	for name, tc := range changes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			acc := b.connect(alice, agent)
			b.token(request(alice, agent))
			b.token(request(alice, agent))
			if err := tc.do(b, b.open("p2"), acc); err != nil {
				t.Fatal(err)
			}
			if e := b.lack(request(alice, agent)); e.Reason != tc.want {
				t.Errorf("lack = %+v, want %s", e, tc.want)
			}
		})
	}
}

// Another account that becomes the default serves the next call.
func TestRememberedPickFollowsTheDefault(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.connect(alice, agent)
	b.token(request(alice, agent))
	second := b.second("")
	if e := b.lack(request(alice, agent)); e.Reason != vault.AccountAmbiguous {
		t.Errorf("with two accounts: %s", e.Reason)
	}
	other := b.open("p2")
	for _, acc := range []vault.Account{first, second, first} {
		if err := other.SetDefault(t.Context(), alice.Caller, acc.ID); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if tok := b.token(request(alice, agent)); tok.Grant != acc.ID {
				t.Errorf("the default is %s, the token is of %s", acc.ID, tok.Grant)
			}
		}
	}
}

// Only a request for the same thing is served by a remembered pick.
func TestRememberedPicksAreApart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	need := func(groups ...[]string) provider.Need { return provider.Need{Provider: "oauth2", Groups: groups} }
	either := need([]string{"files.read", "files.admin"})
	for range 2 {
		b.token(request(alice, agent, either))
	}
	other := vault.Agent{Issuer: agent.Issuer + agent.ID, Name: agent.Name}
	named, unknown, elsewhere := request(alice, agent, either), request(alice, agent, either), request(alice, agent, either)
	named.Account, unknown.Account = acc.ID, "nobody"
	elsewhere.Needs = []provider.Need{{Connection: "oauth2", Groups: either.Groups}}
	for name, tc := range map[string]struct {
		r    vault.Request
		want vault.Reason
	}{
		"both scopes":        {request(alice, agent, need([]string{"files.read"}, []string{"files.admin"})), vault.UnderScoped},
		"another scope":      {request(alice, agent, need([]string{"files.readfiles.admin"})), vault.UnderScoped},
		"another person":     {request(bob, agent, either), vault.NotConnected},
		"another agent":      {request(alice, other, either), vault.AgentNotAllowed},
		"another account":    {unknown, vault.AccountUnknown},
		"another connection": {elsewhere, vault.ConnMisconfigured},
	} {
		if e := b.lack(tc.r); e.Reason != tc.want {
			t.Errorf("%s: %s, want %s", name, e.Reason, tc.want)
		}
	}
	if b.token(named).Grant != acc.ID {
		t.Error("the named account is another one")
	}
}

// The clock ends a remembered pick too: that of the token, and that of the access.
func TestRememberedPickEndsWithTheClock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	first := b.token(request(alice, agent))
	b.clock.add(59*time.Minute + 30*time.Second)
	if tok := b.token(request(alice, agent)); tok.Generation != first.Generation+1 {
		t.Errorf("a token that is nearly over went out: generation %d", tok.Generation)
	}
	r := request(alice, agent)
	r.Stale = &b.token(r).Bearer
	if tok := b.token(r); tok.Generation != first.Generation+2 {
		t.Errorf("the refused token went out again: generation %d", tok.Generation)
	}
	b.vendor.set(func(v *vendor) { v.life = 3600 * 10000 })
	b.clock.add(2 * time.Hour)
	for range 2 {
		b.token(request(alice, agent))
	}
	b.clock.add(720 * time.Hour)
	if e := b.lack(request(alice, agent)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("after its end access gives %s", e.Reason)
	}
}

// Reading nothing is the point of remembering: an exchange like an earlier one needs no View.
func TestRememberedPickReadsNothing(t *testing.T) {
	t.Parallel()
	f, with := broken(t)
	b := newBench(t, with)
	b.connect(alice, agent)
	b.token(request(alice, agent))
	f.failViews(errors.New("no reading now"))
	b.token(request(alice, agent))
	if e := b.lack(request(bob, agent)); e.Reason != vault.VaultDegraded {
		t.Errorf("a first exchange without reading: %s", e.Reason)
	}
}

// withViews is a bench whose reading can be made to fail: then only what is remembered goes out.
func withViews(t *testing.T) (b *bench, fail func(bool)) {
	t.Helper()
	f, with := broken(t)
	return newBench(t, with), func(on bool) {
		f.failViews(nil)
		if on {
			f.failViews(errors.New("no reading now"))
		}
	}
}

// connectOwn has a person connect an account of their own name.
func (b *bench) connectOwn(p vault.Person) {
	b.t.Helper()
	b.vendor.set(func(v *vendor) { v.account, v.email = "of-"+p.Subject, p.Email })
	b.connect(p, agent)
}

// deleteNothing counts as a change of rows of each of these people.
func (b *bench) deleteNothing(users ...string) {
	b.t.Helper()
	err := b.store.Update(b.t.Context(), func(tx vault.Tx) error {
		for _, u := range users {
			if err := tx.Access().Delete(u, "none"); !errors.Is(err, vault.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// What changes for one person leaves alone what is remembered of another.
func TestRememberedPickOutlivesOthersChanges(t *testing.T) {
	t.Parallel()
	b, failViews := withViews(t)
	acc := b.connect(alice, agent)
	b.connectOwn(bob)
	other := b.open("p2")
	for _, p := range []vault.Person{alice, bob} {
		b.token(request(p, agent))
	}
	bobs, err := other.AccessList(t.Context(), bob.Caller)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.RevokeAccess(t.Context(), bob.Caller, bobs[0].ID); err != nil {
		t.Fatal(err)
	}
	failViews(true)
	b.token(request(alice, agent))
	if e := b.lack(request(bob, agent)); e.Reason != vault.VaultDegraded {
		t.Errorf("what is remembered of the one who revoked: %s", e.Reason)
	}
	failViews(false)
	if err := other.SetDefault(t.Context(), alice.Caller, acc.ID); err != nil {
		t.Fatal(err)
	}
	failViews(true)
	if e := b.lack(request(alice, agent)); e.Reason != vault.VaultDegraded {
		t.Errorf("what is remembered after a change of one's own: %s", e.Reason)
	}
	failViews(false)
	b.token(request(alice, agent))
}

// crowd are more people than a store names one by one.
func crowd() []string {
	users := make([]string, 1000)
	for i := range users {
		users[i] = strconv.Itoa(i)
	}
	return users
}

// Where so much changes at once that the store names nobody, nothing is remembered of anybody.
func TestManyChangesForgetAll(t *testing.T) {
	t.Parallel()
	b, failViews := withViews(t)
	b.connect(alice, agent)
	b.token(request(alice, agent))
	b.deleteNothing(crowd()[:3]...)
	failViews(true)
	b.token(request(alice, agent))
	b.deleteNothing(crowd()...)
	if e := b.lack(request(alice, agent)); e.Reason != vault.VaultDegraded {
		t.Errorf("what is remembered after everybody's change: %s", e.Reason)
	}
}

// A remembered pick brings along the data key that opens it, wrapped: it needs none that is at hand.
func TestRememberedPickBringsItsKey(t *testing.T) {
	t.Parallel()
	b, failViews := withViews(t)
	b.connect(alice, agent)
	b.token(request(alice, agent))
	failViews(true)
	vault.ForgetDataKeys(b.Vault)
	for range 2 {
		b.token(request(alice, agent))
	}
}
