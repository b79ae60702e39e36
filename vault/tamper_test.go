package vault_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// R71: sealed columns that were swapped between rows, users, columns or
// generations, or of which a bit was flipped, do not open: no token comes out,
// the row is quarantined, and the audit says so.
func TestMovedBlobs(t *testing.T) {
	t.Parallel()
	flip := func(b []byte, at int) []byte { c := slices.Clone(b); c[at] ^= 1; return c }
	for name, change := range map[string]func(g *vault.GrantRow, other, before vault.GrantRow){
		"access of another row": func(g *vault.GrantRow, other, _ vault.GrantRow) { g.AccessCT = other.AccessCT },
		"all of another row": func(g *vault.GrantRow, o, _ vault.GrantRow) {
			g.AccessCT, g.RefreshCT, g.ProfileCT = o.AccessCT, o.RefreshCT, o.ProfileCT
		},
		"profile of another row":    func(g *vault.GrantRow, other, _ vault.GrantRow) { g.ProfileCT = other.ProfileCT },
		"refresh as access":         func(g *vault.GrantRow, _, _ vault.GrantRow) { g.AccessCT = g.RefreshCT },
		"alternate as refresh":      func(g *vault.GrantRow, _, _ vault.GrantRow) { g.RefreshCT = g.AltCT },
		"access of last generation": func(g *vault.GrantRow, _, before vault.GrantRow) { g.AccessCT = before.AccessCT },
		"row of last generation": func(g *vault.GrantRow, _, before vault.GrantRow) {
			g.AccessCT, g.RefreshCT = before.AccessCT, before.RefreshCT
		},
		"another destination": func(g *vault.GrantRow, _, _ vault.GrantRow) {
			g.AccessCT, g.ProfileCT = flip(g.AccessCT, 30), flip(g.ProfileCT, 30)
		},
		"a bit of the text":     func(g *vault.GrantRow, _, _ vault.GrantRow) { g.AccessCT = flip(g.AccessCT, 40) },
		"a bit of the tag":      func(g *vault.GrantRow, _, _ vault.GrantRow) { g.AccessCT = flip(g.AccessCT, len(g.AccessCT)-1) },
		"a bit of the key's id": func(g *vault.GrantRow, _, _ vault.GrantRow) { g.RefreshCT = flip(g.RefreshCT, 5) },
		"a bit of the version":  func(g *vault.GrantRow, _, _ vault.GrantRow) { g.RefreshCT = flip(g.RefreshCT, 0) },
		"cut":                   func(g *vault.GrantRow, _, _ vault.GrantRow) { g.AccessCT = g.AccessCT[:20] },
		"a younger generation":  func(g *vault.GrantRow, _, _ vault.GrantRow) { g.Gen++ },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			acc := b.connect(alice, agent)
			before := b.row(acc.ID)
			b.clock.add(2 * time.Hour)
			b.token(request(alice, agent)) // so that there is a generation before, and an alternate
			b.vendor.set(func(v *vendor) { v.account, v.email = "acc-2", "bob@example.com" })
			bobs := b.connect(bob, agent)
			b.change(acc.ID, func(g *vault.GrantRow) { change(g, b.row(bobs.ID), before) })
			sent := b.vendor.requests()
			for range 3 {
				if e := b.lack(request(alice, agent)); e.Reason != vault.AccountChanged || strings.Contains(e.Error(), "canary") {
					t.Fatalf("lack = %+v", e)
				}
			}
			if state := b.row(acc.ID).State; state != string(vault.GrantQuarantined) || b.audited("grant.quarantined") != 1 {
				t.Errorf("state %s, %d entries", state, b.audited("grant.quarantined"))
			}
			if b.vendor.requests() != sent {
				t.Error("something of it was sent")
			}
			b.token(request(bob, agent)) // the row that was copied from is whole
			b.vendor.set(func(v *vendor) { v.account, v.email = "acc-1", "alice@example.com" })
			b.connect2(acc) // and its person can mend it
			b.token(request(alice, agent))
		})
	}
}

