package vault_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/vault"
)

const appVerifier = "verifier-canary-0123456789-0123456789-0123456789"

// appTicket is a ticket that the application of nightly opened for alice.
func (b *bench) appTicket(change ...func(*vault.AppTicketRequest)) (vault.Ticket, vault.Completion) {
	b.t.Helper()
	sum := sha256.Sum256([]byte(appVerifier))
	r := vault.AppTicketRequest{Owner: alice, Agent: nightly, Connection: "files", Scopes: []string{"files.read"}, App: vault.AppRequest{
		RedirectURI: "https://nightly.example.com/cb", State: "st", Challenge: base64.RawURLEncoding.EncodeToString(sum[:]),
	}}
	for _, c := range change {
		c(&r)
	}
	t, session, err := b.OpenAppTicket(b.t.Context(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	return t, vault.Completion{Session: session, RedirectURI: r.App.RedirectURI, Verifier: appVerifier, Caller: r.Owner.Caller, Agent: r.Agent}
}

// R03, R13: what a vendor gave for an application's ticket is of no use until the same person's application has
// completed it, also after a restart; it counts once, and the browser's code is for the session that went to the vendor.
func TestApplicationCompletes(t *testing.T) {
	t.Parallel()
	for name, b := range benches(t) {
		tk, c := b.appTicket()
		tk, acc, err := b.Finish(t.Context(), b.allow(tk, alice))
		if err != nil || acc.ID != "" || !tk.Held.ForApp() || tk.State != vault.TicketStarted {
			t.Fatalf("%s: %+v %+v %v", name, tk, acc, err)
		}
		if code, ok := b.ConnectCode(tk, "session-bob"); ok || code != "" {
			t.Errorf("%s: another session has the code", name)
		}
		again := b.open("p2")
		code, ok := again.ConnectCode(tk, "session-"+alice.Subject)
		if c.Code = code; !ok || len(code) != 43 {
			t.Fatalf("%s: code %q %v", name, code, ok)
		}
		wrong := map[string]struct {
			change func(*vault.Completion)
			want   error
		}{
			"session":  {func(c *vault.Completion) { c.Session = "s" }, vault.ErrNotFound},
			"person":   {func(c *vault.Completion) { c.Caller = bob.Caller }, vault.ErrForeign},
			"agent":    {func(c *vault.Completion) { c.Agent = agent }, vault.ErrForeign},
			"code":     {func(c *vault.Completion) { c.Code = "x" }, vault.ErrProof},
			"redirect": {func(c *vault.Completion) { c.RedirectURI += "/" }, vault.ErrProof},
			"verifier": {func(c *vault.Completion) { c.Verifier = "" }, vault.ErrProof},
		}
		for what, w := range wrong {
			bad := c
			w.change(&bad)
			if _, err := again.CompleteConnect(t.Context(), bad); !errors.Is(err, w.want) {
				t.Errorf("%s: another %s: %v, want %v", name, what, err, w.want)
			}
		}
		if all, _ := b.Accounts(t.Context(), alice.Caller); len(all) != 0 || b.gone() != 0 {
			t.Fatalf("%s: %d accounts, %d given back before the word", name, len(all), b.gone())
		}
		acc, err = again.CompleteConnect(t.Context(), c)
		if err != nil || acc.State != vault.GrantActive || acc.Owner.Caller != alice.Caller {
			t.Fatalf("%s: %+v %v", name, acc, err)
		}
		if _, err := b.CompleteConnect(t.Context(), c); !errors.Is(err, vault.ErrConflict) {
			t.Errorf("%s: again: %v", name, err)
		}
		access, err := b.AccessList(t.Context(), alice.Caller)
		if err != nil || len(access) != 1 || access[0].Agent.ID != nightly.ID || !cmp.Equal(access[0].Scopes, []string{"files.read"}) {
			t.Errorf("%s: access %+v %v", name, access, err)
		}
	}
}

// An application's word that comes too late, too often wrong, or never, finds nothing, and the vendor has it back.
func TestApplicationTooLate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tk, c := b.appTicket()
	tk, _, err := b.Finish(t.Context(), b.allow(tk, alice))
	if err != nil {
		t.Fatal(err)
	}
	c.Code, _ = b.ConnectCode(tk, "session-"+alice.Subject)
	b.clock.add(10 * time.Minute)
	if _, err := b.CompleteConnect(t.Context(), c); !errors.Is(err, vault.ErrGone) {
		t.Errorf("late: %v", err)
	}
	if _, err := b.Sweep(t.Context()); err != nil || b.gone() != 1 {
		t.Fatalf("%d given back, %v", b.gone(), err)
	}
	tk, c = b.appTicket()
	if tk, _, err = b.Finish(t.Context(), b.allow(tk, alice)); err != nil {
		t.Fatal(err)
	}
	c.Code = "wrong"
	for range 5 {
		if _, err := b.CompleteConnect(t.Context(), c); !errors.Is(err, vault.ErrProof) {
			t.Errorf("a wrong word: %v", err)
		}
	}
	c.Code, _ = b.ConnectCode(tk, "session-"+alice.Subject)
	if _, err := b.CompleteConnect(t.Context(), c); !errors.Is(err, vault.ErrGone) || b.gone() != 2 {
		t.Errorf("after five wrong words: %v, %d given back", err, b.gone())
	}
	if all, _ := b.Accounts(t.Context(), alice.Caller); len(all) != 0 {
		t.Errorf("%d accounts", len(all))
	}
}

// An application's ticket is one of its own, is not asked for again by the page, and says nothing to somebody else.
func TestApplicationTickets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, first := b.appTicket()
	two, second := b.appTicket()
	if one.ID == two.ID || first.Session == second.Session || one.Kind != vault.KindConnect || !one.Expires.Equal(one.Created.Add(10*time.Minute)) {
		t.Errorf("%+v, %+v", one, two)
	}
	if _, _, err := b.OpenAppTicket(t.Context(), vault.AppTicketRequest{Owner: alice, Agent: nightly, Connection: "none", App: *one.App}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("an unknown connection: %v", err)
	}
	b.clock.add(11 * time.Minute)
	if _, err := b.AskAgain(t.Context(), b.Handle(one), alice); !errors.Is(err, vault.ErrGone) {
		t.Errorf("asked again: %v", err)
	}
	if _, err := b.Allow(t.Context(), answer(b, one, alice)); !errors.Is(err, vault.ErrGone) {
		t.Errorf("allowed after its time: %v", err)
	}
	// R14's pause after a no holds for agents that ask by themselves, not for a person who comes back to the application.
	three, _ := b.appTicket()
	if _, err := b.Decline(t.Context(), b.Handle(three), alice); err != nil {
		t.Fatal(err)
	}
	b.appTicket()
}

