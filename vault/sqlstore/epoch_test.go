package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
)

// beside is a handle on a store's database that goes by no rule of the store's.
func beside(t *testing.T, place string) *sql.DB {
	t.Helper()
	if strings.HasPrefix(place, "postgres://") {
		return server(t, place)
	}
	db, err := sql.Open("sqlite", "file:"+place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func execute(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// change has a row of alice's change, or try to: the epoch moves all the same.
func change(ctx context.Context, s *sqlstore.Store) error {
	return s.Append(ctx, func(tx vault.Tx) error {
		err := tx.Access().Delete("alice", "none")
		if errors.Is(err, vault.ErrNotFound) {
			err = nil
		}
		return err
	})
}

// changedSince answers what Changed does, and the epoch beside it.
func changedSince(t *testing.T, s *sqlstore.Store, since int64) (epoch int64, users []string, all bool) {
	t.Helper()
	err := s.View(t.Context(), func(tx vault.Tx) (err error) {
		if epoch, err = tx.Vault().Epoch(); err != nil {
			return err
		}
		users, all, err = tx.Vault().Changed(since)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return epoch, users, all
}

// TestOldChangesAreDropped has the epoch move far, and then as long as it takes.
func TestOldChangesAreDropped(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, place string) {
		s, db := openStore(t, place), beside(t, place)
		first, _, _ := changedSince(t, s, 0)
		if err := change(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if _, users, all := changedSince(t, s, first); all || !slices.Equal(users, []string{"alice"}) {
			t.Fatalf("changed: %v, %t", users, all)
		}
		execute(t, db, "UPDATE epoch SET n = n + 1000000000000")
		left := 1
		for tries := 0; left > 0 && tries < 10_000; tries++ {
			if err := change(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if tries%50 != 0 {
				continue
			}
			if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM changes WHERE epoch < 1000000000000").Scan(&left); err != nil {
				t.Fatal(err)
			}
		}
		if left > 0 {
			t.Errorf("%d old changes are still there", left)
		}
		epoch, _, all := changedSince(t, s, first)
		if !all {
			t.Error("what changed so long ago is said to be known")
		}
		if _, users, all := changedSince(t, s, epoch); all || len(users) > 0 {
			t.Errorf("changed since now: %v, %t", users, all)
		}
	})
}

// TestLostTransactions takes a database back to what it was some changes ago, as a
// server that fails over without its last transactions: the same number of changes
// later nobody takes them for those that are lost.
func TestLostTransactions(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, place string) {
		s, db := openStore(t, place), beside(t, place)
		execute(t, db, "CREATE TABLE then_epoch AS SELECT * FROM epoch")
		execute(t, db, "CREATE TABLE then_changes AS SELECT * FROM changes")
		for range 3 {
			if err := change(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		lost, _, _ := changedSince(t, s, 0)
		for _, statement := range []string{
			"DELETE FROM epoch", "INSERT INTO epoch SELECT * FROM then_epoch",
			"DELETE FROM changes", "INSERT INTO changes SELECT * FROM then_changes",
		} {
			execute(t, db, statement)
		}
		if _, _, all := changedSince(t, s, lost); !all {
			t.Error("right after it: an epoch that is lost is said to be known")
		}
		for i := range 10 {
			if err := change(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if _, _, all := changedSince(t, s, lost); !all {
				t.Errorf("%d changes later: an epoch that is lost is said to be known", i+1)
			}
		}
	})
}

// TestOtherCounters has a program that knows nothing of changes move the epoch, as one of an earlier version does.
func TestOtherCounters(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, place string) {
		s, db := openStore(t, place), beside(t, place)
		first, _, _ := changedSince(t, s, 0)
		execute(t, db, "UPDATE epoch SET n = n + 1")
		between, _, all := changedSince(t, s, first)
		if !all {
			t.Error("the other's change is not noticed")
		}
		if err := change(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if _, _, all = changedSince(t, s, first); !all {
			t.Error("the other's change is not noticed after one of ours")
		}
		if _, users, all := changedSince(t, s, between); all || !slices.Equal(users, []string{"alice"}) {
			t.Errorf("changed after the other's: %v, %t", users, all)
		}
	})
}
