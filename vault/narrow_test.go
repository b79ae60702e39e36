package vault_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/storetest"
)

// narrowing is a bench whose vendor narrows in the named way, and whose catalog says how it does.
func narrowing(t *testing.T, server, way string, change ...func(*provider.Provider)) *bench {
	t.Helper()
	b := newBenchOn(t, server)
	change = append([]func(*provider.Provider){func(p *provider.Provider) { p.Refresh.Narrows = provider.NarrowsListed }}, change...)
	b.conns = []*provider.Connection{b.vendor.connection("files", change...)}
	b.Vault = b.open("narrowing")
	b.vendor.set(func(v *vendor) { v.scopes, v.narrow = "files.all mail offline_access", way })
	return b
}

// truth is what a token can do by its vendor's word, and whose it is.
func (b *bench) truth(tok *vault.Token) (can, of string) {
	b.vendor.mu.Lock()
	defer b.vendor.mu.Unlock()
	return b.vendor.can[tok.Token.Reveal()], b.vendor.of[tok.Token.Reveal()]
}

// asks are the scopes that refreshes asked for.
func (b *bench) asked() []string {
	b.vendor.mu.Lock()
	defer b.vendor.mu.Unlock()
	return slices.Clone(b.vendor.narrowed)
}

// narrowedOf counts the narrowed tokens in the store.
func (b *bench) narrowedOf(id string) (n int) {
	b.t.Helper()
	err := b.store.View(b.t.Context(), func(tx vault.Tx) error {
		recs, err := tx.Records().List("narrowed/"+id, b.Pseudonym(alice.Caller), 0)
		n = len(recs)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

var mail = provider.Need{Provider: "oauth2", Groups: [][]string{{"mail"}}}

// servers are the databases that a test of stored tokens runs on.
func servers(t *testing.T, test func(t *testing.T, server string)) {
	for name, server := range map[string]func(*testing.T) string{
		"sqlite": func(*testing.T) string { return "" }, "postgres": storetest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, server(t))
		})
	}
}

