package vault_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

// TestMain lets a test start this binary again as another process with the vault.
func TestMain(m *testing.M) {
	if name := os.Getenv("VAULT_TEST_CHILD"); name != "" {
		os.Exit(child(name))
	}
	os.Exit(storetest.Main(m))
}

// The whole way on PostgreSQL: consent, exchange, one spend among three
// processes, a revocation that is in force at once on another one, and a chain that holds.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, storetest.Postgres(t))
	acc := b.connect(alice, agent)
	b.token(request(alice, agent))
	b.vendor.set(func(v *vendor) { v.delay = 50 * time.Millisecond })
	b.clock.add(2 * time.Hour)
	before := b.vendor.requests()
	vaults := []*vault.Vault{b.Vault, b.open("p2"), b.open("p3")}
	var wg sync.WaitGroup
	for _, v := range vaults {
		for range 10 {
			wg.Go(func() {
				if tok, err := v.Exchange(t.Context(), request(alice, agent)); err != nil || tok.Generation != 2 {
					t.Errorf("exchange: %+v, %v", tok, err)
				}
			})
		}
	}
	wg.Wait()
	if n := b.vendor.requests() - before; n != 1 || b.vendor.worstSpend() != 1 {
		t.Errorf("%d refreshes, one token sent %d times", n, b.vendor.worstSpend())
	}
	if ok, err := vaults[1].Revoke(t.Context(), alice.Caller, acc.ID); !ok || err != nil {
		t.Fatalf("revoke = %t, %v", ok, err)
	}
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked {
		t.Errorf("after another process's revocation: %s", e.Reason)
	}
	if n, err := b.VerifyAudit(t.Context()); err != nil || n < 35 {
		t.Errorf("audit has %d entries, %v", n, err)
	}
}

// replicas are two processes on one server, and the second does what a process does beside its calls.
func replicas(t *testing.T, place string) (b *bench, second *vault.Vault) {
	t.Helper()
	b = newBenchOn(t, place)
	second = b.open("p2")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	t.Cleanup(func() { cancel(); <-ended })
	go func() { defer close(ended); _ = second.Run(ctx) }()
	return b, second
}

// answeredElsewhere is how long second's waiting call goes on after the first process has committed the answer.
func answeredElsewhere(b *bench, second *vault.Vault, p vault.Person) time.Duration {
	b.t.Helper()
	tk := b.ticket(p, agent, b.lack(request(p, agent)))
	type end struct {
		at    time.Time
		state vault.TicketState
		err   error
	}
	ended := make(chan end, 1)
	go func() {
		got, err := second.AwaitTicket(b.t.Context(), p.Caller, tk.ID)
		ended <- end{time.Now(), got.State, err}
	}()
	time.Sleep(50 * time.Millisecond)
	if _, err := b.Decline(b.t.Context(), b.Handle(tk), p); err != nil {
		b.t.Fatal(err)
	}
	committed := time.Now()
	e := <-ended
	if e.err != nil || e.state != vault.TicketDeclined {
		b.t.Fatalf("the waiting call has a ticket that is %s, %v", e.state, e.err)
	}
	return e.at.Sub(committed)
}

// A call that waits in one process goes on when a person has answered in another.
func TestAnsweredOnAnotherReplica(t *testing.T) {
	t.Parallel()
	b, second := replicas(t, storetest.Postgres(t))
	time.Sleep(500 * time.Millisecond) // it begins to listen
	var took []time.Duration
	for i := range 15 {
		person := alice
		person.Subject += string(rune('a' + i)) // whom nobody has declined yet
		took = append(took, answeredElsewhere(b, second, person))
	}
	slices.Sort(took)
	t.Logf("a waiting call went on after %s, at most %s", took[len(took)/2], took[len(took)-1])
	if took[len(took)/2] > 100*time.Millisecond {
		t.Errorf("half of the calls waited %s and more", took[len(took)/2])
	}
}

// Where nothing is told, as on a file, the store is looked at again and again.
func TestAnsweredInAnotherProcess(t *testing.T) {
	t.Parallel()
	b, second := replicas(t, "")
	if took := answeredElsewhere(b, second, alice); took > 2*time.Second {
		t.Errorf("the waiting call went on after %s", took)
	}
}

