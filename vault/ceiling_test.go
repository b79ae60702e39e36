package vault_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// nightly is a workload, as an agent.
var nightly = vault.Agent{Issuer: "workload:", ID: "nightly", Name: "nightly", Verified: true}

// exchange is what the token endpoint asks for a workload whose tokens may have scopes at most.
func exchange(p vault.Person, scopes []string, needs ...provider.Need) vault.Request {
	r := request(p, nightly, needs...)
	r.Tool, r.Call, r.Ceiling = "", "", &vault.Ceiling{Scopes: scopes}
	r.Exchanged = &vault.Exchanged{Subject: "access_token", Issued: "access_token"}
	return r
}

// employ connects alice's account for the workload, with these scopes granted, to all of which she says yes.
func employ(t *testing.T, granted string) *bench {
	t.Helper()
	b := newBench(t)
	b.vendor.set(func(v *vendor) { v.scopes = granted })
	b.connect(alice, nightly)
	if granted != "files.read" {
		all := provider.Need{Provider: "oauth2"}
		for _, s := range strings.Fields(granted) {
			all.Groups = append(all.Groups, []string{s})
		}
		b.yes(alice, b.lack(request(alice, nightly, all)), false)
	}
	return b
}

// yes is a person's to what an exchange of the workload lacked, on our page alone.
func (b *bench) yes(p vault.Person, lack *vault.ConsentError, wider bool) {
	b.t.Helper()
	t, _, err := b.OpenTicket(b.t.Context(), vault.TicketRequest{Owner: p, Agent: nightly, Need: lack, Wider: wider})
	if err != nil {
		b.t.Fatal(err)
	}
	if s, err := b.Allow(b.t.Context(), answer(b, t, p)); err != nil || s.Ticket.State != vault.TicketDone {
		b.t.Fatalf("allow = %+v, %v", s, err)
	}
}

// A token leaves only if all that it can do is under the ceiling. Scopes that only say whose account it is do not count.
func TestCeiling(t *testing.T) {
	t.Parallel()
	b := employ(t, "files.all mail openid offline_access")
	all := []string{"files.all", "mail", "offline_access", "openid"}
	for name, tc := range map[string]struct {
		ceiling *vault.Ceiling
		excess  []string // nil: there is a token
	}{
		"none":            {nil, nil},
		"all":             {&vault.Ceiling{Scopes: []string{"mail", "files.all"}}, nil},
		"one too many":    {&vault.Ceiling{Scopes: []string{"files.all"}}, []string{"mail"}},
		"what it asks":    {&vault.Ceiling{Scopes: []string{"files.read"}}, []string{"files.all", "mail"}},
		"wider":           {&vault.Ceiling{Scopes: []string{"files.read"}, Wider: true}, nil},
		"nothing":         {&vault.Ceiling{}, []string{"files.read"}},
		"nothing, wider":  {&vault.Ceiling{Wider: true}, []string{"files.read"}},
		"something else":  {&vault.Ceiling{Scopes: []string{"mail"}, Wider: true}, []string{"files.read"}},
		"none once again": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second is remembered
				r := exchange(alice, nil)
				r.Ceiling = tc.ceiling
				if tc.excess == nil {
					if tok := b.token(r); !slices.Equal(tok.Scopes, all) {
						t.Errorf("the token says that it can do %q", tok.Scopes)
					}
					continue
				}
				e := b.lack(r)
				if e.Reason != vault.CannotNarrow || !slices.Equal(e.Excess, tc.excess) || len(e.Options) != 1 || e.Options[0].Connection != "files" {
					t.Errorf("lack = %+v", e)
				}
				if e.Reason.Mendable() {
					t.Error("a person is asked")
				}
			}
		})
	}
	if n := b.vendor.requests(); n != 1 {
		t.Errorf("the vendor was asked %d times, and cannot narrow", n)
	}
}

// A person is asked for no more than the ceiling, and for nothing that no ceiling allows.
func TestNothingIsAskedBeyondTheCeiling(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	either := provider.Need{Provider: "oauth2", Groups: [][]string{{"files.write", "files.read"}}}
	e := b.lack(exchange(alice, []string{"files.all"}, either))
	if e.Reason != vault.NotConnected || !slices.Equal(e.Options[0].Scopes, []string{"files.read"}) {
		t.Errorf("lack = %+v", e)
	}
	write := provider.Need{Provider: "oauth2", Groups: [][]string{{"files.write"}, {"files.read"}}}
	if e := b.lack(exchange(alice, []string{"files.all"}, write)); e.Reason != vault.CannotNarrow || !slices.Equal(e.Excess, []string{"files.write"}) {
		t.Errorf("lack = %+v", e)
	}
}

