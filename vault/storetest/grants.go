package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/grantry/grantry/vault"
)

// RunGrants checks GrantRows.
func RunGrants(t *testing.T, open func(t *testing.T) vault.Store) {
	cases(t, open, map[string]func(*testing.T, vault.Store){
		"insert and get":        grantsInsert,
		"insert conflicts":      grantsInsertConflicts,
		"list":                  grantsList,
		"swap":                  grantsSwap,
		"swap leaves the lease": grantsSwapLeavesLease,
		"swap conflicts":        grantsSwapConflicts,
		"lease":                 grantsLease,
		"lease conflicts":       grantsLeaseConflicts,
		"parallel swaps":        func(t *testing.T, s vault.Store) { parallelSwaps(t, s, s, s, s) },
		"parallel leases":       func(t *testing.T, s vault.Store) { parallelLeases(t, s, s, s, s) },
	})
}

func grantsInsert(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	same(t, "grant", g, getGrant(t, s, g.ID))
	bare := vault.GrantRow{ID: "g2", User: "alice", Connection: "slack", AccountKey: "k", State: "active"}
	update(t, s, func(tx vault.Tx) error { return tx.Grants().Insert(bare) })
	same(t, "grant without values", bare, getGrant(t, s, bare.ID))
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.GrantRow, error) { return tx.Grants().Get("g3") })
}

func grantsInsertConflicts(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	addUsers(t, s, "bob")
	sameID, sameAccount := grantRow(g.ID, "alice"), grantRow("g2", "alice")
	sameID.AccountKey, sameAccount.AccountKey = "another", g.AccountKey
	for _, row := range []vault.GrantRow{sameID, sameAccount} {
		updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Grants().Insert(row) })
	}
	same(t, "grant", g, getGrant(t, s, g.ID))

	bobs, elsewhere := grantRow("g3", "bob"), grantRow("g4", "alice")
	bobs.AccountKey, elsewhere.AccountKey, elsewhere.Connection = g.AccountKey, g.AccountKey, "work"
	for _, row := range []vault.GrantRow{bobs, elsewhere} {
		update(t, s, func(tx vault.Tx) error { return tx.Grants().Insert(row) })
	}
	if err := s.Update(t.Context(), func(tx vault.Tx) error { return tx.Grants().Insert(grantRow("g5", "nobody")) }); err == nil {
		t.Error("a grant of nobody was stored")
	}
}

func grantsList(t *testing.T, s vault.Store) {
	addUsers(t, s, "alice", "bob")
	update(t, s, func(tx vault.Tx) error {
		for i, user := range []string{"alice", "bob", "alice"} {
			g := grantRow(fmt.Sprintf("g%d", i), user)
			g.Created = now - int64(i)
			if err := tx.Grants().Insert(g); err != nil {
				return err
			}
		}
		return nil
	})
	for f, want := range map[vault.GrantFilter][]string{
		{}: {"g2", "g1", "g0"}, {User: "alice"}: {"g2", "g0"}, {User: "bob"}: {"g1"}, {User: "carol"}: nil,
		{Connection: "google", AccountKey: "account g1"}: {"g1"}, {Connection: "slack", AccountKey: "account g1"}: nil,
	} {
		rows := read(t, s, func(tx vault.Tx) ([]vault.GrantRow, error) { return tx.Grants().List(f) })
		var got []string
		for _, g := range rows {
			got = append(got, g.ID)
		}
		same(t, fmt.Sprintf("list of %+v", f), want, got)
	}
	for _, f := range []vault.GrantFilter{{Connection: "google"}, {AccountKey: "account g1"}, {User: "alice", Connection: "google"}} {
		readErrAny(t, s, func(tx vault.Tx) error { _, err := tx.Grants().List(f); return err })
	}
}

