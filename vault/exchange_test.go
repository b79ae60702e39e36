package vault_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
)

// The whole way: nothing connected, a ticket, consent, a token; every step is in the audit, whose chain holds.
func TestExchangeAfterConsent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.lack(request(alice, agent))
	if e.Reason != vault.NotConnected || len(e.Options) != 1 || e.Options[0].Connection != "files" || !e.Options[0].VendorNeeded {
		t.Fatalf("lack = %+v", e)
	}
	acc := b.connect(alice, agent)
	if acc.Label != "alice@example.com" || acc.State != vault.GrantActive || !slices.Equal(acc.Scopes, []string{"files.read"}) {
		t.Errorf("account = %+v", acc)
	}
	tok := b.token(request(alice, agent))
	if tok.Token.IsZero() || tok.Account != "alice@example.com" || tok.Generation != 1 {
		t.Errorf("token = %+v", tok)
	}
	n, err := b.VerifyAudit(t.Context())
	if err != nil || n < 6 {
		t.Errorf("audit has %d entries, %v", n, err)
	}
}

// An account opened to one agent is not open to another: only our page is missing, no vendor is asked.
func TestAccessPerAgent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	other := vault.Agent{Issuer: agent.Issuer, ID: "other"}
	e := b.lack(request(alice, other))
	if e.Reason != vault.AgentNotAllowed || e.Options[0].VendorNeeded {
		t.Fatalf("lack = %+v", e)
	}
	before := b.vendor.requests()
	s, err := b.Allow(t.Context(), answer(b, b.ticket(alice, other, e), alice))
	if err != nil || s.AuthURL != "" || s.Ticket.State != vault.TicketDone {
		t.Fatalf("allow = %+v, %v", s, err)
	}
	b.token(request(alice, other))
	if b.vendor.requests() != before {
		t.Error("the vendor was asked for an agent's access")
	}
	b.clock.add(721 * time.Hour)
	if e := b.lack(request(alice, other)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("after its end access gives %s", e.Reason)
	}
}

// Access for one call serves all exchanges of that call, and no other.
func TestAccessOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tk := b.ticket(alice, agent, b.lack(request(alice, agent)))
	a := answer(b, tk, alice)
	a.Once = true
	s, err := b.Allow(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Finish(t.Context(), callback(t, s, alice)); err != nil {
		t.Fatal(err)
	}
	r := request(alice, agent)
	b.token(r)
	b.token(r)
	r.Call = "call-2"
	if e := b.lack(r); e.Reason != vault.AgentNotAllowed {
		t.Errorf("second call: %s", e.Reason)
	}
}

// Scopes are compared by cover rules, and what is missing is named.
func TestGrantedScopes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.set(func(v *vendor) { v.scopes = "files.all,mail" })
	b.connect(alice, agent)
	b.token(request(alice, agent)) // files.all covers files.read
	write := provider.Need{Provider: "oauth2", Groups: [][]string{{"files.read"}, {"files.write", "files.admin"}}}
	e := b.lack(request(alice, agent, write))
	if e.Reason != vault.UnderScoped || !slices.Equal(e.Options[0].Missing, []string{"files.write"}) || e.Options[0].Grant == "" {
		t.Errorf("lack = %+v", e)
	}
}

// Several accounts and none marked is an error with their labels, never a guess.
func TestChoosingAnAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.connect(alice, agent)
	b.second("")
	e := b.lack(request(alice, agent))
	if e.Reason != vault.AccountAmbiguous || !slices.Equal(e.Labels, []string{"alice@example.com", "ACC-2"}) || e.Reason.Mendable() {
		t.Errorf("lack = %+v", e)
	}
	r := request(alice, agent)
	for _, ref := range []string{first.ID, "ALICE@example.com"} {
		if r.Account = ref; b.token(r).Grant != first.ID {
			t.Errorf("account %q gave another grant", ref)
		}
	}
	r.Account = "nobody"
	if e := b.lack(r); e.Reason != vault.AccountUnknown {
		t.Errorf("unknown account: %s", e.Reason)
	}
	if err := b.SetDefault(t.Context(), alice.Caller, first.ID); err != nil {
		t.Fatal(err)
	}
	if b.token(request(alice, agent)).Grant != first.ID {
		t.Error("the default account was not used")
	}
}

// R42: another person's account is like an unknown one, and their calls see nothing of it.
func TestCallersAreApart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	if e := b.lack(request(bob, agent)); e.Reason != vault.NotConnected {
		t.Errorf("bob: %s", e.Reason)
	}
	r := request(bob, agent)
	r.Account = acc.ID
	if e := b.lack(r); e.Reason != vault.AccountUnknown || len(e.Labels) != 0 {
		t.Errorf("bob naming alice's id: %+v", e)
	}
	if _, err := b.Revoke(t.Context(), bob.Caller, acc.ID); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("bob revoking: %v", err)
	}
	b.token(request(alice, agent))
}

