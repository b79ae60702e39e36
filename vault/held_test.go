package vault_test

import (
	"errors"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// held goes to the vendor and comes back with another account than expected.
func (b *bench) held(p vault.Person, account, email string) vault.Ticket {
	b.t.Helper()
	b.vendor.set(func(v *vendor) { v.account, v.email = account, email })
	tk := b.ticket(p, agent, b.lack(request(p, agent)))
	if e := b.failure(b.allow(tk, p)); !e.Held {
		b.t.Fatalf("failure = %+v", e)
	}
	tk, err := b.Ticket(b.t.Context(), b.Handle(tk))
	if err != nil || tk.Held == nil || tk.State != vault.TicketStarted {
		b.t.Fatalf("ticket = %+v, %v", tk, err)
	}
	return tk
}

func (b *bench) confirm(tk vault.Ticket, p vault.Person) (vault.Ticket, vault.Account, error) {
	return b.ConfirmHeld(b.t.Context(), b.Handle(tk), tk.Version, p, "session-"+p.Subject)
}

// gone is how many tokens the vendor was given back.
func (b *bench) gone() (n int) {
	b.vendor.set(func(v *vendor) { n = len(v.revoked) })
	return n
}

// The e-mail rule: what came of another account than the signed-in person's is
// unusable until that person has confirmed it, in the browser that went to the vendor.
func TestHeldUntilConfirmed(t *testing.T) {
	t.Parallel()
	for name, b := range benches(t) {
		tk := b.held(alice, "acc-bob", "bob@example.com")
		if h := tk.Held; h.Failure != vault.FlowEmail || h.Got != "bob@example.com" || h.Want != "alice@example.com" || !h.Until.Equal(b.clock.Now().Add(10*time.Minute)) {
			t.Errorf("%s: held = %+v", name, h)
		}
		if all, _ := b.Accounts(t.Context(), alice.Caller); len(all) != 0 || b.gone() != 0 {
			t.Fatalf("%s: %d accounts, %d tokens given back before anybody said so", name, len(all), b.gone())
		}
		if e := b.lack(request(alice, agent)); e.Reason != vault.NotConnected {
			t.Errorf("%s: %s", name, e.Reason)
		}
		for who, err := range map[string]error{
			"another person": confirmError(b.ConfirmHeld(t.Context(), b.Handle(tk), 0, bob, "session-bob")),
			"another page":   confirmError(b.ConfirmHeld(t.Context(), b.Handle(tk), tk.Version-1, alice, "session-alice")),
		} {
			if !errors.Is(err, vault.ErrForeign) && !errors.Is(err, vault.ErrStale) {
				t.Errorf("%s: %s: %v", name, who, err)
			}
		}
		var fe *vault.FlowError
		if err := confirmError(b.ConfirmHeld(t.Context(), b.Handle(tk), 0, alice, "planted")); !errors.As(err, &fe) || fe.Failure != vault.FlowBrowser {
			t.Errorf("%s: another browser: %v", name, err)
		}
		done, acc, err := b.confirm(tk, alice)
		if err != nil || done.State != vault.TicketDone || acc.Label != "bob@example.com" {
			t.Fatalf("%s: %+v, %+v, %v", name, done, acc, err)
		}
		if tok := b.token(request(alice, agent)); tok.Grant != acc.ID {
			t.Errorf("%s: grant %s", name, tok.Grant)
		}
		if _, _, err := b.confirm(tk, alice); !errors.Is(err, vault.ErrGone) {
			t.Errorf("%s: confirmed twice: %v", name, err)
		}
		if b.audited("grant.held") != 1 || b.audited("grant.confirmed") != 1 || b.audited("grant.stored") != 1 {
			t.Errorf("%s: the entries are not one each", name)
		}
	}
}

func confirmError(_ vault.Ticket, _ vault.Account, err error) error { return err }

// R13: another account than the pinned one becomes an account of its own, with the
// agent's access and, where the pinned one is over, its default mark; the pinned one stays as it was.
func TestR13HeldAccountIsItsOwn(t *testing.T) {
	t.Parallel()
	for name, b := range benches(t) {
		first := b.connect(alice, agent)
		if err := b.SetDefault(t.Context(), alice.Caller, first.ID); err != nil {
			t.Fatal(err)
		}
		b.clock.add(2 * time.Hour)
		b.vendor.set(func(v *vendor) { v.live = "another" }) // its refresh token is dead
		if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked || e.Options[0].Grant != first.ID {
			t.Fatalf("%s: lack = %+v", name, e)
		}
		tk := b.held(alice, "acc-2", "second@example.com")
		if h := tk.Held; h.Failure != vault.FlowAccount || h.Got != "second@example.com" || h.Want != "alice@example.com" {
			t.Fatalf("%s: held = %+v", name, h)
		}
		_, acc, err := b.confirm(tk, alice)
		if err != nil || acc.ID == first.ID || !acc.Default {
			t.Fatalf("%s: account = %+v, %v", name, acc, err)
		}
		if tok := b.token(request(alice, agent)); tok.Grant != acc.ID {
			t.Errorf("%s: grant %s", name, tok.Grant)
		}
		was, err := b.Account(t.Context(), alice.Caller, first.ID)
		if err != nil || was.State != first.State && was.State != vault.GrantExpired && was.State != vault.GrantRevoked || was.Default || was.Label != "alice@example.com" {
			t.Errorf("%s: the pinned one is %+v, %v", name, was, err)
		}
	}
}

// What is refused, started again, declined or left alone for ten minutes goes back to the vendor.
func TestHeldIsGivenBack(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(b *bench, tk vault.Ticket) error{
		"refused": func(b *bench, tk vault.Ticket) error {
			got, err := b.RefuseHeld(t.Context(), b.Handle(tk), alice)
			if got.State != vault.TicketOpen || got.Failure != vault.FlowEmail || got.Held != nil {
				t.Errorf("refused: %+v", got)
			}
			return err
		},
		"started again": func(b *bench, tk vault.Ticket) error {
			_, err := b.Allow(t.Context(), answer(b, tk, alice))
			return err
		},
		"declined": func(b *bench, tk vault.Ticket) error {
			_, err := b.Decline(t.Context(), b.Handle(tk), alice)
			return err
		},
		"forgotten": func(b *bench, tk vault.Ticket) error {
			b.clock.add(10 * time.Minute)
			got, err := b.Ticket(t.Context(), b.Handle(tk))
			if got.State != vault.TicketOpen || got.Failure != vault.FlowEmail {
				t.Errorf("forgotten: %+v", got)
			}
			b.clock.add(time.Second)
			_, e := b.Sweep(t.Context())
			return errors.Join(err, e)
		},
		"its person deleted": func(b *bench, _ vault.Ticket) error {
			_, err := b.DeleteUser(t.Context(), b.Pseudonym(alice.Caller))
			return err
		},
	} {
		b := newBench(t)
		tk := b.held(alice, "acc-bob", "bob@example.com")
		if err := end(b, tk); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, _, err := b.confirm(vault.Ticket{ID: tk.ID}, alice); err == nil {
			t.Errorf("%s: confirmed all the same", name)
		}
		if n := b.gone(); n == 0 && (name == "refused" || name == "declined") {
			t.Errorf("%s: its person said no, and the vendor is not told at once", name)
		}
		b.clock.add(3 * time.Minute) // where the vendor is told in the background
		if _, _, err := b.RetryRevocations(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := b.gone(); n != 1 {
			t.Errorf("%s: %d tokens given back", name, n)
		}
		if n := b.audited("grant.refused"); n != 1 {
			t.Errorf("%s: %d entries", name, n)
		}
	}
}

// An account that its person has confirmed once is not asked about again.
func TestConfirmedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, acc, err := b.confirm(b.held(alice, "acc-bob", "bob@example.com"), alice)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Revoke(t.Context(), alice.Caller, acc.ID); err != nil {
		t.Fatal(err)
	}
	if again := b.connect(alice, agent); again.ID != acc.ID {
		t.Errorf("account %s", again.ID)
	}
}
