package vault_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// refusing has the vendor answer revocations with a status, 0 = properly.
func (b *bench) refusing(status int) {
	b.vendor.set(func(v *vendor) { v.noRevoke = status })
}

func (b *bench) revokedThere() (out []string) {
	b.vendor.set(func(v *vendor) { out = append(out, v.revoked...) })
	return out
}

// R29: where the vendor answers 503, local use stops at once, and it is asked
// again with back-off, by whatever process runs, until it confirms.
func TestPendingRevocation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.refusing(http.StatusServiceUnavailable)
	at, err := b.Revoke(t.Context(), alice.Caller, acc.ID)
	if at || !errors.Is(err, vault.ErrRevocationPending) {
		t.Fatalf("revoke = %t, %v", at, err)
	}
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked {
		t.Errorf("lack = %+v", e)
	}
	other := b.open("p2")
	for range 3 { // too early, then refused again
		if done, left, err := other.RetryRevocations(t.Context()); done != 0 || left != 1 || err != nil {
			t.Fatalf("%d done, %d left, %v", done, left, err)
		}
		b.clock.add(5 * time.Minute)
	}
	b.refusing(0)
	b.clock.add(time.Hour)
	if done, left, err := other.RetryRevocations(t.Context()); done != 1 || left != 0 || err != nil {
		t.Fatalf("%d done, %d left, %v", done, left, err)
	}
	b.vendor.set(func(v *vendor) {
		if len(v.revoked) != 1 || v.revoked[0] != v.live {
			t.Errorf("%d tokens were revoked there", len(v.revoked))
		}
	})
	if p, r := b.audited("grant.revocation_pending"), b.audited("grant.revoked_at_vendor"); p != 1 || r != 1 {
		t.Errorf("%d pending, %d confirmed", p, r)
	}
	if done, left, _ := b.RetryRevocations(t.Context()); done+left != 0 {
		t.Error("it is still there")
	}
}

// R29: after seven days the vault gives up, shreds the tokens and says so.
func TestRevocationIsGivenUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.refusing(http.StatusServiceUnavailable)
	if _, err := b.Revoke(t.Context(), alice.Caller, acc.ID); !errors.Is(err, vault.ErrRevocationPending) {
		t.Fatal(err)
	}
	b.clock.add(8 * 24 * time.Hour)
	if done, left, err := b.RetryRevocations(t.Context()); done != 1 || left != 0 || err != nil {
		t.Fatalf("%d done, %d left, %v", done, left, err)
	}
	if n := b.audited("grant.revocation_given_up"); n != 1 || len(b.revokedThere()) != 0 {
		t.Errorf("%d entries", n)
	}
}

// A revocation that waits does not take an account that was connected again meanwhile.
func TestPendingRevocationSparesAReconnect(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.refusing(http.StatusServiceUnavailable)
	if _, err := b.Revoke(t.Context(), alice.Caller, acc.ID); !errors.Is(err, vault.ErrRevocationPending) {
		t.Fatal(err)
	}
	b.refusing(0)
	b.connect(alice, agent)
	b.clock.add(time.Hour / 2)
	if done, _, err := b.RetryRevocations(t.Context()); done != 1 || err != nil {
		t.Fatalf("%d, %v", done, err)
	}
	if n := len(b.revokedThere()); n != 0 {
		t.Errorf("%d tokens were revoked", n)
	}
	b.token(request(alice, agent))
}

// R29, R75: a user whose vendor is down is deleted all the same. Their token
// waits under the vault's own key, for the revocation alone.
func TestDeletedUserIsStillRevoked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	sealed := b.sealedOf(b.Pseudonym(alice.Caller))
	b.refusing(http.StatusServiceUnavailable)
	d, err := b.DeleteUser(t.Context(), b.Pseudonym(alice.Caller))
	if err != nil || d.Pending != 1 || d.OnDisk != nil {
		t.Fatalf("%+v, %v", d, err)
	}
	if n := b.onDisk(sealed); n != 0 {
		t.Errorf("%d values are on disk", n)
	}
	b.refusing(0)
	b.clock.add(time.Hour)
	if done, _, err := b.RetryRevocations(t.Context()); done != 1 || err != nil {
		t.Fatalf("%d, %v", done, err)
	}
	b.vendor.set(func(v *vendor) {
		if len(v.revoked) != 1 || v.revoked[0] != v.live {
			t.Errorf("%d tokens were revoked there", len(v.revoked))
		}
	})
}
