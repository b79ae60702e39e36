package vault_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// The whole way on PostgreSQL: consent, exchange, one spend among three
// processes, a revocation that is in force at once on another one, and a chain that holds.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, storetest.Postgres(t))
	acc := b.connect(alice, agent)
	b.token(request(alice, agent))
	b.vendor.set(func(v *vendor) { v.delay = 50 * time.Millisecond })
	b.clock.add(2 * time.Hour)
	before := b.vendor.requests()
	vaults := []*vault.Vault{b.Vault, b.open("p2"), b.open("p3")}
	var wg sync.WaitGroup
	for _, v := range vaults {
		for range 10 {
			wg.Go(func() {
				if tok, err := v.Exchange(t.Context(), request(alice, agent)); err != nil || tok.Generation != 2 {
					t.Errorf("exchange: %+v, %v", tok, err)
				}
			})
		}
	}
	wg.Wait()
	if n := b.vendor.requests() - before; n != 1 || b.vendor.worstSpend() != 1 {
		t.Errorf("%d refreshes, one token sent %d times", n, b.vendor.worstSpend())
	}
	if ok, err := vaults[1].Revoke(t.Context(), alice.Caller, acc.ID); !ok || err != nil {
		t.Fatalf("revoke = %t, %v", ok, err)
	}
	if e := b.lack(request(alice, agent)); e.Reason != vault.Revoked {
		t.Errorf("after another process's revocation: %s", e.Reason)
	}
	if n, err := b.VerifyAudit(t.Context()); err != nil || n < 35 {
		t.Errorf("audit has %d entries, %v", n, err)
	}
}
