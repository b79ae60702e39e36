package vault_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest"
)

// The database's server goes away while the vendor works on a refresh, and comes
// back: the new token is stored, nobody spends the old one again, and the vault
// recovers by itself.
func TestServerRestartsDuringARefresh(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*storetest.Server, *testing.T){"shutdown": (*storetest.Server).Shutdown, "kill": (*storetest.Server).Kill} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storetest.NewServer(t)
			b := newBenchOn(t, server.URL)
			b.connect(alice, agent)
			b.token(request(alice, agent))
			b.clock.add(2 * time.Hour)
			var once sync.Once
			var starting sync.WaitGroup
			b.vendor.set(func(v *vendor) {
				v.onToken = func() {
					once.Do(func() {
						end(server, t)
						starting.Go(func() { time.Sleep(300 * time.Millisecond); server.Start(t) })
					})
				}
			})
			var calls sync.WaitGroup
			for range 5 {
				calls.Go(func() { whileDown(t, b.Vault) })
			}
			calls.Wait()
			starting.Wait()
			began := time.Now()
			for {
				tok, err := b.Exchange(t.Context(), request(alice, agent))
				if err == nil {
					if tok.Generation != 2 || b.vendor.worstSpend() != 1 {
						t.Errorf("generation %d, and one token was spent %d times", tok.Generation, b.vendor.worstSpend())
					}
					break
				}
				if time.Since(began) > 10*time.Second {
					t.Fatalf("10 s after the server was back: %v", err)
				}
				time.Sleep(20 * time.Millisecond)
			}
			t.Logf("served %s after the server was back", time.Since(began).Round(time.Millisecond))
			if err := b.Ready(t.Context()); err != nil {
				t.Errorf("ready: %v", err)
			}
			if _, err := b.VerifyAudit(t.Context()); err != nil {
				t.Errorf("audit: %v", err)
			}
		})
	}
}

// whileDown exchanges once: with a token, or told that the vault cannot; never
// that a person must do something.
func whileDown(t *testing.T, v *vault.Vault) {
	_, err := v.Exchange(t.Context(), request(alice, agent))
	var lack *vault.ConsentError
	if err != nil && (!errors.As(err, &lack) || lack.Reason.Mendable()) {
		t.Errorf("while the server was away: %v", err)
	}
}
