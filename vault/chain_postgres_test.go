package vault_test

import (
	"sync"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

// On PostgreSQL processes that start at once write a chain each, which have seen
// each other; one that starts after a stop takes the free one on.
func TestStreamsOnPostgres(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, storetest.Postgres(t))
	vaults := []*vault.Vault{b.open("p2"), b.open("p3"), b.open("p4")}
	var starts sync.WaitGroup
	for _, v := range vaults {
		starts.Go(func() { running(t, v) })
	}
	starts.Wait()
	for _, v := range vaults {
		b.entries(v, 5)
	}
	rows := b.allRows()
	for _, name := range []string{"main", "main-2", "main-3"} {
		if len(rows[name]) != 6 {
			t.Errorf("%s has %d entries", name, len(rows[name]))
		}
	}
	if err := vaults[1].Close(); err != nil {
		t.Fatal(err)
	}
	running(t, b.open("p5"))
	if now := b.allRows(); len(now) != 3 {
		t.Errorf("%d streams after another start", len(now))
	}
	if n, err := b.VerifyAudit(t.Context()); err != nil || n < 20 {
		t.Errorf("%d entries, %v", n, err)
	}
}
