package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/grantry/grantry/vault"
)

// RunAccess checks AccessRows.
func RunAccess(t *testing.T, open func(t *testing.T) vault.Store) {
	cases(t, open, map[string]func(*testing.T, vault.Store){
		"put and get": accessPut,
		"list":        accessList,
		"held":        accessHeld,
		"pairs":       accessPairs,
		"touch":       accessTouch,
		"delete":      accessDelete,
		"once": func(t *testing.T, s vault.Store) {
			accessOnce(t, s, s, s, s)
		},
	})
}

func accessRow(id, agent, grant string) vault.AccessRow {
	return vault.AccessRow{
		ID: id, User: "alice", Agent: agent, Grant: grant, Scopes: "a b", Expires: now + 1,
		Once: "open", AgentCT: []byte("agent"), Created: now, Used: now + 2,
	}
}

func getAccess(t *testing.T, s vault.Store, a vault.AccessRow) vault.AccessRow {
	t.Helper()
	return read(t, s, func(tx vault.Tx) (vault.AccessRow, error) { return tx.Access().Get(a.User, a.Agent, a.Grant) })
}

func accessPut(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	a := accessRow("a1", "agent", g.ID)
	update(t, s, func(tx vault.Tx) error { return tx.Access().Put(a) })
	same(t, "access", a, getAccess(t, s, a))

	again := vault.AccessRow{ID: "a2", User: a.User, Agent: a.Agent, Grant: a.Grant, Scopes: "c", Created: now + 5}
	update(t, s, func(tx vault.Tx) error { return tx.Access().Put(again) })
	same(t, "replaced access", again, getAccess(t, s, a))
	same(t, "access by id", again, read(t, s, func(tx vault.Tx) (vault.AccessRow, error) { return tx.Access().Find("a2") }))
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.AccessRow, error) { return tx.Access().Find("a1") })
	rows := read(t, s, func(tx vault.Tx) ([]vault.AccessRow, error) { return tx.Access().List(a.User) })
	same(t, "list", []vault.AccessRow{again}, rows)

	for _, key := range [][3]string{{"bob", a.Agent, a.Grant}, {a.User, "other", a.Grant}, {a.User, a.Agent, "g2"}} {
		readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.AccessRow, error) { return tx.Access().Get(key[0], key[1], key[2]) })
	}
	if err := s.Update(t.Context(), func(tx vault.Tx) error { return tx.Access().Put(accessRow("a3", "agent", "g2")) }); err == nil {
		t.Error("access to a grant that is not there was stored")
	}
}

func accessHeld(t *testing.T, s vault.Store) {
	addUsers(t, s, "alice", "bob")
	grants := map[string]vault.GrantRow{}
	update(t, s, func(tx vault.Tx) error {
		for i, id := range []string{"g3", "g2", "g1", "g0"} {
			g := grantRow(id, "alice")
			g.ProfileCT = []byte("profile of " + id)
			if g.Created = now - int64(i/2); id == "g0" {
				g = vault.GrantRow{ID: id, User: "bob", Connection: "slack", AccountKey: "k", State: "active"}
			}
			if err := tx.Grants().Insert(g); err != nil {
				return err
			}
			g.AccountKey, g.GrantedBy, g.RefreshFP, g.AltUntil = "", "", nil, 0
			g.LeaseSeq, g.LeaseUntil, g.AttemptPhase, g.LastError, g.Used = 0, 0, "", "", 0
			grants[id] = g
		}
		return nil
	})
	first, others := accessRow("a1", "agent", "g1"), accessRow("a2", "other", "g2")
	update(t, s, func(tx vault.Tx) error { return errors.Join(tx.Access().Put(first), tx.Access().Put(others)) })
	for _, of := range []struct {
		user, agent string
		want        []vault.HeldRow
	}{
		{"alice", "agent", []vault.HeldRow{{Grant: grants["g1"], Access: first}, {Grant: grants["g2"]}, {Grant: grants["g3"]}}},
		{"alice", "other", []vault.HeldRow{{Grant: grants["g1"]}, {Grant: grants["g2"], Access: others}, {Grant: grants["g3"]}}},
		{"bob", "agent", []vault.HeldRow{{Grant: grants["g0"]}}},
		{"carol", "agent", nil},
		{"no\x00text", "agent", nil},
	} {
		got := read(t, s, func(tx vault.Tx) ([]vault.HeldRow, error) { return tx.Access().Held(of.user, of.agent) })
		same(t, "what "+of.agent+" has of "+of.user, of.want, got)
	}
	held := read(t, s, func(tx vault.Tx) ([]vault.HeldRow, error) { return tx.Access().Held("alice", "agent") })
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Grants().Swap(held[0].Grant, held[0].Grant.Gen) })
}