// What leaves the program has an entry of its own, which its person is shown, and a refusal says for whom it was, too.
func TestExchangedIsAudited(t *testing.T) {
	t.Parallel()
	b := employ(t, "files.read openid")
	r := exchange(alice, []string{"files.read"})
	r.Exchanged = &vault.Exchanged{
		Subject: "jwt", Issued: "proxy_token", Actors: []string{"cron", "claude"}, Context: "report of November", TokenID: "jti-1",
	}
	b.token(r)
	r.Ceiling = &vault.Ceiling{Scopes: []string{"mail"}, Wider: true}
	b.lack(r)
	if n := b.audited("token.released"); n != 0 {
		t.Errorf("%d entries say that a token was released to a tool", n)
	}
	list, _, err := b.Activity(t.Context(), alice.Caller, vault.ActivityQuery{Kinds: []string{"token."}, Limit: 2})
	if err != nil || len(list) != 2 {
		t.Fatalf("activity = %+v, %v", list, err)
	}
	for i, kind := range []string{"token.refused", "token.exchanged"} {
		if list[i].Kind != kind || list[i].AgentName != "nightly" || list[i].Connection != "files" {
			t.Errorf("entry %+v, want %s", list[i], kind)
		}
		if diff := cmp.Diff(r.Exchanged, list[i].Detail.Exchange); diff != "" {
			t.Error(diff)
		}
	}
	if got := list[1]; !slices.Equal(got.Scopes, []string{"files.read", "openid"}) || got.Detail.Generation != 1 || got.Account == "" {
		t.Errorf("entry %+v", got)
	}
}

// A token that must live longer than the one at hand is got by one refresh. Where the vendor's live too short, no call asks for more than one, and no two within 30 s (G10).
func TestMinTTL(t *testing.T) {
	t.Parallel()
	b := employ(t, "files.read")
	r := exchange(alice, []string{"files.read"})
	b.token(r)
	b.clock.add(40 * time.Minute)
	b.token(r)
	if n := b.vendor.requests(); n != 1 {
		t.Fatalf("%d token requests", n)
	}
	r.MinTTL = 30 * time.Minute
	tok := b.token(r)
	if n := b.vendor.requests(); n != 2 || tok.Expiry.Sub(b.clock.Now()) < r.MinTTL {
		t.Fatalf("%d token requests, a token until %s", n, tok.Expiry)
	}
	b.vendor.set(func(v *vendor) { v.life = 600 })
	b.clock.add(45 * time.Minute)
	for step, want := range []int{3, 3, 4} {
		if step == 2 {
			b.clock.add(31 * time.Second)
		}
		short := (*vault.ShortLivedError)(nil)
		if _, err := b.Exchange(t.Context(), r); !errors.As(err, &short) || short.Lives != 10*time.Minute {
			t.Fatalf("step %d: %v", step, err)
		}
		if n := b.vendor.requests(); n != want {
			t.Errorf("step %d: %d token requests", step, n)
		}
	}
	r.MinTTL = 9 * time.Minute
	b.token(r)
	if n := b.audited("token.refused"); n == 0 {
		t.Error("no entry says that a token lived too short")
	}
}

// While the vendor is down a token goes to who can do with its life, and to nobody else.
func TestMinTTLOfAVendorThatIsDown(t *testing.T) {
	t.Parallel()
	b := employ(t, "files.read")
	b.clock.add(40 * time.Minute)
	b.vendor.set(func(v *vendor) { v.status = 503 })
	r := exchange(alice, []string{"files.read"})
	r.MinTTL = 30 * time.Minute
	if e := b.lack(r); e.Reason != vault.ProviderUnreachable {
		t.Errorf("lack = %+v", e)
	}
	r.MinTTL = time.Minute
	b.token(r)
}

// A grant without a refresh token is not ended for a token that must live longer than it does.
func TestMinTTLWithoutRefresh(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.conns = []*provider.Connection{b.vendor.connection("files", func(p *provider.Provider) { p.Refresh.AccessForever = true })}
	b.Vault = b.open("p2")
	b.vendor.set(func(v *vendor) { v.noRT = true })
	b.connect(alice, nightly)
	r := exchange(alice, []string{"files.read"})
	r.MinTTL = 2 * time.Hour
	short := (*vault.ShortLivedError)(nil)
	if _, err := b.Exchange(t.Context(), r); !errors.As(err, &short) || short.Lives != time.Hour {
		t.Errorf("exchange: %v", err)
	}
	r.MinTTL = 0
	b.token(r)
}
