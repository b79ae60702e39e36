package storetest

import (
	"fmt"
	"testing"

	"github.com/grantry/grantry/vault"
)

// RunUpkeep checks UpkeepRows.
func RunUpkeep(t *testing.T, open func(t *testing.T) vault.Store) {
	cases(t, open, map[string]func(*testing.T, vault.Store){
		"due":    upkeepDue,
		"ended":  upkeepEnded,
		"idle":   upkeepIdle,
		"alts":   upkeepAlternates,
		"delete": upkeepDelete,
	})
}

// insertGrants adds alice's grants, each with a change of its own to the row of grantRow.
func insertGrants(t *testing.T, s vault.Store, change map[string]func(*vault.GrantRow)) {
	t.Helper()
	addUsers(t, s, "alice")
	update(t, s, func(tx vault.Tx) error {
		for id, f := range change {
			g := grantRow(id, "alice")
			g.Refreshed = g.Created - 1000
			f(&g)
			if err := tx.Grants().Insert(g); err != nil {
				return err
			}
		}
		return nil
	})
}

// found compares the ids of grants, and that their rows are whole.
func found(t *testing.T, s vault.Store, what string, want []string, list func(tx vault.Tx) ([]vault.GrantRow, error)) {
	t.Helper()
	var ids []string
	for _, g := range read(t, s, list) {
		ids = append(ids, g.ID)
		same(t, what+": row "+g.ID, getGrant(t, s, g.ID), g)
	}
	same(t, what, want, ids)
}

func upkeepDue(t *testing.T, s vault.Store) {
	const before, used, at = now + 100, now - 100, now
	insertGrants(t, s, map[string]func(*vault.GrantRow){
		"late":  func(g *vault.GrantRow) { g.AccessExp, g.Used, g.NextTry = before, used, at },
		"ended": func(g *vault.GrantRow) { g.AccessExp, g.Used, g.NextTry = now-5, now, 0 },
		"soon":  func(g *vault.GrantRow) { g.AccessExp, g.Used, g.NextTry = now+5, now, 0 },
		"soon2": func(g *vault.GrantRow) { g.AccessExp, g.Used, g.NextTry = now+5, now, 0 },

		"lives on":   func(g *vault.GrantRow) { g.AccessExp, g.Used, g.NextTry = before+1, now, 0 },
		"no end":     func(g *vault.GrantRow) { g.AccessExp, g.Used, g.NextTry = 0, now, 0 },
		"no refresh": func(g *vault.GrantRow) { g.AccessExp, g.Used, g.NextTry, g.RefreshCT = now, now, 0, nil },
		"unused":     func(g *vault.GrantRow) { g.AccessExp, g.Used, g.NextTry = now, used-1, 0 },
		"not yet":    func(g *vault.GrantRow) { g.AccessExp, g.Used, g.NextTry = now, now, at+1 },
		"revoked":    func(g *vault.GrantRow) { g.AccessExp, g.Used, g.NextTry, g.State = now, now, 0, "revoked" },
	})
	for limit, want := range map[int][]string{9: {"ended", "soon", "soon2", "late"}, 2: {"ended", "soon"}} {
		found(t, s, fmt.Sprintf("due, at most %d", limit), want, func(tx vault.Tx) ([]vault.GrantRow, error) {
			return tx.Upkeep().Due(before, used, at, limit)
		})
	}
}

func upkeepAlternates(t *testing.T, s vault.Store) {
	insertGrants(t, s, map[string]func(*vault.GrantRow){
		"second": func(g *vault.GrantRow) { g.AltCT, g.AltUntil = []byte("sealed"), now },
		"first":  func(g *vault.GrantRow) { g.AltCT, g.AltUntil, g.State = []byte("sealed"), now-1, "revoked" },
		"kept":   func(g *vault.GrantRow) { g.AltCT, g.AltUntil = []byte("sealed"), now+1 },
		"none":   func(g *vault.GrantRow) { g.AltCT, g.AltUntil = nil, now-1 },
	})
	for limit, want := range map[int][]string{9: {"first", "second"}, 1: {"first"}} {
		found(t, s, fmt.Sprintf("alternates, at most %d", limit), want, func(tx vault.Tx) ([]vault.GrantRow, error) {
			return tx.Upkeep().Alternates(now, limit)
		})
	}
}

func upkeepEnded(t *testing.T, s vault.Store) {
	insertGrants(t, s, map[string]func(*vault.GrantRow){
		"second":  func(g *vault.GrantRow) { g.State, g.Updated = "revoked", now-1 },
		"first":   func(g *vault.GrantRow) { g.State, g.Updated = "revoked", now-2 },
		"young":   func(g *vault.GrantRow) { g.State, g.Updated = "revoked", now },
		"expired": func(g *vault.GrantRow) { g.State, g.Updated = "expired", now-3 },
		"active":  func(g *vault.GrantRow) { g.Updated = now - 3 },
	})
	for state, want := range map[string][]string{"revoked": {"first", "second"}, "expired": {"expired"}, "no_refresh": nil} {
		found(t, s, state, want, func(tx vault.Tx) ([]vault.GrantRow, error) { return tx.Upkeep().Ended(state, now, 9) })
	}
	found(t, s, "at most one", []string{"first"}, func(tx vault.Tx) ([]vault.GrantRow, error) { return tx.Upkeep().Ended("revoked", now, 1) })
}

func upkeepIdle(t *testing.T, s vault.Store) {
	insertGrants(t, s, map[string]func(*vault.GrantRow){
		"second":  func(g *vault.GrantRow) { g.Created, g.Used = now-9, now-1 },
		"never":   func(g *vault.GrantRow) { g.Created, g.Used = now-9, 0 },
		"used":    func(g *vault.GrantRow) { g.Created, g.Used = now-9, now },
		"new":     func(g *vault.GrantRow) { g.Created, g.Used = now, 0 },
		"revoked": func(g *vault.GrantRow) { g.Created, g.Used, g.State = now-9, now-9, "revoked" },
	})
	for limit, want := range map[int][]string{9: {"never", "second"}, 1: {"never"}} {
		found(t, s, fmt.Sprintf("idle, at most %d", limit), want, func(tx vault.Tx) ([]vault.GrantRow, error) { return tx.Upkeep().Idle(now, limit) })
	}
}

func upkeepDelete(t *testing.T, s vault.Store) {
	g := withGrant(t, s)
	other := grantRow("g2", "alice")
	a, kept := accessRow("a1", "agent", g.ID), accessRow("a2", "agent", other.ID)
	update(t, s, func(tx vault.Tx) error { return tx.Grants().Insert(other) })
	for _, row := range []vault.AccessRow{a, kept} {
		update(t, s, func(tx vault.Tx) error { return tx.Access().Put(row) })
	}
	for _, gen := range []int64{g.Gen - 1, g.Gen + 1} {
		updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Upkeep().Delete(g.ID, gen) })
	}
	updateErr(t, s, vault.ErrConflict, func(tx vault.Tx) error { return tx.Upkeep().Delete("g3", g.Gen) })
	same(t, "after conflicts", g, getGrant(t, s, g.ID))
	update(t, s, func(tx vault.Tx) error { return tx.Upkeep().Delete(g.ID, g.Gen) })
	readErr(t, s, vault.ErrNotFound, func(tx vault.Tx) (vault.GrantRow, error) { return tx.Grants().Get(g.ID) })
	same(t, "access", []vault.AccessRow{kept}, read(t, s, func(tx vault.Tx) ([]vault.AccessRow, error) { return tx.Access().List("alice") }))
}