func accessPairs(t *testing.T, s vault.Store) {
	addUsers(t, s, "alice", "bob", "carol")
	update(t, s, func(tx vault.Tx) error {
		for i, pair := range [][2]string{{"bob", "agent2"}, {"alice", "agent2"}, {"alice", "agent1"}, {"bob", "agent1"}, {"alice", "agent1"}} {
			g := grantRow(fmt.Sprint("g", i), pair[0])
			g.AccountKey = g.ID
			a := accessRow(fmt.Sprint("a", i), pair[1], g.ID)
			a.User = pair[0]
			if err := errors.Join(tx.Grants().Insert(g), tx.Access().Put(a)); err != nil {
				return err
			}
		}
		return nil
	})
	all := []vault.AccessRow{{User: "alice", Agent: "agent1"}, {User: "alice", Agent: "agent2"}, {User: "bob", Agent: "agent1"}, {User: "bob", Agent: "agent2"}}
	for _, of := range []struct {
		user, agent string
		limit       int
		want        []vault.AccessRow
	}{
		{"", "", 9, all},
		{"", "", 3, all[:3]},
		{"alice", "agent2", 1, all[2:3]},
		{"alice", "agent1", 9, all[1:]},
		{"alice", "agent3", 9, all[2:]},
		{"bob", "agent2", 9, nil},
	} {
		got := read(t, s, func(tx vault.Tx) ([]vault.AccessRow, error) { return tx.Access().Pairs(of.user, of.agent, of.limit) })
		same(t, fmt.Sprintf("%d after %s of %s", of.limit, of.agent, of.user), of.want, got)
	}
}

func accessList(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	first, second := accessRow("a1", "agent1", g.ID), accessRow("a2", "agent2", g.ID)
	update(t, s, func(tx vault.Tx) error { return tx.Access().Put(second) })
	update(t, s, func(tx vault.Tx) error { return tx.Access().Put(first) })
	for user, want := range map[string][]vault.AccessRow{"alice": {first, second}, "bob": nil} {
		same(t, "list of "+user, want, read(t, s, func(tx vault.Tx) ([]vault.AccessRow, error) { return tx.Access().List(user) }))
	}
}

func accessTouch(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	a := accessRow("a1", "agent", g.ID)
	update(t, s, func(tx vault.Tx) error { return tx.Access().Put(a) })
	update(t, s, func(tx vault.Tx) error { return tx.Access().Touch(a.ID, "open", "call1", now+9) })
	want := a
	want.Once, want.Used = "call1", now+9
	same(t, "touched access", want, getAccess(t, s, a))
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Access().Touch(a.ID, "open", "call2", now+10) })
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Access().Touch("a2", "", "", now+10) })
	same(t, "after conflicts", want, getAccess(t, s, a))
}

func accessDelete(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	a := accessRow("a1", "agent", g.ID)
	update(t, s, func(tx vault.Tx) error { return tx.Access().Put(a) })
	updateErr(t, s, vault.ErrNotFound, func(tx vault.Tx) error { return tx.Access().Delete("bob", a.ID) })
	updateErr(t, s, vault.ErrNotFound, func(tx vault.Tx) error { return tx.Access().Delete(a.User, "a2") })
	same(t, "after another's delete", a, getAccess(t, s, a))
	update(t, s, func(tx vault.Tx) error { return tx.Access().Delete(a.User, a.ID) })
	updateErr(t, s, vault.ErrNotFound, func(tx vault.Tx) error { return tx.Access().Delete(a.User, a.ID) })
}

// accessOnce has calls race for an access that is good for one.
func accessOnce(t *testing.T, handles ...vault.Store) {
	g := withGrant(t, handles[0])
	a := accessRow("a1", "agent", g.ID)
	for range 10 {
		update(t, handles[0], func(tx vault.Tx) error { return tx.Access().Put(a) })
		wins := race(t, handles, func(tx vault.Tx, _ int) error { return tx.Access().Touch(a.ID, "open", "call", now) })
		if len(wins) != 1 {
			t.Fatalf("calls %v used it, want one", wins)
		}
	}
}
