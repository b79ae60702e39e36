package bench_test

import (
	"context"
	"log/slog"
	"math"
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
// on one of GRANTRY_BENCH_ACCOUNTS (100,000 unless set):
//   - the same 1,000 are in use,
//   - accounts are used for the first time since the vault was opened, and nothing was read ahead,
//   - each was used before, and any of them may be next,
//   - that, while something of somebody's changes 100 times a second,
//   - any may be next, once a vault that has just started has read ahead,
//   - accounts of the large one are used for the first time, of which it has read nothing ahead, beside any of the small one,
//   - any may be next, while the large one reads ahead, from start to end,
//   - any may be next, and neither may use what it remembers.
func BenchmarkExchangeAccounts(b *testing.B) {
	large, err := strconv.Atoi(os.Getenv("GRANTRY_BENCH_ACCOUNTS"))
	if err != nil {
		large = 100_000
	}
	var worlds [2]*sized
	for i, n := range [2]int{10_000, large} {
		w := &sized{n: n, unused: rand.Perm(n)}
		w.world = newWorld(b, func(c *vault.Config) {
			c.Remember = 1 << 30 // as the program has it on a machine with 16 GiB
			w.restless.Store, c.Store = c.Store, &w.restless
		})
		newSeeder(b, w.world).seed(b, callers, n)
		worlds[i] = w
	}
	mixed := func(w *sized) int {
		if w == worlds[1] {
			return w.first()
		}
		return w.any()
	}
	whichever := func(b *testing.B) { compare(b, worlds, (*sized).any, endless) }
	b.Run("1000-in-use", func(b *testing.B) { compare(b, worlds, func(*sized) int { return rand.IntN(1000) }, endless) })
	b.Run("first-use", func(b *testing.B) { compare(b, worlds, (*sized).first, (*sized).left) })
	for _, w := range worlds {
		w.exchange(b, len(w.unused), (*sized).first)
	}
	b.Run("any", whichever)
	b.Run("any-beside-changes", func(b *testing.B) {
		for _, w := range worlds {
			defer w.changing(b, 10*time.Millisecond)()
		}
		whichever(b)
	})
	var took [2]time.Duration
	for i, w := range worlds {
		began := time.Now()
		ahead, stop := w.start(b)
		<-ahead
		took[i] = time.Since(began)
		stop()
	}
	b.Run("any-read-ahead", func(b *testing.B) {
		whichever(b)
		b.ReportMetric(took[0].Seconds(), "small-read-s")
		b.ReportMetric(took[1].Seconds(), "large-read-s")
	})
	b.Run("first-use-beside-any", func(b *testing.B) {
		worlds[1].reopen(b, worlds[1].cfg)
		worlds[1].unused = rand.Perm(large)
		compare(b, worlds, mixed, func(w *sized) int {
			if w == worlds[1] {
				return w.left()
			}
			return endless(w)
		})
	})
	b.Run("any-reading-ahead", func(b *testing.B) { readingAhead(b, worlds) })
	b.Run("any-unremembered", func(b *testing.B) {
		for _, w := range worlds {
			w.restless.on.Store(true)
			defer w.restless.on.Store(false)
		}
		whichever(b)
	})
}

// readingAhead has the small world be used before the large one reads ahead: the two share two processors.
func readingAhead(b *testing.B, worlds [2]*sized) {
	b.Helper()
	took := [2][]time.Duration{worlds[0].exchange(b, b.N, (*sized).any)}
	began := time.Now()
	ahead, stop := worlds[1].start(b)
	defer stop()
	for reading := true; reading; {
		took[1] = append(took[1], worlds[1].exchange(b, 10_000, (*sized).any)...)
		select {
		case <-ahead:
			reading = false
		default:
		}
	}
	b.ReportMetric(time.Since(began).Seconds(), "large-read-s")
	reportBoth(b, took)
}

// sized is a world of n accounts, with those that were not used yet.
type sized struct {
	*world
	n        int
	restless restless
	mu       sync.Mutex
	unused   []int
}

// reopen opens the vault anew: nothing is remembered.
func (w *sized) reopen(b *testing.B, cfg vault.Config) {
	b.Helper()
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	w.open(b, cfg)
}

// start is a new start of the vault, with all that it does between calls until stop is called. ahead ends when it has read ahead.
func (w *sized) start(b *testing.B) (ahead <-chan struct{}, stop func()) {
	b.Helper()
	done := make(chan struct{})
	cfg := w.cfg
	cfg.ReadAhead, cfg.Logger = true, slog.New(listener{Handler: slog.DiscardHandler, line: "what exchanges will want is in memory", heard: sync.OnceFunc(func() { close(done) })})
	w.reopen(b, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.Run(ctx) })
	return done, func() { cancel(); running.Wait() }
}