// readErrAny reads in a View that must fail.
func readErrAny(t *testing.T, s vault.Store, fn func(tx vault.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err == nil {
		t.Error("View gave no error")
	}
}

// nextGen is g after a refresh: every column that Swap may touch is another.
func nextGen(g vault.GrantRow) vault.GrantRow {
	g.Gen++
	g.Destination, g.State, g.Scopes, g.GrantedBy = []byte{9}, "needs_consent", "c", "person"
	g.IsDefault, g.AuditGap, g.Unverified = !g.IsDefault, !g.AuditGap, !g.Unverified
	g.ProfileCT, g.AccessCT, g.RefreshCT, g.RefreshFP, g.AltCT = []byte("p2"), []byte("a2"), nil, nil, []byte("r1")
	g.AccessExp, g.AltUntil = g.AccessExp+1, g.AltUntil+1
	g.Updated, g.Refreshed, g.Used = g.Updated+1, g.Refreshed+1, g.Used+1
	return g
}

func grantsSwap(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	next := nextGen(g)
	update(t, s, func(tx vault.Tx) error { return tx.Grants().Swap(next, g.Gen) })
	same(t, "after a swap", next, getGrant(t, s, g.ID))
	still := next
	still.State = "revoked"
	update(t, s, func(tx vault.Tx) error { return tx.Grants().Swap(still, next.Gen) })
	same(t, "after a swap within a generation", still, getGrant(t, s, g.ID))
}

func grantsSwapLeavesLease(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	next := g
	next.Gen++
	next.LeaseOwner, next.LeaseSeq, next.LeaseUntil, next.AttemptAt, next.AttemptPhase = "thief", 99, 1, 1, ""
	next.NextTry, next.FailCount, next.LastError = 1, 99, "other"
	update(t, s, func(tx vault.Tx) error { return tx.Grants().Swap(next, g.Gen) })
	want := g
	want.Gen++
	same(t, "after a swap", want, getGrant(t, s, g.ID))
}

func grantsSwapConflicts(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	addUsers(t, s, "bob")
	swap := func(change func(*vault.GrantRow), gen int64) {
		t.Helper()
		next := nextGen(g)
		change(&next)
		updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Grants().Swap(next, gen) })
	}
	swap(func(*vault.GrantRow) {}, g.Gen-1)
	swap(func(*vault.GrantRow) {}, g.Gen+1)
	swap(func(r *vault.GrantRow) { r.ID = "g2" }, g.Gen)
	swap(func(r *vault.GrantRow) { r.User = "bob" }, g.Gen)
	swap(func(r *vault.GrantRow) { r.Connection = "work" }, g.Gen)
	swap(func(r *vault.GrantRow) { r.AccountKey = "another" }, g.Gen)
	same(t, "after conflicts", g, getGrant(t, s, g.ID))
}

func grantsLease(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	l := vault.Lease{Owner: "p2", Seq: 8, Until: now + 9, AttemptAt: now + 1, Phase: "sent", NextTry: now + 2, FailCount: 3, LastError: "status"}
	update(t, s, func(tx vault.Tx) error { return tx.Grants().Lease(g.ID, g.Gen, g.LeaseSeq, l) })
	want := g
	want.LeaseOwner, want.LeaseSeq, want.LeaseUntil, want.AttemptAt, want.AttemptPhase = l.Owner, l.Seq, l.Until, l.AttemptAt, l.Phase
	want.NextTry, want.FailCount, want.LastError = l.NextTry, l.FailCount, l.LastError
	same(t, "after a lease", want, getGrant(t, s, g.ID))
}

func grantsLeaseConflicts(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	for _, at := range [][2]int64{{g.Gen + 1, g.LeaseSeq}, {g.Gen, g.LeaseSeq + 1}, {g.Gen, g.LeaseSeq - 1}} {
		updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Grants().Lease(g.ID, at[0], at[1], vault.Lease{Owner: "p2"}) })
	}
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Grants().Lease("g2", g.Gen, g.LeaseSeq, vault.Lease{}) })
	same(t, "after conflicts", g, getGrant(t, s, g.ID))
}

// parallelSwaps has all handles race for each generation: one of them wins it.
func parallelSwaps(t *testing.T, handles ...vault.Store) {
	const generations = 20
	g := withGrant(t, handles[0])
	for gen := g.Gen; gen < g.Gen+generations; gen++ {
		wins := race(t, handles, func(tx vault.Tx, racer int) error {
			next := g
			next.Gen, next.GrantedBy = gen+1, fmt.Sprint(racer)
			return tx.Grants().Swap(next, gen)
		})
		if len(wins) != 1 {
			t.Fatalf("generation %d has winners %v, want one", gen, wins)
		}
		if got := getGrant(t, handles[0], g.ID); got.Gen != gen+1 || got.GrantedBy != fmt.Sprint(wins[0]) {
			t.Fatalf("after generation %d: generation %d of %s, want that of the winner %d", gen, got.Gen, got.GrantedBy, wins[0])
		}
	}
}

func parallelLeases(t *testing.T, handles ...vault.Store) {
	g := withGrant(t, handles[0])
	for seq := g.LeaseSeq; seq < g.LeaseSeq+10; seq++ {
		wins := race(t, handles, func(tx vault.Tx, racer int) error {
			return tx.Grants().Lease(g.ID, g.Gen, seq, vault.Lease{Owner: fmt.Sprint(racer), Seq: seq + 1})
		})
		if len(wins) != 1 {
			t.Fatalf("lease %d has winners %v, want one", seq, wins)
		}
		if got := getGrant(t, handles[0], g.ID); got.LeaseOwner != fmt.Sprint(wins[0]) {
			t.Fatalf("lease %d is %s's, want the winner's, %d", seq, got.LeaseOwner, wins[0])
		}
	}
}

// race runs fn at the same time, several times on each handle, and answers who
// met no conflict. Any other error fails the test.
func race(t *testing.T, handles []vault.Store, fn func(tx vault.Tx, racer int) error) (wins []int) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for racer := range 2 * len(handles) {
		wg.Go(func() {
			<-start
			err := handles[racer%len(handles)].Update(t.Context(), func(tx vault.Tx) error { return fn(tx, racer) })
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				wins = append(wins, racer)
			case !errors.Is(err, vault.ErrConflict) && !errors.Is(err, vault.ErrNotFound):
				t.Errorf("racer %d: %v", racer, err)
			}
		})
	}
	close(start)
	wg.Wait()
	return wins
}
