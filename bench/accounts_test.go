package bench_test

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// BenchmarkExchangeAccounts is BenchmarkExchange on a vault of 10,000 accounts and
// on one of GRANTRY_BENCH_ACCOUNTS (100,000 unless set): where the same 1,000 are in
// use, where any of them may be next, and that again where neither vault remembers
// what it has read. The two take turns, so that what else the machine does meets both.
func BenchmarkExchangeAccounts(b *testing.B) {
	const small, turns = 10_000, 10
	large, err := strconv.Atoi(os.Getenv("GRANTRY_BENCH_ACCOUNTS"))
	if err != nil {
		large = 100_000
	}
	sizes := [2]int{small, large}
	var worlds [2]*world
	forgetful := new(atomic.Bool)
	for i, n := range sizes {
		worlds[i] = newWorld(b, func(c *vault.Config) { c.Store = &restless{Store: c.Store, on: forgetful} })
		newSeeder(b, worlds[i]).seed(b, callers, n)
	}
	for _, use := range []struct {
		name    string
		most    int
		forgets bool
	}{{"1000-in-use", 1000, false}, {"any", large, false}, {"any-unremembered", large, true}} {
		b.Run(use.name, func(b *testing.B) {
			forgetful.Store(use.forgets)
			var took [2][]time.Duration
			for range turns {
				for i, w := range worlds {
					used := min(use.most, sizes[i])
					took[i] = append(took[i], measure(b, max(1, b.N/turns), func(int) error {
						_, err := w.Exchange(b.Context(), request(rand.IntN(used)))
						return err
					})...)
				}
			}
			for i, which := range [2]string{"small", "large"} {
				slices.Sort(took[i])
				report(b, which, took[i])
			}
			b.ReportMetric(percentile(took[1], 99).Seconds()/percentile(took[0], 99).Seconds(), "p99-ratio")
		})
	}
}

// BenchmarkExchangeUnremembered is BenchmarkExchange where something changes in the store
// between any two looks at it: every exchange reads its rows, and reads them again for the release.
func BenchmarkExchangeUnremembered(b *testing.B) {
	on := new(atomic.Bool)
	on.Store(true)
	w := newWorld(b, func(c *vault.Config) { c.Store = &restless{Store: c.Store, on: on} })
	run(b, func(i int) error { _, err := w.Exchange(b.Context(), request(i)); return err })
}

// restless is a store of another epoch at every look, while it is on.
type restless struct {
	vault.Store
	on *atomic.Bool
	n  atomic.Int64
}

func (s *restless) View(ctx context.Context, fn func(vault.Tx) error) error {
	return s.Store.View(ctx, func(tx vault.Tx) error { return fn(restlessTx{tx, s}) })
}

func (s *restless) Append(ctx context.Context, fn func(vault.Tx) error) error {
	return s.Store.Append(ctx, func(tx vault.Tx) error { return fn(restlessTx{tx, s}) })
}

type restlessTx struct {
	vault.Tx
	s *restless
}

func (t restlessTx) Vault() vault.VaultRows { return restlessRows{t.Tx.Vault(), t.s} }

type restlessRows struct {
	vault.VaultRows
	s *restless
}

func (r restlessRows) Epoch() (int64, error) {
	if !r.s.on.Load() {
		return r.VaultRows.Epoch()
	}
	return r.s.n.Add(1) << 32, nil // beyond all that the store itself has counted
}

// BenchmarkFlight has 1,000 callers want the one token that has just run out: one
// operation is all of them served, by one spend.
func BenchmarkFlight(b *testing.B) {
	w := newWorld(b)
	start, asked := time.Duration(0), w.spent.Load()
	b.ResetTimer()
	for range b.N {
		w.ahead.Add(int64(2 * time.Hour))
		began := time.Now()
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if _, err := w.Exchange(b.Context(), request(0)); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		start += time.Since(began)
	}
	b.ReportMetric(float64(start.Microseconds())/float64(b.N)/1000, "ms/flight")
	b.ReportMetric(float64(w.spent.Load()-asked)/float64(b.N), "spends/flight")
}