// listener is a log that nobody keeps.
type listener struct {
	slog.Handler
	line  string
	heard func()
}

func (l listener) Enabled(context.Context, slog.Level) bool { return true }

func (l listener) Handle(_ context.Context, r slog.Record) error {
	if r.Message == l.line {
		l.heard()
	}
	return nil
}

func (w *sized) any() int { return rand.IntN(w.n) }

func (w *sized) left() int { return len(w.unused) }

func endless(*sized) int { return math.MaxInt }

// first answers each account once.
func (w *sized) first() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.unused[0]
	w.unused = w.unused[1:]
	return i
}

func (w *sized) exchange(b *testing.B, n int, account func(w *sized) int) []time.Duration {
	b.Helper()
	return measure(b, n, func(int) error {
		_, err := w.Exchange(b.Context(), request(account(w)))
		return err
	})
}

// changing gives somebody's agent its access anew every so often, until the answer is called.
func (w *sized) changing(b *testing.B, every time.Duration) (stop func()) {
	b.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			user := w.Pseudonym(caller(w.any()).Caller)
			err := w.store.Update(context.Background(), func(tx vault.Tx) error {
				all, err := tx.Access().List(user)
				if err != nil {
					return err
				}
				return tx.Access().Put(all[0])
			})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// compare has the two worlds take turns, so that what else the machine does meets both.
func compare(b *testing.B, worlds [2]*sized, account, left func(w *sized) int) {
	b.Helper()
	const turns = 10
	var took [2][]time.Duration
	for range turns {
		for i, w := range worlds {
			took[i] = append(took[i], w.exchange(b, min(max(1, b.N/turns), left(w)), account)...)
		}
	}
	reportBoth(b, took)
}

func reportBoth(b *testing.B, took [2][]time.Duration) {
	b.Helper()
	if len(took[0]) == 0 || len(took[1]) == 0 {
		b.Fatal("too few accounts: give the number of exchanges (-benchtime)")
	}
	for i, which := range [2]string{"small", "large"} {
		slices.Sort(took[i])
		report(b, which, took[i])
	}
	b.ReportMetric(percentile(took[1], 99).Seconds()/percentile(took[0], 99).Seconds(), "p99-ratio")
}

// BenchmarkExchangeUnremembered is BenchmarkExchange where something changes in the store
// between any two looks at it: every exchange reads its rows, and reads them again for the release.
func BenchmarkExchangeUnremembered(b *testing.B) {
	w := newWorld(b, func(c *vault.Config) {
		s := &restless{Store: c.Store}
		s.on.Store(true)
		c.Store = s
	})
	run(b, func(i int) error { _, err := w.Exchange(b.Context(), request(i)); return err })
}

// restless is a store of another epoch at every look, while it is on.
type restless struct {
	vault.Store
	on atomic.Bool
	n  atomic.Int64
}

func (s *restless) View(ctx context.Context, fn func(vault.Tx) error) error {
	return s.Store.View(ctx, s.in(fn))
}

func (s *restless) Append(ctx context.Context, fn func(vault.Tx) error) error {
	return s.Store.Append(ctx, s.in(fn))
}

func (s *restless) in(fn func(vault.Tx) error) func(vault.Tx) error {
	if !s.on.Load() {
		return fn
	}
	return func(tx vault.Tx) error { return fn(restlessTx{tx, s}) }
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

// Epoch is beyond all that the store itself has counted.
func (r restlessRows) Epoch() (int64, error) { return r.s.n.Add(1) << 32, nil }

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
