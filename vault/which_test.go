package vault_test

import (
	"errors"
	"testing"

	"github.com/grantry/grantry/vault"
)

// Which releases nothing and says what would be used. A request that names the access
// which it says is served by that one alone: not by one that its person gives later.
func TestWhichAccess(t *testing.T) {
	t.Parallel()
	b := employ(t, "files.read")
	r := request(alice, nightly)
	c, err := b.Which(t.Context(), r)
	if err != nil || c.Access == "" || c.Connection.Name() != "files" || c.Grant == "" || !c.Token.IsZero() {
		t.Fatalf("%+v, %v", c, err)
	}
	if n := b.audited("token.released"); n != 0 {
		t.Errorf("%d tokens were released", n)
	}
	b.token(r)
	r.Access = c.Access
	for range 2 { // the second time by what is remembered
		b.token(r)
	}
	other := r
	other.Access = "acc_other"
	if lack := b.lack(other); lack.Reason != vault.AgentNotAllowed || !errors.Is(lack, vault.ErrOtherAccess) {
		t.Errorf("another access: %v", lack)
	}
	if err := b.RevokeAccess(t.Context(), alice.Caller, c.Access); err != nil {
		t.Fatal(err)
	}
	if lack := b.lack(r); lack.Reason != vault.AgentNotAllowed || errors.Is(lack, vault.ErrOtherAccess) {
		t.Errorf("no access: %v", lack)
	}
	b.yes(alice, b.lack(request(alice, nightly)), false)
	b.token(request(alice, nightly))
	if lack := b.lack(r); !errors.Is(lack, vault.ErrOtherAccess) {
		t.Errorf("a later access: %v", lack)
	}
}
