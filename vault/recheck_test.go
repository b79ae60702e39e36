package vault_test

import (
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// G5: a good id_token of a refresh lets the token out, and is then forgotten.
func TestIDTokenOfARefresh(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.vendor.set(func(v *vendor) { v.subject = "acc-1" })
	for gen := int64(2); gen < 4; gen++ {
		b.clock.add(2 * time.Hour)
		if tok := b.token(request(alice, agent)); tok.Generation != gen || b.vendor.worstSpend() != 1 {
			t.Errorf("generation %d, one token sent %d times", tok.Generation, b.vendor.worstSpend())
		}
	}
	if g := b.row(acc.ID); g.Unverified || g.FailCount != 0 || len(g.AccessCT) > 300 {
		t.Errorf("after the check: unverified %t, %d failures, %d bytes", g.Unverified, g.FailCount, len(g.AccessCT))
	}
}

// G5: a bad id_token quarantines the grant: the access token does not go out, the
// new refresh token is kept, and the old one is never sent again.
func TestBadIDTokenLosesNothing(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]func(*vendor){
		"not a token":    func(v *vendor) { v.idToken = "not.a.token"; v.sign("draws the key") },
		"another person": func(v *vendor) { v.subject = "mallory" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			acc := b.connect(alice, agent)
			b.vendor.set(bad)
			b.clock.add(2 * time.Hour)
			for range 3 {
				if e := b.lack(request(alice, agent)); e.Reason != vault.AccountChanged {
					t.Errorf("lack = %+v", e)
				}
				b.clock.add(2 * time.Hour)
			}
			g := b.row(acc.ID)
			if g.State != string(vault.GrantQuarantined) || g.Gen != 2 || g.RefreshCT == nil || b.vendor.worstSpend() != 1 {
				t.Errorf("row is %s at generation %d, one token sent %d times", g.State, g.Gen, b.vendor.worstSpend())
			}
			if n := b.audited("grant.quarantined"); n != 1 {
				t.Errorf("%d entries", n)
			}
			all, err := b.Accounts(t.Context(), alice.Caller)
			if err != nil || all[0].LastError != "identity" {
				t.Errorf("account = %+v, %v", all, err)
			}
		})
	}
}

// G5: keys that cannot be reached prove nothing. The set stays stored and unused, a new
// process checks it again, and the vendor is not asked for another.
func TestKeysUnreachable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.vendor.set(func(v *vendor) { v.subject, v.keysDown = "acc-1", true })
	b.clock.add(50*time.Minute + 9*time.Minute + 30*time.Second) // in the margin: the old token lives
	before := b.vendor.requests()
	for range 3 {
		if e := b.lack(request(alice, agent)); e.Reason != vault.ProviderUnreachable || e.RetryAfter <= 0 {
			t.Errorf("lack = %+v", e)
		}
	}
	if g := b.row(acc.ID); g.Gen != 2 || !g.Unverified || g.State != string(vault.GrantActive) || g.LastError != "identity_unreachable" {
		t.Errorf("row: generation %d, unverified %t, %s, %s", g.Gen, g.Unverified, g.State, g.LastError)
	}
	b.clock.add(34 * time.Second)
	next := b.open("p2") // the first one is gone, its id_token was in the row
	b.vendor.set(func(v *vendor) { v.keysDown = false })
	tok, err := next.Exchange(t.Context(), request(alice, agent))
	if err != nil || tok.Generation != 2 || b.vendor.requests()-before != 1 {
		t.Errorf("after the keys came back: %+v, %v, %d requests", tok, err, b.vendor.requests()-before)
	}
	if strings.Contains(b.log.String(), "canary") {
		t.Error("a token is in the log")
	}
}
