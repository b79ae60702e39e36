package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/vault"
)

// now is the time of all rows, in Unix milliseconds.
const now = int64(1_790_000_000_000)

// Run runs every part on stores that open answers: each call a new, empty store,
// closed with the test that it is for.
func Run(t *testing.T, open func(t *testing.T) vault.Store) {
	t.Run("users", func(t *testing.T) { RunUsers(t, open) })
	t.Run("keys", func(t *testing.T) { RunKeys(t, open) })
	t.Run("grants", func(t *testing.T) { RunGrants(t, open) })
	t.Run("upkeep", func(t *testing.T) { RunUpkeep(t, open) })
	t.Run("access", func(t *testing.T) { RunAccess(t, open) })
	t.Run("records", func(t *testing.T) { RunRecords(t, open) })
	t.Run("audit", func(t *testing.T) { RunAudit(t, open) })
	t.Run("processes", func(t *testing.T) { RunProcesses(t, open) })
	t.Run("epoch", func(t *testing.T) { RunEpoch(t, open) })
	t.Run("transactions", func(t *testing.T) { RunTransactions(t, open) })
}

// cases runs tests in parallel, each on a store of its own.
func cases(t *testing.T, open func(t *testing.T) vault.Store, tests map[string]func(*testing.T, vault.Store)) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// update runs fn in a write transaction that must succeed.
func update(t *testing.T, s vault.Store, fn func(tx vault.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// updateErr runs fn in a write transaction that must fail with want.
func updateErr(t *testing.T, s vault.Store, want error, fn func(tx vault.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); !errors.Is(err, want) {
		t.Errorf("Update: %v, want %v", err, want)
	}
}

// read answers what get reads in a View that must succeed.
func read[T any](t *testing.T, s vault.Store, get func(tx vault.Tx) (T, error)) T {
	t.Helper()
	var v T
	if err := s.View(t.Context(), func(tx vault.Tx) (err error) { v, err = get(tx); return err }); err != nil {
		t.Fatalf("View: %v", err)
	}
	return v
}

// readErr reads in a View that must fail with want.
func readErr[T any](t *testing.T, s vault.Store, want error, get func(tx vault.Tx) (T, error)) {
	t.Helper()
	err := s.View(t.Context(), func(tx vault.Tx) error { _, err := get(tx); return err })
	if !errors.Is(err, want) {
		t.Errorf("View: %v, want %v", err, want)
	}
}

// same reports what differs.
func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// bytes16 are n bytes that tell a value by its name.
func bytes16(name string) []byte { return fmt.Appendf(nil, "%-16.16s", name) }

func userRow(key string) (vault.UserRow, vault.KeyRow) {
	id := bytes16("dek " + key)
	return vault.UserRow{Key: key, DEK: id, ProfileCT: []byte("profile of " + key), Created: now},
		vault.KeyRow{ID: id, User: key, Wrapped: []byte("wrapped of " + key), Created: now}
}

// addUsers inserts users, "" among them if asked for.
func addUsers(t *testing.T, s vault.Store, keys ...string) {
	t.Helper()
	update(t, s, func(tx vault.Tx) error {
		for _, key := range keys {
			if err := tx.Users().Put(userRow(key)); err != nil {
				return err
			}
		}
		return nil
	})
}

// grantRow has a value of its own in every field.
func grantRow(id, user string) vault.GrantRow {
	return vault.GrantRow{
		ID: id, User: user, Connection: "google", Destination: []byte{0, 1, 2}, AccountKey: "account " + id,
		State: "active", Gen: 1, Scopes: "a b", IsDefault: true, GrantedBy: "agent",
		ProfileCT: []byte("profile"), AccessCT: []byte("access"), AccessExp: now + 3_600_000,
		RefreshCT: []byte("refresh"), RefreshFP: []byte("fp"), AltCT: []byte("alt"), AltUntil: now + 60_000,
		LeaseOwner: "p1", LeaseSeq: 7, LeaseUntil: now + 30_000, AttemptAt: now - 1, AttemptPhase: "sent",
		NextTry: now + 5, FailCount: 2, LastError: "timeout", AuditGap: true, Unverified: true,
		Created: now, Updated: now + 1, Refreshed: now + 2, Used: now + 3,
	}
}

// withGrant answers a store's grant of user alice, inserted.
func withGrant(t *testing.T, s vault.Store) vault.GrantRow {
	t.Helper()
	addUsers(t, s, "alice")
	g := grantRow("g1", "alice")
	update(t, s, func(tx vault.Tx) error { return tx.Grants().Insert(g) })
	return g
}

func getGrant(t *testing.T, s vault.Store, id string) vault.GrantRow {
	t.Helper()
	return read(t, s, func(tx vault.Tx) (vault.GrantRow, error) { return tx.Grants().Get(id) })
}
