package vault_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// R29: disconnecting ends an account here at once, and says what became of it at the vendor.
func TestR29DisconnectSaysWhatHappened(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if r, err := b.Disconnect(t.Context(), alice.Caller, "unknown"); r != (vault.Revocation{}) || !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("nothing there: %+v, %v", r, err)
	}
	for _, test := range []struct {
		status int
		want   vault.Revocation
	}{{http.StatusServiceUnavailable, vault.Revocation{Pending: true}}, {0, vault.Revocation{AtVendor: true}}} {
		acc := b.connect(alice, agent)
		b.refusing(test.status)
		if r, err := b.Disconnect(t.Context(), bob.Caller, acc.ID); r != (vault.Revocation{}) || !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("by another: %+v, %v", r, err)
		}
		b.token(request(alice, agent))
		if r, err := b.Disconnect(t.Context(), alice.Caller, acc.ID); r != test.want || err != nil {
			t.Errorf("%+v, %v, want %+v", r, err, test.want)
		}
		if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked {
			t.Errorf("afterwards: %s", e.Reason)
		}
		b.refusing(0)
	}
}

// wholeProject is a vendor whose revocation takes all of a person's grants to one client, as Google's does.
func wholeProject(p *provider.Provider) { p.Revoke.Radius = "project" }

// visit connects an account at one connection of several.
func (b *bench) visit(p vault.Person, connection string) vault.Account {
	b.t.Helper()
	r := request(p, agent, provider.Need{Connection: connection, Groups: [][]string{{"files.read"}}})
	cb := b.allow(b.ticket(p, agent, b.lack(r)), p)
	cb.Connection = connection
	_, acc, err := b.Finish(b.t.Context(), cb)
	if err != nil {
		b.t.Fatal(err)
	}
	return acc
}

// A vendor is not told while another account lives on the same grant there: of another person, or at another connection.
func TestDisconnectKeepsWhatOthersUse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.conns = []*provider.Connection{b.vendor.connection("files", wholeProject), b.vendor.connection("more", wholeProject)}
	b.Vault = b.open("p2")
	here, there := b.visit(alice, "files"), b.visit(alice, "more")
	same := bob
	same.Email, same.EmailVerified = "", false // whose sign-in says nothing of an address
	bobs := b.visit(same, "files")
	b.vendor.set(func(v *vendor) { v.revoked = nil })
	for _, a := range []struct {
		of   vault.Person
		id   string
		want vault.Revocation
	}{
		{alice, here.ID, vault.Revocation{Kept: here.Label}},
		{same, bobs.ID, vault.Revocation{Kept: there.Label}},
		{alice, there.ID, vault.Revocation{AtVendor: true}},
	} {
		if n := len(b.revokedThere()); n != 0 {
			t.Fatalf("the vendor was told %d times", n)
		}
		if r, err := b.Disconnect(t.Context(), a.of.Caller, a.id); r != a.want || err != nil {
			t.Errorf("%+v, %v, want %+v", r, err, a.want)
		}
	}
	if n := len(b.revokedThere()); n != 1 {
		t.Errorf("the vendor was told %d times", n)
	}
}

// A consent that is refused is given back, unless that would take an account that works at another connection of the same project.
func TestGivingBackSparesTheProject(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.conns = []*provider.Connection{b.vendor.connection("files", wholeProject), b.vendor.connection("more", wholeProject)}
	b.Vault = b.open("p2")
	b.visit(alice, "files")
	r := request(alice, agent, provider.Need{Connection: "more", Groups: [][]string{{"files.read"}, {"files.write"}}})
	b.vendor.set(func(v *vendor) { v.scopes, v.revoked = "files.read", nil })
	cb := b.allow(b.ticket(alice, agent, b.lack(r)), alice)
	cb.Connection = "more"
	if e := b.failure(cb); e.Failure != vault.FlowScopes {
		t.Fatalf("failure %s", e.Failure)
	}
	if n := len(b.revokedThere()); n != 0 {
		t.Errorf("%d tokens were revoked", n)
	}
}