// An access that was changed in the database gives nothing, and its person still sees it and can take it away.
func TestChangedAccess(t *testing.T) {
	t.Parallel()
	write := provider.Need{Provider: "oauth2", Groups: [][]string{{"files.write"}}}
	for name, tc := range map[string]struct {
		change func(*vault.AccessRow)
		need   provider.Need
	}{
		"more scopes":  {func(a *vault.AccessRow) { a.Scopes = "files.read files.write" }, write},
		"more time":    {func(a *vault.AccessRow) { a.Expires += 1e10 }, read},
		"for ever":     {func(a *vault.AccessRow) { a.Once = "" }, read},
		"another seal": {func(a *vault.AccessRow) { a.AgentCT = a.AgentCT[:30] }, read},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.vendor.set(func(v *vendor) { v.scopes = "files.read files.write" })
			b.connectOnce()
			err := b.store.Update(t.Context(), func(tx vault.Tx) error {
				rows, err := tx.Access().List(b.Pseudonym(alice.Caller))
				if err != nil || len(rows) != 1 {
					t.Fatalf("%d rows, %v", len(rows), err)
				}
				tc.change(&rows[0])
				return tx.Access().Put(rows[0])
			})
			if err != nil {
				t.Fatal(err)
			}
			if e := b.lack(request(alice, agent, tc.need)); e.Reason != vault.AgentNotAllowed {
				t.Errorf("lack = %+v", e)
			}
			list, err := b.AccessList(t.Context(), alice.Caller)
			if err != nil || len(list) != 1 {
				t.Fatalf("list = %+v, %v", list, err)
			}
			if err := b.RevokeAccess(t.Context(), alice.Caller, list[0].ID); err != nil {
				t.Error(err)
			}
		})
	}
}

// A grant that does not open keeps no other from being confirmed, and is not confirmed itself.
func TestConfirmBesideABrokenGrant(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.vendor.set(func(v *vendor) { v.account, v.email = "acc-2", "bob@example.com" })
	b.connect(bob, agent)
	b.change(acc.ID, func(g *vault.GrantRow) { g.RefreshCT = g.AccessCT })
	elsewhere := newVendor(t, b.clock.Now)
	b.conns = []*provider.Connection{elsewhere.connection("files")}
	b.Vault = b.open("p2")
	if n, err := b.ConfirmConnection(t.Context(), "files"); n != 1 || err != nil {
		t.Fatalf("confirmed %d, %v", n, err)
	}
	b.token(request(bob, agent))
	if e := b.lack(request(alice, agent)); e.Reason != vault.ConnChanged {
		t.Errorf("lack = %+v", e)
	}
}

// R63: what may be used once is used once after a restart, too.
func TestUsedOnceAfterARestart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tk := b.ticket(alice, agent, b.lack(request(alice, agent)))
	a := answer(b, tk, alice)
	a.Once = true
	s, err := b.Allow(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	c := callback(t, s, alice)
	b.Vault = b.open("p2") // the flow itself survives
	if _, _, err := b.Finish(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	b.token(request(alice, agent))
	if err := b.Records().Put(t.Context(), "used", "jti", alice.Caller, []byte("1"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Records().Take(t.Context(), "used", "jti"); err != nil {
		t.Fatal(err)
	}
	b.Vault = b.open("p3")
	if e := b.failure(c); e.Failure != vault.FlowState {
		t.Errorf("the callback again: %s", e.Failure)
	}
	if _, err := b.Allow(t.Context(), answer(b, tk, alice)); err == nil {
		t.Error("the ticket was answered again")
	}
	r := request(alice, agent)
	r.Call = "call-2"
	if e := b.lack(r); e.Reason != vault.AgentNotAllowed {
		t.Errorf("access for one call again: %s", e.Reason)
	}
	if _, err := b.Records().Take(t.Context(), "used", "jti"); err == nil {
		t.Error("a record was taken again")
	}
	if n := b.vendor.requests(); n != 1 {
		t.Errorf("the vendor saw %d requests", n)
	}
}
