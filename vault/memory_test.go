package vault_test

import (
	"errors"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// What is remembered for one request says nothing of what its person has not agreed to: all that a token
// can do must be let to whom it is handed, however it got into memory.
func TestRememberedIsNotAgreed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vendor.set(func(v *vendor) { v.scopes = "files.all mail" })
	b.connect(alice, nightly) // lets it read files
	handed := exchange(alice, []string{"files.all", "mail"})
	for _, how := range []string{"read", "read ahead"} {
		b.token(request(alice, nightly))
		if e := b.lack(handed); e.Reason != vault.AgentNotAllowed {
			t.Errorf("%s: %s", how, e.Reason)
		}
		b.Vault = b.startAnew()
	}
	b.yes(alice, b.lack(handed), true)
	f, with := broken(t)
	b.Vault = b.open("p3", with)
	b.token(request(alice, nightly))
	f.failViews(errors.New("no reading now"))
	b.token(handed)
}

// slimmed is a bench whose vendor narrows, with requests for two narrowed tokens that are remembered.
func slimmed(t *testing.T) (b *bench, one, other vault.Request, failViews func(bool)) {
	t.Helper()
	b = narrowing(t, "", "honest")
	f, with := broken(t)
	b.Vault = b.open("slim", with)
	b.connect(alice, nightly)
	one, other = exchange(alice, []string{"files.read"}), exchange(alice, []string{"mail"}, mail)
	b.yes(alice, b.lack(other), false)
	return b, one, other, func(on bool) {
		f.failViews(nil)
		if on {
			f.failViews(errors.New("no reading now"))
		}
	}
}

// Narrowed tokens are remembered beside each other, until they are over by their own clock.
func TestNarrowedAreRemembered(t *testing.T) {
	t.Parallel()
	b, one, other, failViews := slimmed(t)
	b.vendor.set(func(v *vendor) { v.life = 0 })
	b.token(one)
	b.token(other)
	first := b.token(one)
	failViews(true)
	for range 2 {
		if tok := b.token(one); !tok.Token.Equal(first.Token) {
			t.Error("another narrowed token")
		}
		if can, _ := b.truth(b.token(other)); can != "mail offline_access" {
			t.Errorf("the other token can do %q", can)
		}
	}
	b.clock.add(25 * time.Hour) // no vendor said for how long: a day
	failViews(false)
	if tok := b.token(one); tok.Token.Equal(first.Token) {
		t.Error("a narrowed token went out after its time")
	}
}

// Last uses are noted once a minute, also where nothing is read.
func TestUsesAreNotedOnceInAWhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.token(request(alice, agent))
	b.clock.add(2 * time.Minute)
	noted := b.clock.Now()
	b.token(request(alice, agent))
	b.eventually("the note of its use", func() bool { return b.access(alice, agent).Used.Equal(noted) })
	b.clock.add(30 * time.Second)
	b.token(request(alice, agent))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.Vault = b.open("p2")
	if used := b.access(alice, agent).Used; !used.Equal(noted) {
		t.Errorf("used at %s, noted before at %s", used, noted)
	}
}

// All of a person's accounts are remembered, also those at connections that a request is not about: the next
// request may be, and with two that could serve there is no guess.
func TestAllConnectionsAreRemembered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.conns = append(b.conns, b.vendor.connection("other"))
	f, with := broken(t)
	b.Vault = b.open("two", with)
	at := func(connection string) vault.Request {
		return request(alice, agent, provider.Need{Connection: connection, Groups: read.Groups})
	}
	for _, name := range []string{"files", "other"} {
		ans := answer(b, b.ticket(alice, agent, b.lack(at(name))), alice)
		ans.RedirectURI = "http://127.0.0.1:8787/callback/" + name
		s, err := b.Allow(t.Context(), ans)
		if err != nil {
			t.Fatal(err)
		}
		c := callback(t, s, alice)
		c.Connection = name
		if _, _, err := b.Finish(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	b.token(at("other"))
	if e := b.lack(request(alice, agent)); e.Reason != vault.AccountAmbiguous {
		t.Errorf("two that could serve: %s", e.Reason)
	}
	f.failViews(errors.New("no reading now"))
	for _, name := range []string{"other", "files"} {
		if tok := b.token(at(name)); tok.Connection.Name() != name {
			t.Errorf("for %s a token of %s", name, tok.Connection.Name())
		}
	}
}
