package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
)

// impatient opens a store that waits a little only for other processes.
func impatient(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path, BusyTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// holdWriteLock takes the write lock by another connection, as another process would.
func holdWriteLock(t *testing.T, path string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestUpdateTriesAgain frees the lock after the first attempt has timed out.
func TestUpdateTriesAgain(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := impatient(t, path)
	release := holdWriteLock(t, path)
	freed := time.AfterFunc(400*time.Millisecond, release)
	defer freed.Stop()
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("with a lock that goes after the first attempt: %v", err)
	}
}

func TestUpdateGivesUp(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := impatient(t, path)
	release := holdWriteLock(t, path)
	runs := 0
	err := s.Update(t.Context(), func(vault.Tx) error { runs++; return nil })
	if err == nil || runs != 0 {
		t.Errorf("with a lock that stays: %v, ran %d times", err, runs)
	}
	if err := s.View(t.Context(), func(vault.Tx) error { return nil }); err != nil {
		t.Errorf("reading beside a writer: %v", err)
	}
	release()
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("with the lock gone: %v", err)
	}
}

func TestLockFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := sqlstore.LockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	if _, err := sqlstore.LockFile(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second holder: %v, want context.DeadlineExceeded", err)
	}
	time.AfterFunc(30*time.Millisecond, unlock)
	second, err := sqlstore.LockFile(t.Context(), path)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	second()
}

// TestOpenWaitsForTheLockFile shows that opening looks at the schema under the lock file.
func TestOpenWaitsForTheLockFile(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	if err := openStore(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	unlock, err := sqlstore.LockFile(t.Context(), path+".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	if _, err := sqlstore.Open(ctx, sqlstore.Config{Path: path}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open beside a migration: %v, want context.DeadlineExceeded", err)
	}
}