func TestNoConnectionForTheNeed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.lack(request(alice, agent, provider.Need{Provider: "google", Groups: [][]string{{"x"}}}))
	if e.Reason != vault.ConnMisconfigured || e.Reason.Mendable() {
		t.Errorf("lack = %+v", e)
	}
}

// A grant goes only where it was granted for: with another token address nothing is sent until the operator confirms.
func TestConnectionChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	first := b.token(request(alice, agent))
	elsewhere := newVendor(t, b.clock.Now)
	b.vendor, b.conns = elsewhere, []*provider.Connection{elsewhere.connection("files")}
	b.Vault = b.open("p2")
	b.clock.add(2 * time.Hour)
	if e := b.lack(request(alice, agent)); e.Reason != vault.ConnChanged || !e.Options[0].VendorNeeded {
		t.Fatalf("lack = %+v", e)
	}
	if all, _ := b.Accounts(t.Context(), alice.Caller); !all[0].Changed {
		t.Error("the account does not say that its connection changed")
	}
	if elsewhere.requests() != 0 {
		t.Fatal("a token went to the new address")
	}
	b.clock.add(-2 * time.Hour)
	if n, err := b.ConfirmConnection(t.Context(), "files"); n != 1 || err != nil {
		t.Fatalf("confirming: %d, %v", n, err)
	}
	if got := b.token(request(alice, agent)); got.Token.Reveal() != first.Token.Reveal() {
		t.Error("the confirmed grant holds another token")
	}
}

// Revoking stops local use at once, tells the vendor, and leaves no token in the row.
func TestRevoke(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	ok, err := b.Revoke(t.Context(), alice.Caller, acc.ID)
	if !ok || err != nil {
		t.Fatalf("revoke = %t, %v", ok, err)
	}
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked || e.Options[0].Grant != acc.ID {
		t.Errorf("lack = %+v", e)
	}
	if len(b.vendor.revoked) != 1 || b.vendor.revoked[0] != b.vendor.live {
		t.Errorf("the vendor was told %d times", len(b.vendor.revoked))
	}
	_ = b.connect2(acc)
	b.token(request(alice, agent))
}

// connect2 reconnects a revoked account through its ticket.
func (b *bench) connect2(want vault.Account) vault.Account {
	b.t.Helper()
	tk := b.ticket(alice, agent, b.lack(request(alice, agent)))
	_, acc, err := b.Finish(b.t.Context(), b.allow(tk, alice))
	if err != nil || acc.ID != want.ID {
		b.t.Fatalf("reconnecting gave %s, %v; want %s", acc.ID, err, want.ID)
	}
	return acc
}

// R72: a wrong key is named at the start, and nothing opens.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other, err := seal.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = vault.Open(t.Context(), vault.Config{Store: b.store, Keys: []seal.Key{other}, Instance: "x"})
	var unknown *seal.UnknownKeyError
	if !errors.As(err, &unknown) || unknown.ID != b.keys[0].ID() {
		t.Fatalf("opening with another key: %v", err)
	}
}

// A failed audit write fails the release: no entry, no token.
func TestNoEntryNoRelease(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.token(request(alice, agent))
	broken := b.open("p2", func(c *vault.Config) { c.Store = auditless{c.Store} })
	tok, err := broken.Exchange(t.Context(), request(alice, agent))
	var e *vault.ConsentError
	if tok != nil || !errors.As(err, &e) || e.Reason != vault.VaultDegraded {
		t.Fatalf("without audit: %v, %v", tok, err)
	}
}

// auditless is a store whose audit cannot be written.
type auditless struct{ vault.Store }

func (s auditless) Update(ctx context.Context, fn func(vault.Tx) error) error {
	return s.Store.Update(ctx, func(tx vault.Tx) error { return fn(auditlessTx{tx}) })
}

func (s auditless) Append(ctx context.Context, fn func(vault.Tx) error) error {
	return s.Store.Append(ctx, func(tx vault.Tx) error { return fn(auditlessTx{tx}) })
}

type auditlessTx struct{ vault.Tx }

func (t auditlessTx) Audit() vault.AuditRows { return auditlessRows{t.Tx.Audit()} }

type auditlessRows struct{ vault.AuditRows }

func (auditlessRows) Append([]vault.AuditRow) error { return errors.New("disk full") }

// R76: no token, code, secret or label is readable in the data folder or in the log.
func TestNothingReadableAtRest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.token(request(alice, agent))
	b.clock.add(2 * time.Hour)
	b.token(request(alice, agent))
	b.vendor.set(func(v *vendor) { v.status = 500 })
	b.clock.add(2 * time.Hour)
	b.lack(request(alice, agent))
	files, err := filepath.Glob(filepath.Join(filepath.Dir(b.path), "*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue // a folder
		}
		for _, canary := range []string{"-canary", "alice@example.com", "acc-1"} {
			if strings.Contains(string(data), canary) {
				t.Errorf("%s holds %q", filepath.Base(f), canary)
			}
		}
	}
	if strings.Contains(b.log.String(), "-canary") {
		t.Error("the log holds a secret:", b.log.String())
	}
}