// Where the vendor narrows, a workload gets a token of what it asks for, apart from the account's own, and again while it lives.
func TestNarrowed(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, server string) {
		b := narrowing(t, server, "honest")
		acc := b.connect(alice, nightly)
		own := b.token(request(alice, nightly))
		r := exchange(alice, []string{"files.read"})
		tok := b.token(r)
		if can, _ := b.truth(tok); can != "files.read offline_access" || !slices.Equal(tok.Scopes, []string{"files.read", "offline_access"}) {
			t.Errorf("the token can do %q and says %q", can, tok.Scopes)
		}
		if tok.Grant != acc.ID || tok.Account != own.Account || tok.Expiry.Sub(b.clock.Now()) != time.Hour {
			t.Errorf("token = %+v", tok)
		}
		for range 3 {
			if again := b.token(r); !again.Token.Equal(tok.Token) {
				t.Error("a narrowed token that lives was got anew")
			}
		}
		if now := b.token(request(alice, nightly)); !now.Token.Equal(own.Token) || now.Generation != own.Generation {
			t.Error("the account's own token is another")
		}
		if got := b.asked(); !slices.Equal(got, []string{"files.read offline_access"}) || b.vendor.requests() != 2 || b.vendor.worstSpend() != 1 {
			t.Errorf("the vendor was asked for %q", got)
		}
		if got := b.row(acc.ID); got.Scopes != "files.all mail offline_access" || got.Gen != 2 {
			t.Errorf("row = %+v", got)
		}
		b.clock.add(59*time.Minute + 30*time.Second)
		if next := b.token(r); next.Token.Equal(tok.Token) || len(b.asked()) != 2 {
			t.Error("a narrowed token went out at its end")
		}
		list := b.kinds("token.exchanged")
		if len(list) != 5 || !slices.Equal(list[0].Scopes, []string{"files.read", "offline_access"}) || len(b.kinds("grant.refreshed")) != 2 {
			t.Errorf("audit = %+v", list)
		}
		if _, err := b.VerifyAudit(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Two sets of scopes are two tokens, and a second account or person has its own. What nobody asks for in particular is all that there is under the ceiling.
func TestNarrowedTokensAreApart(t *testing.T) {
	t.Parallel()
	b := narrowing(t, "", "honest")
	b.connect(alice, nightly)
	b.yes(alice, b.lack(request(alice, nightly, mail)), false)
	files, letters := exchange(alice, []string{"files.read"}), exchange(alice, []string{"mail"}, mail)
	both := exchange(alice, []string{"files.read", "mail"}, provider.Need{Connection: "files"})
	for range 2 {
		for want, r := range map[string]vault.Request{"files.read offline_access": files, "mail offline_access": letters, "files.read mail offline_access": both} {
			if can, of := b.truth(b.token(r)); can != want || of != "acc-1" {
				t.Errorf("a token can do %q of %s, want %q", can, of, want)
			}
		}
	}
	if n := len(b.asked()); n != 3 {
		t.Errorf("%d narrowing refreshes, want one for each set", n)
	}
	for want, tok := range map[string]*vault.Token{"files.read offline_access": b.token(files), "mail offline_access": b.token(letters)} {
		if can, _ := b.truth(tok); can != want {
			t.Errorf("after the others a token can do %q, want %q", can, want)
		}
	}
}

// R62: of many people at the same time each gets tokens of their own account, narrowed or not.
func TestNarrowedTokensOfManyPeople(t *testing.T) {
	t.Parallel()
	b := narrowing(t, "", "honest")
	b.vendor.set(func(v *vendor) { v.many = map[string]string{} })
	var people []vault.Person
	for i := range 12 {
		p := somebody(fmt.Sprintf("p%d", i))
		b.vendor.set(func(v *vendor) { v.account, v.email = "of-"+p.Subject, p.Email })
		b.connect(p, nightly)
		people = append(people, p)
	}
	var all sync.WaitGroup
	for range 3 {
		for _, p := range people {
			for want, r := range map[string]vault.Request{"files.read offline_access": exchange(p, []string{"files.read"}), "files.all mail offline_access": request(p, nightly)} {
				all.Go(func() {
					tok, err := b.Exchange(t.Context(), r)
					if err != nil {
						t.Error(err)
						return
					}
					if can, of := b.truth(tok); can != want || of != "of-"+p.Subject {
						t.Errorf("%s got a token of %s for %q, want %q", p.Subject, of, can, want)
					}
				})
			}
		}
	}
	all.Wait()
	if n := len(b.asked()); n != len(people) || b.vendor.worstSpend() > 1 {
		t.Errorf("%d narrowing refreshes for %d people", n, len(people))
	}
}

// A vendor that does not do what the catalog says gives nothing away: the token is not used, the
// operator reads of it, and it is not asked again for a day. The account lives on.
func TestDishonestNarrowing(t *testing.T) {
	t.Parallel()
	for way, asked := range map[string]int{"wide": 1, "silent": 1, "refuse": 1} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := narrowing(t, "", way)
			b.connect(alice, nightly)
			own := b.token(request(alice, nightly))
			r := exchange(alice, []string{"files.read"})
			for range 3 {
				e := b.lack(r)
				if e.Reason != vault.CannotNarrow || !slices.Equal(e.Excess, []string{"files.all", "mail"}) {
					t.Fatalf("lack = %+v", e)
				}
			}
			if n := len(b.asked()); n != asked {
				t.Errorf("the vendor was asked %d times", n)
			}
			if way != "refuse" && !strings.Contains(b.log.String(), "gave another") {
				t.Error("the operator hears nothing")
			}
			if now := b.token(request(alice, nightly)); !now.Token.Equal(own.Token) {
				t.Error("the account's own token is another")
			}
			r.Ceiling.Wider = true
			b.yes(alice, b.lack(r), true)
			if tok := b.token(r); !tok.Token.Equal(own.Token) || !slices.Equal(tok.Scopes, []string{"files.all", "mail", "offline_access"}) {
				t.Errorf("a wider token = %+v", tok)
			}
			f, with := broken(t)
			b.Vault = b.open("another", with)
			b.token(r)
			f.failViews(errors.New("no reading now"))
			if tok := b.token(r); !tok.Token.Equal(own.Token) {
				t.Errorf("what is remembered = %+v", tok)
			}
			f.failViews(nil)
			b.clock.add(25 * time.Hour)
			b.vendor.set(func(v *vendor) { v.narrow = "honest" })
			if can, _ := b.truth(b.token(r)); can != "files.read offline_access" {
				t.Errorf("a day later the token can do %q", can)
			}
		})
	}
}

// Of a vendor whose catalog entry says that it narrows by contract, an answer without scopes is believed.
func TestSilentNarrowing(t *testing.T) {
	t.Parallel()
	b := narrowing(t, "", "silent", func(p *provider.Provider) { p.Refresh.Narrows = provider.NarrowsSilent })
	b.connect(alice, nightly)
	tok := b.token(exchange(alice, []string{"files.read"}))
	if can, _ := b.truth(tok); can != "files.read offline_access" || !slices.Equal(tok.Scopes, []string{"files.read", "offline_access"}) {
		t.Errorf("the token can do %q and says %q", can, tok.Scopes)
	}
}

// Where a refresh kills the tokens before it, the account's own is refreshed before its next use, and the narrowed one after that.
func TestNarrowingWhereItKills(t *testing.T) {
	t.Parallel()
	b := narrowing(t, "", "honest", func(p *provider.Provider) { p.Refresh.KillsAccess = true })
	b.connect(alice, nightly)
	own := b.token(request(alice, nightly))
	r := exchange(alice, []string{"files.read"})
	first := b.token(r)
	if again := b.token(r); !again.Token.Equal(first.Token) {
		t.Error("the narrowed token is gone")
	}
	now := b.token(request(alice, nightly))
	if can, _ := b.truth(now); now.Token.Equal(own.Token) || can != "files.all mail offline_access" {
		t.Errorf("the account's token can do %q", can)
	}
	if again := b.token(r); again.Token.Equal(first.Token) {
		t.Error("a narrowed token went out that the vendor has killed")
	}
	if b.vendor.worstSpend() != 1 {
		t.Error("a refresh token was sent twice")
	}
}

