package vault_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// G4: what a narrowing refresh brought that the store did not take, the next
// process takes from the emergency journal: as what it is, and not as the account's own token.
func TestNarrowedIsReplayed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	b := narrowing(t, "", "honest")
	id := b.connect(alice, nightly).ID
	own := b.token(request(alice, nightly))
	f, with := broken(t)
	r, rescued := newRescuer(t, folder, "p1")
	b.Vault = b.open("p1", with, rescued)
	b.vendor.set(func(v *vendor) { v.onToken = func() { f.set(fails, false) } })
	if e := b.lack(exchange(alice, []string{"files.read"})); e.Reason != vault.VaultDegraded {
		t.Fatalf("lack = %+v", e)
	}
	b.vendor.set(func(v *vendor) { v.onToken = nil })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, rescued = newRescuer(t, folder, "p2")
	b.Vault = b.open("p2", rescued)
	if g := b.row(id); g.Gen != 2 || g.Scopes != "files.all mail offline_access" {
		t.Errorf("row = %+v", g)
	}
	if now := b.token(request(alice, nightly)); !now.Token.Equal(own.Token) {
		t.Error("the account's own token is another")
	}
	if can, _ := b.truth(b.token(exchange(alice, []string{"files.read"}))); can != "files.read offline_access" {
		t.Errorf("a token can do %q", can)
	}
	if n := b.vendor.worstSpend(); n != 1 || len(b.asked()) != 1 {
		t.Errorf("one token was sent %d times, %d narrowing refreshes", n, len(b.asked()))
	}
}

// G5: whose account it is, is proven before the narrowed token goes out, too. Of another's account nothing does.
func TestNarrowedIsVerified(t *testing.T) {
	t.Parallel()
	for subject, reason := range map[string]vault.Reason{"acc-1": "", "acc-9": vault.AccountChanged} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			b := narrowing(t, "", "honest")
			acc := b.connect(alice, nightly)
			b.vendor.set(func(v *vendor) { v.subject, v.keysDown = subject, true })
			r := exchange(alice, []string{"files.read"})
			if e := b.lack(r); e.Reason != vault.ProviderUnreachable || !b.row(acc.ID).Unverified {
				t.Fatalf("while the keys are down: %+v", e)
			}
			b.vendor.set(func(v *vendor) { v.keysDown = false })
			b.clock.add(time.Minute)
			if reason != "" {
				if e := b.lack(r); e.Reason != reason {
					t.Errorf("lack = %+v", e)
				}
				return
			}
			if can, _ := b.truth(b.token(r)); can != "files.read offline_access" || len(b.asked()) != 1 {
				t.Errorf("a token can do %q", can)
			}
		})
	}
}

// Of two processes that want the same token at the same time one asks the vendor, and both have it.
func TestNarrowedOnce(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, server string) {
		b := narrowing(t, server, "honest")
		b.connect(alice, nightly)
		b.vendor.set(func(v *vendor) { v.delay = 50 * time.Millisecond })
		var all sync.WaitGroup
		for _, v := range []*vault.Vault{b.Vault, b.open("p2"), b.open("p3")} {
			for range 4 {
				all.Go(func() {
					tok, err := v.Exchange(t.Context(), exchange(alice, []string{"files.read"}))
					if err != nil {
						t.Error(err)
						return
					}
					if can, _ := b.truth(tok); can != "files.read offline_access" {
						t.Errorf("a token can do %q", can)
					}
				})
			}
		}
		all.Wait()
		if n := len(b.asked()); n != 1 || b.vendor.worstSpend() != 1 {
			t.Errorf("%d narrowing refreshes, one token sent %d times", n, b.vendor.worstSpend())
		}
	})
}

// Nothing of a narrowed token stands in the open, and one that was changed in the database opens no more.
func TestNarrowedTokensAreSealed(t *testing.T) {
	t.Parallel()
	b := narrowing(t, "", "honest")
	first := b.connect(alice, nightly)
	r := exchange(alice, []string{"files.read"})
	tok := b.token(r)
	err := b.store.Update(t.Context(), func(tx vault.Tx) error {
		recs, err := tx.Records().List("narrowed/"+first.ID, b.Pseudonym(alice.Caller), 0)
		if err != nil || len(recs) != 1 {
			t.Fatalf("records = %+v, %v", recs, err)
		}
		if strings.Contains(string(recs[0].Value), "canary") {
			t.Error("a token stands in the open")
		}
		rec := recs[0]
		if _, err := tx.Records().Take(rec.Kind, rec.Hash, 0); err != nil {
			return err
		}
		rec.Expires++
		rec.Version = 1
		return tx.Records().Put(rec, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Vault = b.open("p2")
	if again := b.token(r); again.Token.Equal(tok.Token) || len(b.asked()) != 2 {
		t.Error("a changed record opened")
	}
}
