package storetest

import (
	"testing"

	"github.com/grantry/grantry/vault"
)

// RunShared checks several handles on one database. place makes a new, empty
// database and answers the function that opens a handle on it, closed with the test.
func RunShared(t *testing.T, place func(t *testing.T) func(t *testing.T) vault.Store) {
	for name, race := range map[string]func(*testing.T, ...vault.Store){
		"parallel swaps":   parallelSwaps,
		"parallel leases":  parallelLeases,
		"parallel takes":   parallelTakes,
		"parallel puts":    parallelPuts,
		"parallel appends": parallelAppends,
		"parallel rewraps": parallelRewraps,
		"epoch":            epochShared,
		"once":             accessOnce,
		"visible at once":  visibleAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := place(t)
			race(t, open(t), open(t))
		})
	}
	t.Run("durable", func(t *testing.T) {
		t.Parallel()
		durable(t, place(t))
	})
}

// visibleAtOnce wants a handle to see what another one has committed.
func visibleAtOnce(t *testing.T, handles ...vault.Store) {
	g := withGrant(t, handles[0])
	for range 20 {
		next := nextGen(g)
		update(t, handles[0], func(tx vault.Tx) error { return tx.Grants().Swap(next, g.Gen) })
		g = next
		same(t, "at the other handle", g, getGrant(t, handles[1], g.ID))
	}
}

// durable wants everything to be there after closing and opening again.
func durable(t *testing.T, open func(t *testing.T) vault.Store) {
	s := open(t)
	g := withGrant(t, s)
	a, r, e := accessRow("a1", "agent", g.ID), record("ticket", "a"), auditRow("main", 1)
	update(t, s, func(tx vault.Tx) error { return tx.Access().Put(a) })
	update(t, s, put(r))
	update(t, s, appendRows(e))
	update(t, s, set("a"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t)
	u, k := userRow("alice")
	same(t, "user", u, read(t, s, func(tx vault.Tx) (vault.UserRow, error) { return tx.Users().Get("alice") }))
	same(t, "data key", k, read(t, s, func(tx vault.Tx) (vault.KeyRow, error) { return tx.Keys().Get(k.ID) }))
	same(t, "grant", g, getGrant(t, s, g.ID))
	same(t, "access", a, getAccess(t, s, a))
	same(t, "record", r, read(t, s, getRecord(r.Kind, r.Hash, now)))
	same(t, "audit", []vault.AuditRow{e}, auditRead(t, s, "main", 1, 10))
	same(t, "setting", []byte("set"), read(t, s, setting("a")))
}