// R64: what one replica has revoked, another one that has used it all the time
// refuses from then on, be it the account or one agent's access.
func TestRevokedOnAnotherReplica(t *testing.T) {
	t.Parallel()
	for name, revoke := range map[string]func(b *bench, acc vault.Account) error{
		"account": func(b *bench, acc vault.Account) error {
			_, err := b.Revoke(t.Context(), alice.Caller, acc.ID)
			return err
		},
		"access": func(b *bench, _ vault.Account) error {
			list, err := b.AccessList(t.Context(), alice.Caller)
			if err != nil || len(list) != 1 {
				return fmt.Errorf("%d permissions: %w", len(list), err)
			}
			return b.RevokeAccess(t.Context(), alice.Caller, list[0].ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, second := replicas(t, storetest.Postgres(t))
			acc := b.connect(alice, agent)
			revoked := make(chan struct{})
			var calls sync.WaitGroup
			for range 8 {
				calls.Go(func() { callUntil(t, second, revoked) })
			}
			time.Sleep(100 * time.Millisecond)
			err := revoke(b, acc)
			close(revoked)
			calls.Wait()
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// callUntil exchanges again and again. The first call that begins after revoked is closed must be refused.
func callUntil(t *testing.T, v *vault.Vault, revoked chan struct{}) {
	for {
		over := false
		select {
		case <-revoked:
			over = true
		default:
		}
		_, err := v.Exchange(t.Context(), request(alice, agent))
		var lack *vault.ConsentError
		switch {
		case over && err == nil:
			t.Error("a token after the revocation")
			return
		case over && errors.As(err, &lack) && lack.Reason.Mendable():
			return
		case err != nil && !errors.As(err, &lack), over:
			t.Errorf("exchange: %v", err)
			return
		}
	}
}

// R63: what was used on one replica is used on the others: a callback, a ticket, and access for one call.
func TestUsedOnceOnAllReplicas(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, storetest.Postgres(t))
	second := b.open("p2")
	tk := b.ticket(alice, agent, b.lack(request(alice, agent)))
	a := answer(b, tk, alice)
	a.Once = true
	s, err := b.Allow(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	cb := callback(t, s, alice)
	var wg sync.WaitGroup
	won := make(chan error, 2)
	for _, v := range []*vault.Vault{b.Vault, second} {
		wg.Go(func() { _, _, err := v.Finish(t.Context(), cb); won <- err })
	}
	wg.Wait()
	if first, other := <-won, <-won; (first == nil) == (other == nil) || b.vendor.requests() != 1 {
		t.Fatalf("the two callbacks ended with %v and %v, after %d token requests", first, other, b.vendor.requests())
	}
	if _, err := second.Allow(t.Context(), answer(b, tk, alice)); !errors.Is(err, vault.ErrGone) {
		t.Errorf("answering a finished ticket on the other replica: %v", err)
	}
	b.token(request(alice, agent)) // the one call
	another := request(alice, agent)
	another.Call = "call-2"
	if tok, err := second.Exchange(t.Context(), another); err == nil {
		t.Errorf("access for one call gave two: %v", tok)
	}
}

// What a vendor and an agent call things must not keep a grant from being
// stored, on either database: a rotated token would be lost with it.
func TestNamesThatNoDatabaseTakes(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(t *testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBenchOn(t, place(t))
			b.vendor.set(func(v *vendor) { v.scopes = "files.read a\x00b c\x1bd" })
			odd := vault.Agent{ID: "stdio:\x00claude", Name: "cla\x00ude"} // JSON has no other oddity
			acc := b.connect(alice, odd)
			if acc.GrantedBy != "stdio:\uFFFDclaude" || !slices.Equal(acc.Scopes, []string{"files.read"}) {
				t.Errorf("the account was granted by %q, with %q", acc.GrantedBy, acc.Scopes)
			}
			b.token(request(alice, odd))
			b.clock.add(2 * time.Hour)
			if tok := b.token(request(alice, odd)); tok.Generation != 2 || b.vendor.worstSpend() != 1 {
				t.Errorf("generation %d after a refresh, %d spends", tok.Generation, b.vendor.worstSpend())
			}
			for _, id := range []string{"a_\x00", "\xff"} {
				r := request(alice, odd)
				r.Account = id
				if e := b.lack(r); e.Reason != vault.AccountUnknown {
					t.Errorf("account %q: %s", id, e.Reason)
				}
				if _, err := b.Account(t.Context(), alice.Caller, id); !errors.Is(err, vault.ErrNotFound) {
					t.Errorf("account %q: %v", id, err)
				}
			}
			if n, err := b.VerifyAudit(t.Context()); err != nil || n < 4 {
				t.Errorf("audit has %d entries, %v", n, err)
			}
		})
	}
}