// What the person's accounts at a connection have stays asked for, because some vendors replace; the
// application gets what it asked for alone. An account that it names is the one that must come back.
func TestApplicationKeepsScopes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	had := b.connect(alice, agent)
	tk, _ := b.appTicket(func(r *vault.AppTicketRequest) {
		r.Scopes, r.App.Hint = []string{"files.write"}, had.Label
	})
	s, err := b.Allow(t.Context(), answer(b, tk, alice))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.AuthURL)
	if err != nil {
		t.Fatal(err)
	}
	asked := strings.Fields(u.Query().Get("scope"))
	if !slices.Contains(asked, "files.read") || !slices.Contains(asked, "files.write") {
		t.Errorf("the vendor is asked for %q", asked)
	}
	if o := tk.Options[0]; o.Grant != had.ID || !cmp.Equal(o.Scopes, []string{"files.write"}) {
		t.Errorf("the page asks for %+v", o)
	}
	other, _ := b.appTicket(func(r *vault.AppTicketRequest) { r.Scopes = []string{"files.write"} })
	if s, err = b.Allow(t.Context(), answer(b, other, alice)); err != nil {
		t.Fatal(err)
	}
	if u, err = url.Parse(s.AuthURL); err != nil || !strings.Contains(u.Query().Get("scope"), "files.read") {
		t.Errorf("without a hint the vendor is asked for %q, %v", u.Query().Get("scope"), err)
	}
}
