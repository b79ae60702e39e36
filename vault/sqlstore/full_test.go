package sqlstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
)

// TestMaxPageCount fills the database file as SQLite itself bounds it: what does
// not fit is an error and leaves nothing, for synced and for unsynced writes;
// reading goes on, and so does writing once there is room again.
func TestMaxPageCount(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := openStore(t, path)
	seq := int64(0)
	entry := func(tx vault.Tx) error {
		row := vault.AuditRow{Stream: "main", Seq: seq + 1, Kind: "k", Body: []byte(strings.Repeat("x", 500)), MAC: []byte("mac")}
		return tx.Audit().Append([]vault.AuditRow{row})
	}
	head := func() {
		t.Helper()
		err := s.View(t.Context(), func(tx vault.Tx) error {
			if got, _, err := tx.Audit().Head("main"); got != seq || err != nil {
				return fmt.Errorf("head is %d after %d: %w", got, seq, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if err := sqlstore.MaxPages(t.Context(), s, 64); err != nil {
		t.Fatal(err)
	}
	var full error
	for full == nil {
		if full = s.Append(t.Context(), entry); full == nil {
			seq++
		}
	}
	if !strings.Contains(full.Error(), "full") || seq == 0 {
		t.Fatalf("after %d entries: %v", seq, full)
	}
	if err := s.Update(t.Context(), entry); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("a synced write: %v", err)
	}
	head()
	if err := sqlstore.MaxPages(t.Context(), s, 1<<30); err != nil {
		t.Fatal(err)
	}
	for _, write := range []func() error{
		func() error { return s.Append(t.Context(), entry) },
		func() error { return s.Update(t.Context(), entry) },
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
		seq++
	}
	head()
}
