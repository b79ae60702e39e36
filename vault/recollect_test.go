package vault_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// heard is a log that says when a line was written.
type heard struct {
	slog.Handler
	line  string
	once  *sync.Once
	heard chan struct{}
}

func (h heard) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == h.line {
		h.once.Do(func() { close(h.heard) })
	}
	return h.Handler.Handle(ctx, r)
}

// startAnew opens the database as another process does that runs, and waits until it has read ahead.
func (b *bench) startAnew(change ...func(*vault.Config)) *vault.Vault {
	b.t.Helper()
	v, readAhead := b.openAnew(change...)
	readAhead()
	return v
}

// openAnew is startAnew whose process begins to run, and to read ahead, when it is told to.
func (b *bench) openAnew(change ...func(*vault.Config)) (v *vault.Vault, readAhead func()) {
	b.t.Helper()
	h := heard{Handler: b.logger.Handler(), line: "what exchanges will want is in memory", once: new(sync.Once), heard: make(chan struct{})}
	v = b.open("anew", append(change, func(c *vault.Config) { c.Logger, c.ReadAhead = slog.New(h), true })...)
	return v, func() {
		ctx, cancel := context.WithCancel(b.t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = v.Run(ctx) })
		b.t.Cleanup(func() { cancel(); running.Wait() })
		<-h.heard
	}
}

// A process that has just started needs to read nothing of what it can hand out, for whatever need, agent and
// person, and says nothing of its own to the rest. What others changed meanwhile does not spoil it; what was taken away stays so.
func TestReadAhead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.let(older)
	b.connectOwn(bob)
	carol := somebody("carol")
	b.connectOwn(carol)
	once := vault.Agent{Issuer: agent.Issuer, ID: "once", Name: "Once"}
	b.let(once, func(a *vault.Answer) { a.Once = true })
	f, with := broken(t)
	v := b.startAnew(with)
	p1 := b.Vault
	b.Vault = v
	b.store = b.openStore()
	t.Cleanup(func() { _ = b.store.Close() })
	b.deleteNothing("somebody")
	list, err := p1.AccessList(t.Context(), carol.Caller)
	if err != nil || p1.RevokeAccess(t.Context(), carol.Caller, list[0].ID) != nil {
		t.Fatal(list, err)
	}
	f.failViews(errors.New("no reading now"))
	named, other := request(alice, agent), request(alice, agent, provider.Need{Connection: "files", Groups: [][]string{{"files.admin", "files.read"}}})
	named.Account = acc.Label
	for what, r := range map[string]vault.Request{
		"alice": request(alice, agent), "by name": named, "for another need": other, "by another agent": request(alice, older), "bob": request(bob, agent),
	} {
		if tok, err := v.Exchange(t.Context(), r); err != nil || (tok.Grant == acc.ID) != (r.Caller == alice.Caller) {
			t.Errorf("%s: %+v, %v", what, tok, err)
		}
	}
	nobody := vault.Agent{Issuer: agent.Issuer, ID: "nobody", Name: "Nobody"}
	for what, r := range map[string]vault.Request{
		"an agent without access": request(alice, nobody), "for one call": request(alice, once), "taken away": request(carol, agent),
		"beyond": request(alice, agent, provider.Need{Provider: "oauth2", Groups: [][]string{{"files.admin"}}}),
	} {
		if e := b.lack(r); e.Reason != vault.VaultDegraded {
			t.Errorf("%s: %s without reading", what, e.Reason)
		}
	}
	f.failViews(nil)
	if e := b.lack(request(carol, agent)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("what was taken away: %s", e.Reason)
	}
	b.token(request(alice, once))
	b.clock.add(2 * vault.UnusedFor)
	if e := b.lack(request(bob, agent)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("access that is over: %s", e.Reason)
	}
}

// What was remembered by a use before it was read ahead is left: it may be more than that reads.
func TestReadAheadLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	b := narrowing(t, "", "honest")
	b.connect(alice, nightly)
	f, with := broken(t)
	v, readAhead := b.openAnew(with)
	want, err := v.Exchange(t.Context(), exchange(alice, []string{"files.read"}))
	if err != nil {
		t.Fatal(err)
	}
	again := func() {
		tok, err := v.Exchange(t.Context(), exchange(alice, []string{"files.read"}))
		if err != nil || !tok.Token.Equal(want.Token) {
			t.Errorf("%+v, %v", tok, err)
		}
	}
	again()
	readAhead()
	f.failViews(errors.New("no reading now"))
	again()
}

// A row that was changed in the database is not read ahead: the exchange that wants it says so.
func TestReadAheadOpensAll(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*vault.GrantRow){
		"its refresh token": func(g *vault.GrantRow) { g.RefreshCT[len(g.RefreshCT)-1] ^= 1 },
		"its access token":  func(g *vault.GrantRow) { g.AccessCT[len(g.AccessCT)-1] ^= 1 },
		"its profile":       func(g *vault.GrantRow) { g.ProfileCT[len(g.ProfileCT)-1] ^= 1 },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			acc := b.connect(alice, agent)
			b.change(acc.ID, change)
			f, with := broken(t)
			b.Vault = b.startAnew(with)
			f.failViews(errors.New("no reading now"))
			if e := b.lack(request(alice, agent)); e.Reason != vault.VaultDegraded {
				t.Errorf("what does not open: %s", e.Reason)
			}
			f.failViews(nil)
			if e := b.lack(request(alice, agent)); e.Reason != vault.AccountChanged {
				t.Errorf("what does not open: %s", e.Reason)
			}
		})
	}
}

// What changed is read again before somebody asks, and all of it where so much changed that nothing was believed any more.
func TestChangesAreReadAgain(t *testing.T) {
	t.Parallel()
	for what, whose := range map[string]func(b *bench) []string{
		"a person's":  func(b *bench) []string { return []string{b.Pseudonym(alice.Caller)} },
		"everybody's": func(*bench) []string { return crowd() },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.connect(alice, agent)
			f, with := broken(t)
			v := b.startAnew(with)
			b.store = b.openStore()
			t.Cleanup(func() { _ = b.store.Close() })
			remembered := func() bool {
				f.failViews(errors.New("no reading now"))
				defer f.failViews(nil)
				_, err := v.Exchange(t.Context(), request(alice, agent))
				return err == nil
			}
			for tries := 0; remembered(); tries++ { // it may be quick to read again
				if b.deleteNothing(whose(b)...); tries == 10 {
					t.Fatal("what changed is believed")
				}
			}
			for until := time.Now().Add(30 * time.Second); !remembered(); time.Sleep(3 * time.Second) {
				if time.Now().After(until) {
					t.Fatal("what changed is not read again")
				}
			}
		})
	}
}

// What a person's accounts take in memory may be more than it keeps in one piece.
func TestLongTokensAreRemembered(t *testing.T) {
	t.Parallel()
	b, failViews := withViews(t)
	b.vendor.set(func(v *vendor) { v.length = 40_000 })
	first := b.connect(alice, agent)
	second := b.second("")
	named := request(alice, agent)
	named.Account = first.Label
	want := b.token(named)
	failViews(true)
	if tok := b.token(named); !tok.Token.Equal(want.Token) {
		t.Error("the token that is remembered is another one")
	}
	named.Account = second.Label
	if tok := b.token(named); tok.Grant != second.ID || tok.Token.Equal(want.Token) {
		t.Error("the other account's token is another one")
	}
}
