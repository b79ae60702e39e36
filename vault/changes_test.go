package vault_test

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

// comesBack notes what the store has counted, and answers what has it forget all after that, as a server that fails
// over to one that was behind.
func (b *bench) comesBack() (back func()) {
	b.t.Helper()
	db, err := sql.Open("sqlite", "file:"+b.path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = db.Close() })
	execute := func(statement string) {
		if _, err := db.ExecContext(b.t.Context(), statement); err != nil {
			b.t.Error(err)
		}
	}
	execute("CREATE TABLE then_epoch AS SELECT * FROM epoch; CREATE TABLE then_changes AS SELECT * FROM changes")
	return func() {
		execute(`BEGIN IMMEDIATE; DELETE FROM epoch; DELETE FROM changes;
			INSERT INTO epoch SELECT * FROM then_epoch; INSERT INTO changes SELECT * FROM then_changes; COMMIT`)
	}
}

// takeAway ends all access of a person's, as another process does.
func (b *bench) takeAway(p vault.Person) {
	b.t.Helper()
	err := b.store.Update(b.t.Context(), func(tx vault.Tx) error {
		list, err := tx.Access().List(b.Pseudonym(p.Caller))
		for _, a := range list {
			err = errors.Join(err, tx.Access().Delete(a.User, a.ID))
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// A store that comes back without its last transactions, as a server that fails over to one that was
// behind: what this process learned from those that are lost hides no change that comes in their place.
func TestLostTransactionsForgetAll(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		seen  bool     // the process sees where the store is
		then  []string // whose rows change at once
		later int      // more changes
	}{
		"at once":                           {seen: true},
		"after everybody's change":          {seen: true, then: crowd()},
		"after one other change":            {later: 1},
		"after more changes than were lost": {later: 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.connect(alice, agent)
			b.connectOwn(bob)
			for _, p := range []vault.Person{alice, bob} {
				b.token(request(p, agent))
			}
			back := b.comesBack()
			for range 3 {
				b.deleteNothing(b.Pseudonym(alice.Caller), b.Pseudonym(bob.Caller))
			}
			for _, p := range []vault.Person{alice, bob} {
				b.token(request(p, agent))
			}
			back()
			if tc.seen {
				b.token(request(alice, agent))
			}
			if tc.then != nil {
				b.deleteNothing(tc.then...)
				b.token(request(alice, agent))
			}
			b.takeAway(bob)
			for range tc.later {
				b.deleteNothing("somebody")
			}
			if e := b.lack(request(bob, agent)); e.Reason != vault.AgentNotAllowed {
				t.Errorf("bob's access was revoked, and his exchange gives %s", e.Reason)
			}
			b.token(request(alice, agent))
		})
	}
}

// What was read of a transaction that the store loses before the release is not released.
func TestLostBeforeTheRelease(t *testing.T) {
	t.Parallel()
	f, with := broken(t)
	b := newBench(t, with)
	b.connectOwn(bob)
	b.connectOwn(alice)
	b.token(request(bob, agent))
	back := b.comesBack()
	b.deleteNothing(b.Pseudonym(alice.Caller))
	f.onceReleasing(func() { b.takeAway(alice); back() }) // what gave her agent access is lost
	if e := b.lack(request(alice, agent)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("alice's access is lost, and her exchange gives %s", e.Reason)
	}
}

// lossy is a store that gets on after the first transaction that appends, and is back where it was before the second.
type lossy struct {
	vault.Store
	n             atomic.Int64
	getOn, goBack func()
}

func (s *lossy) Append(ctx context.Context, fn func(vault.Tx) error) error {
	n := s.n.Add(1)
	if n == 2 {
		s.goBack()
	}
	err := s.Store.Append(ctx, fn)
	if n == 1 {
		s.getOn()
	}
	return err
}

// What was read ahead of a transaction that the store then loses is not remembered: its number comes again.
func TestLostWhileReadingAhead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connectOwn(bob)
	b.connectOwn(alice)
	s := &lossy{goBack: b.comesBack()}
	s.getOn = func() {
		for range 3 {
			b.deleteNothing(b.Pseudonym(alice.Caller))
		}
	}
	b.Vault = b.startAnew(func(c *vault.Config) {
		s.Store, c.Store = c.Store, s
		b.store = b.openStore()
		t.Cleanup(func() { _ = b.store.Close() })
	})
	b.token(request(bob, agent))
	b.takeAway(alice)
	b.token(request(bob, agent))
	for range 20 {
		b.deleteNothing("somebody")
	}
	b.token(request(bob, agent))
	if e := b.lack(request(alice, agent)); e.Reason != vault.AgentNotAllowed {
		t.Errorf("alice's access was taken away, and her exchange gives %s", e.Reason)
	}
}

// Two processes exchange while a third takes access away and gives it back. What an
// exchange answers that began after one of these and ended before the next is what is so.
func TestExchangesSeeEveryChange(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func(*testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exchangesSeeEveryChange(t, newBenchOn(t, server(t)))
		})
	}
}

func exchangesSeeEveryChange(t *testing.T, b *bench) {
	people := []vault.Person{alice, bob, somebody("carol")}
	given := make([]*givenAccess, len(people))
	for i, p := range people {
		b.connectOwn(p)
		given[i] = b.given(p)
	}
	processes := []*vault.Vault{b.Vault, b.open("p2")}
	b.store = b.openStore()
	t.Cleanup(func() { _ = b.store.Close() })
	var running sync.WaitGroup
	var done atomic.Bool
	var judged [2]atomic.Int64
	for i := range 6 {
		running.Go(func() {
			for !done.Load() {
				who := rand.IntN(len(people))
				has, before := given[who].now()
				_, err := processes[i%2].Exchange(t.Context(), request(people[who], agent))
				if _, after := given[who].now(); after != before || before%2 > 0 {
					continue // one was under way
				}
				if has != (err == nil) {
					t.Errorf("the agent of %s has access: %t; its exchange: %v", people[who].Subject, has, err)
					return
				}
				judged[i%2].Add(1)
			}
		})
	}
	for range 300 {
		given[rand.IntN(len(given))].toggle(b)
		time.Sleep(time.Millisecond)
	}
	done.Store(true)
	running.Wait()
	if judged[0].Load() < 100 || judged[1].Load() < 100 {
		t.Errorf("too few exchanges fell between two changes: %d and %d", judged[0].Load(), judged[1].Load())
	}
}

// givenAccess is a person's one access, which is taken away and given back.
type givenAccess struct {
	row vault.AccessRow
	mu  sync.Mutex
	has bool
	n   int // of beginnings and ends of a change: odd while one is under way
}

func (b *bench) given(p vault.Person) *givenAccess {
	b.t.Helper()
	var rows []vault.AccessRow
	err := b.store.View(b.t.Context(), func(tx vault.Tx) (err error) {
		rows, err = tx.Access().List(b.Pseudonym(p.Caller))
		return err
	})
	if err != nil || len(rows) != 1 {
		b.t.Fatal(rows, err)
	}
	return &givenAccess{row: rows[0], has: true}
}

func (g *givenAccess) now() (has bool, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.has, g.n
}

func (g *givenAccess) set(has bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.has = has
	g.n++
}

func (g *givenAccess) toggle(b *bench) {
	b.t.Helper()
	has, _ := g.now()
	g.set(has)
	err := b.store.Update(b.t.Context(), func(tx vault.Tx) error {
		if has {
			return tx.Access().Delete(g.row.User, g.row.ID)
		}
		return tx.Access().Put(g.row)
	})
	if err != nil {
		b.t.Error(err)
	}
	g.set(!has)
}
