package vault_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// ruled is a bench whose connection has a rule; the vendor names tenants and ends its refresh tokens.
func ruled(t *testing.T, rule vault.Rule) *bench {
	t.Helper()
	b := newBench(t)
	b.conns = []*provider.Connection{b.vendor.connection("files", func(p *provider.Provider) {
		p.Identity.Tenants, p.Refresh.Rotates = []string{"tenant"}, false
	})}
	b.Vault = b.open("p2", func(c *vault.Config) { c.Rules = map[string]vault.Rule{"files": rule} })
	return b
}

// An account outside of the rule's domains and tenants is not connected, and given back.
func TestAccountsRule(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule          vault.Rule
		email, tenant string
		admitted      bool
	}{
		"its domain":        {vault.Rule{Domains: []string{"other.example", "Example.com"}}, "alice@example.com", "", true},
		"another domain":    {vault.Rule{Domains: []string{"example.com"}}, "alice@example.com.evil.example", "", false},
		"no e-mail":         {vault.Rule{Domains: []string{"example.com"}}, "", "", false},
		"its tenant":        {vault.Rule{Tenants: []string{"T1", "t2"}}, "", "T2", true},
		"another tenant":    {vault.Rule{Tenants: []string{"T1"}}, "", "T2", false},
		"no tenant":         {vault.Rule{Tenants: []string{"T1"}}, "", "", false},
		"only one of both":  {vault.Rule{Domains: []string{"example.com"}, Tenants: []string{"T1"}}, "alice@example.com", "T2", false},
		"15 of 18":          {vault.Rule{Tenants: []string{"00D5g000004abcD"}}, "", "00D5g000004abcDEAQ", true},
		"another 15 of 18":  {vault.Rule{Tenants: []string{"00D5g000004abcd"}}, "", "00D5g000004abcDEAQ", false},
		"without any rules": {vault.Rule{}, "", "", true},
	} {
		b := ruled(t, tc.rule)
		b.vendor.set(func(v *vendor) { v.email, v.tenant = tc.email, tc.tenant })
		c := b.allow(b.ticket(alice, agent, b.lack(request(alice, agent))), alice)
		_, _, err := b.Finish(t.Context(), c)
		var fe *vault.FlowError
		if tc.admitted && err != nil || !tc.admitted && (!errors.As(err, &fe) || fe.Failure != vault.FlowDomain || fe.Want == "") {
			t.Errorf("%s: %v", name, err)
		}
		if all, _ := b.Accounts(t.Context(), alice.Caller); len(all) > 0 != tc.admitted || b.gone() > 0 == tc.admitted {
			t.Errorf("%s: %d accounts, %d given back", name, len(all), b.gone())
		}
	}
}

// Who may use a connection is said by a claim of the sign-in, at the vendor's visit and where only access is missing.
func TestAllowRule(t *testing.T) {
	t.Parallel()
	b := ruled(t, vault.Rule{Claim: "groups", Any: []string{"staff", "admins"}})
	staff := alice
	staff.Claims = map[string][]string{"groups": {"people", "staff"}}
	guest := alice
	guest.Claims = map[string][]string{"groups": {"guests"}, "roles": {"staff"}}
	tk := b.ticket(alice, agent, b.lack(request(alice, agent)))
	for _, p := range []vault.Person{alice, guest} {
		var rule *vault.RuleError
		if err := allowError(b, answer(b, tk, p)); !errors.As(err, &rule) || rule.Connection != "files" || rule.Claim != "groups" {
			t.Errorf("claims %v: %v", p.Claims, err)
		}
	}
	if _, _, err := b.Finish(t.Context(), b.allow(tk, staff)); err != nil {
		t.Fatal(err)
	}
	other := vault.Agent{Issuer: agent.Issuer, ID: "other"}
	tk = b.ticket(alice, other, b.lack(request(alice, other)))
	if err := allowError(b, answer(b, tk, guest)); err == nil {
		t.Error("a guest gave access")
	}
	if err := allowError(b, answer(b, tk, staff)); err != nil {
		t.Error(err)
	}
	if acc, _ := b.Accounts(t.Context(), alice.Caller); len(acc) != 1 || acc[0].Owner.Claims != nil {
		t.Errorf("accounts = %+v", acc)
	}
	if n := b.audited("connect.refused"); n == 0 {
		t.Error("no entry")
	}
}

