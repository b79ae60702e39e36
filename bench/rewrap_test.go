package bench_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

const (
	dataKeys   = 100_000
	seedBatch  = 10_000
	quietTime  = 5 * time.Second // of the measure before the rotation
	afterwards = 2 * time.Second // between the two, for what was seeded to settle
)

// BenchmarkRewrap wraps 100,000 data keys anew while 16 callers exchange, and
// reports the percentiles of their exchanges before and during it.
func BenchmarkRewrap(b *testing.B) {
	keys := make([]seal.Key, 2)
	for i := range keys {
		var err error
		if keys[i], err = seal.GenerateKey(nil); err != nil {
			b.Fatal(err)
		}
	}
	path := filepath.Join(b.TempDir(), "vault.db")
	w := newWorldAt(b, path, keys)
	seedKeys(b, w, path, keys[0])
	time.Sleep(afterwards)
	active := 0
	for b.Loop() {
		before := w.exchangeUntil(b, func() { time.Sleep(quietTime) })
		active = 1 - active
		if err := w.ActivateKey(b.Context(), keys[active].ID(), false); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		during := w.exchangeUntil(b, func() {
			if r, err := w.Rewrap(b.Context(), nil); err != nil || r.Done < dataKeys {
				b.Errorf("rewrapped %+v, %v", r, err)
			}
		})
		b.ReportMetric(time.Since(began).Seconds(), "rewrap-s")
		report(b, "before", before)
		report(b, "during", during)
		b.ReportMetric(percentile(during, 99).Seconds()/percentile(before, 99).Seconds(), "p99-ratio")
	}
}

// seedKeys adds users with a data key each, as the vault would, some thousands a transaction.
func seedKeys(b *testing.B, w *world, path string, key seal.Key) {
	b.Helper()
	tree, err := seal.NewTree([]seal.Key{key}, key.ID())
	if err != nil {
		b.Fatal(err)
	}
	store, err := sqlstore.Open(b.Context(), sqlstore.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	for from := 0; from < dataKeys; from += seedBatch {
		err := store.Update(b.Context(), func(tx vault.Tx) error {
			for i := from; i < from+seedBatch; i++ {
				user := fmt.Sprintf("%040x", i)
				dek, wrapped, err := tree.NewDEK(w.ID(), user, nil)
				if err != nil {
					return err
				}
				id := dek.ID()
				if err := tx.Users().Put(vault.UserRow{Key: user, DEK: id[:]}, vault.KeyRow{ID: id[:], User: user, Wrapped: wrapped}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// exchangeUntil has all callers exchange while work runs, and answers how long each took, sorted.
func (w *world) exchangeUntil(b *testing.B, work func()) []time.Duration {
	b.Helper()
	done := make(chan struct{})
	took := make([][]time.Duration, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				began := time.Now()
				if _, err := w.Exchange(b.Context(), request(i)); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(began))
			}
		})
	}
	began := time.Now()
	work()
	close(done)
	wg.Wait()
	all := slices.Concat(took...)
	slices.Sort(all)
	b.Logf("%d exchanges in %s", len(all), time.Since(began).Round(time.Millisecond))
	return all
}

func percentile(sorted []time.Duration, p int) time.Duration { return sorted[len(sorted)*p/100] }

func report(b *testing.B, when string, sorted []time.Duration) {
	b.Helper()
	b.ReportMetric(float64(percentile(sorted, 50).Microseconds()), when+"-p50-µs")
	b.ReportMetric(float64(percentile(sorted, 99).Microseconds()), when+"-p99-µs")
}