// ends are what ends a narrowed token together with its account, in another process.
func ends() map[string]change {
	out := changes()
	out["the account is connected anew"] = change{do: func(b *bench, other *vault.Vault, acc vault.Account) error {
		b.vendor.set(func(v *vendor) { v.narrow = "wide" })
		s, _, err := other.OpenTicket(b.t.Context(), vault.TicketRequest{Owner: alice, Agent: nightly, Need: &vault.ConsentError{
			Reason: vault.Revoked, Options: []vault.Option{{Connection: "files", Grant: acc.ID, Scopes: acc.Scopes, VendorNeeded: true}},
		}})
		if err != nil {
			return err
		}
		_, _, err = other.Finish(b.t.Context(), b.allow(s, alice))
		return err
	}, want: vault.CannotNarrow}
	out["everything is stopped"] = change{do: func(b *bench, other *vault.Vault, _ vault.Account) error {
		_, err := other.Stop(b.t.Context(), alice.Caller, vault.StopScope{})
		return err
	}, want: vault.AgentNotAllowed}
	return out
}

// R64: with the account its narrowed tokens are over, in every process and also where they are remembered, and nothing of them is left in the store.
func TestNarrowedTokensEndWithTheirAccount(t *testing.T) {
	t.Parallel()
	for name, tc := range ends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := narrowing(t, "", "honest")
			acc := b.connect(alice, nightly)
			r := exchange(alice, []string{"files.read"})
			for range 2 {
				b.token(r)
			}
			if n := b.narrowedOf(acc.ID); n != 1 {
				t.Fatalf("%d narrowed tokens are stored", n)
			}
			other := b.open("p2")
			if name == "the agent's access is revoked" {
				tc.do = func(b *bench, other *vault.Vault, _ vault.Account) error {
					return other.RevokeAccess(b.t.Context(), alice.Caller, b.access(alice, nightly).ID)
				}
			}
			if err := tc.do(b, other, acc); err != nil {
				t.Fatal(err)
			}
			if n := b.narrowedOf(acc.ID); tc.want == vault.Revoked && n != 0 {
				t.Errorf("%d narrowed tokens are left", n)
			}
			for _, v := range []*vault.Vault{b.Vault, other} {
				b.Vault = v
				if e := b.lack(r); e.Reason != tc.want {
					t.Errorf("lack = %+v, want %s", e, tc.want)
				}
			}
		})
	}
}

// A narrowed token goes out to who waits for it while the vendor is down, as long as it lives, and a lost grant is reported as any other.
func TestNarrowingFails(t *testing.T) {
	t.Parallel()
	b := narrowing(t, "", "honest")
	b.connect(alice, nightly)
	r := exchange(alice, []string{"files.read"})
	b.vendor.set(func(v *vendor) { v.status = 503 })
	if e := b.lack(r); e.Reason != vault.ProviderUnreachable {
		t.Errorf("lack = %+v", e)
	}
	b.token(request(alice, nightly)) // its own lives on
	b.vendor.set(func(v *vendor) { v.status = 0 })
	b.clock.add(time.Hour)
	tok := b.token(r)
	b.vendor.set(func(v *vendor) { v.status = 503 })
	b.clock.add(59*time.Minute + 30*time.Second)
	if again := b.token(r); !again.Token.Equal(tok.Token) {
		t.Error("another token")
	}
	b.vendor.set(func(v *vendor) { v.status, v.live = 0, "gone" })
	b.clock.add(time.Hour)
	if e := b.lack(r); e.Reason != vault.Revoked {
		t.Errorf("lack = %+v", e)
	}
}

// A token refused by its API is narrowed anew, and one with a longer life on demand, both once.
func TestNarrowedAnew(t *testing.T) {
	t.Parallel()
	b := narrowing(t, "", "honest")
	b.connect(alice, nightly)
	r := exchange(alice, []string{"files.read"})
	tok := b.token(r)
	r.Stale = &tok.Bearer
	next := b.token(r)
	if next.Token.Equal(tok.Token) || len(b.asked()) != 2 {
		t.Error("the refused token went out again")
	}
	if again := b.token(r); !again.Token.Equal(next.Token) || len(b.asked()) != 2 {
		t.Error("a third was got for the refusal of the first")
	}
	r.Stale = nil
	b.clock.add(40 * time.Minute)
	r.MinTTL = 30 * time.Minute
	if long := b.token(r); long.Token.Equal(next.Token) || len(b.asked()) != 3 {
		t.Error("a token went out that lives too short")
	}
}

// The account's own token stays the one that its API refused, whatever was narrowed meanwhile.
func TestNarrowingRenewsNoOther(t *testing.T) {
	t.Parallel()
	b := narrowing(t, "", "honest")
	b.connect(alice, nightly)
	own := b.token(request(alice, nightly))
	b.token(exchange(alice, []string{"files.read"}))
	r := request(alice, nightly)
	r.Stale = &own.Bearer
	if now := b.token(r); now.Token.Equal(own.Token) {
		t.Error("a token went out that its API had refused")
	}
}