// Where refreshes renew no refresh token, the end of the first is the end of all: a Google project in testing.
func TestEndsBy(t *testing.T) {
	t.Parallel()
	b := ruled(t, vault.Rule{})
	b.vendor.set(func(v *vendor) { v.rtLife = 7 * 24 * 3600 })
	want := b.clock.Now().Add(7 * 24 * time.Hour)
	if acc := b.connect(alice, agent); !acc.EndsBy.Equal(want) {
		t.Fatalf("ends by %s", acc.EndsBy)
	}
	b.clock.add(2 * time.Hour)
	b.token(request(alice, agent))
	if all, _ := b.Accounts(t.Context(), alice.Caller); !all[0].EndsBy.Equal(want) {
		t.Errorf("after a refresh: ends by %s", all[0].EndsBy)
	}
	rotating := newBench(t)
	rotating.vendor.set(func(v *vendor) { v.rtLife = 7 * 24 * 3600 })
	if acc := rotating.connect(alice, agent); !acc.EndsBy.IsZero() {
		t.Errorf("each refresh renews it, and it ends by %s", acc.EndsBy)
	}
}

// Reconnecting asks for what the account had and what is needed; the old grant
// serves until the new one is there, and what the vendor left out is said.
func TestReconnectMergesScopes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	more := provider.Need{Provider: "oauth2", Groups: [][]string{{"files.write"}}}
	tk := b.ticket(alice, agent, b.lack(request(alice, agent, more)))
	c := b.allow(tk, alice)
	b.token(request(alice, agent)) // while its person is at the vendor
	b.vendor.set(func(v *vendor) { v.scopes = "files.read" })
	if e := b.failure(c); e.Failure != vault.FlowScopes {
		t.Errorf("failure = %+v", e)
	}
	b.token(request(alice, agent))
	b.vendor.set(func(v *vendor) { v.scopes = "" })
	done, acc, err := b.Finish(t.Context(), b.allow(tk, alice))
	if err != nil || !slices.Equal(acc.Scopes, []string{"files.read", "files.write"}) || len(done.Lost) != 0 {
		t.Fatalf("account = %+v, lost %v, %v", acc, done.Lost, err)
	}
	third := provider.Need{Provider: "oauth2", Groups: [][]string{{"files.share"}}}
	tk = b.ticket(alice, agent, b.lack(request(alice, agent, third)))
	b.vendor.set(func(v *vendor) { v.scopes = "openid files.share files.read" })
	done, acc, err = b.Finish(t.Context(), b.allow(tk, alice))
	if err != nil || !slices.Equal(done.Lost, []string{"files.write"}) {
		t.Errorf("account = %+v, lost %v, %v", acc, done.Lost, err)
	}
	if e := b.lack(request(alice, agent, more)); e.Reason != vault.UnderScoped {
		t.Errorf("the lost scope: %s", e.Reason)
	}
}

// Of optional scopes the vendor may leave some out, and not all.
func TestOptionalScopesDropped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	scopes := []string{"files.read", "files.write"}
	need := &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{
		{Connection: "files", Scopes: scopes, Missing: scopes, Optional: scopes, VendorNeeded: true},
	}}
	tk := b.ticket(alice, vault.Agent{}, need)
	b.vendor.set(func(v *vendor) { v.scopes = "openid" })
	if e := b.failure(b.allow(tk, alice)); e.Failure != vault.FlowScopes || len(e.Missing) != 2 {
		t.Errorf("failure = %+v", e)
	}
	b.vendor.set(func(v *vendor) { v.scopes = "openid files.read" })
	done, _, err := b.Finish(t.Context(), b.allow(tk, alice))
	if err != nil || !slices.Equal(done.Lost, []string{"files.write"}) {
		t.Errorf("lost %v, %v", done.Lost, err)
	}
}
