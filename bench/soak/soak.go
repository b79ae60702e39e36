package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/grantry/grantry/bench/fleet"
)

const (
	atOnce     = 16                // callers of each process
	settleTime = 100 * time.Second // until a grant that a vendor could not refresh must have been tried again
)

// world is a soak under way: its processes, and what has happened so far.
type world struct {
	cfg    config
	out    io.Writer
	vendor *fleet.Vendor
	fleet  *fleet.Fleet
	slots  []atomic.Pointer[fleet.Process]
	people []person

	outMu  sync.Mutex
	tally  tally
	limits *rate.Limiter
}

// person is one who has connected an account.
type person struct {
	mu       sync.Mutex
	consents atomic.Int64
}

// tally counts what callers met.
type tally struct {
	exchanges                                   atomic.Int64
	interrupted, unreachable, degraded, refused atomic.Int64
	kills, freezes                              atomic.Int64
	killed, unanswered, unexplained             atomic.Int64
}

func soak(ctx context.Context, cfg config, out io.Writer) error {
	w, done, err := newWorld(cfg, out)
	if err != nil {
		return err
	}
	defer done()
	if err := w.fill(ctx); err != nil {
		return err
	}
	w.print("%d grants at %s, %d processes, seed %d", cfg.grants, w.place(), cfg.processes, cfg.seed)
	w.drive(ctx)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	w.settle(ctx)
	return w.finish()
}

func newWorld(cfg config, out io.Writer) (*world, func(), error) {
	folder, remove, err := workplace(cfg.store)
	if err != nil {
		return nil, nil, err
	}
	w := &world{cfg: cfg, out: out, slots: make([]atomic.Pointer[fleet.Process], cfg.processes), people: make([]person, cfg.grants)}
	w.limits = rate.NewLimiter(rate.Inf, 1)
	if cfg.rate > 0 {
		w.limits = rate.NewLimiter(rate.Limit(cfg.rate), max(1, cfg.rate/10))
	}
	spread := func() time.Duration { return time.Second + rand.N(cfg.life) } // so that refreshes do not come all at once
	if w.vendor, err = fleet.NewVendor(fleet.VendorConfig{Life: cfg.life, First: spread, Policy: policy, Act: cfg.act}); err != nil {
		remove()
		return nil, nil, err
	}
	server := cfg.store
	if !strings.Contains(server, "://") {
		server = ""
	}
	w.fleet, err = fleet.New(fleet.Config{Program: cfg.program, Folder: folder, Store: server, Vendor: w.vendor})
	if err != nil {
		w.vendor.Close()
		remove()
		return nil, nil, err
	}
	return w, func() { w.fleet.Close(); w.vendor.Close(); remove() }, nil
}

// workplace is a new folder of the soak's own: below the one that was named, or one that goes at the end.
func workplace(store string) (folder string, remove func(), err error) {
	if store == "" || strings.Contains(store, "://") {
		folder, err = os.MkdirTemp("", "soak")
		return folder, func() { _ = os.RemoveAll(folder) }, err
	}
	if store, err = filepath.Abs(store); err == nil {
		err = os.MkdirAll(store, 0o700)
	}
	if err != nil {
		return "", nil, fmt.Errorf("making the folder: %w", err)
	}
	folder, err = os.MkdirTemp(store, "soak")
	return folder, func() {}, err
}

// policy has a third of the vendors each with no grace, one of 5 s, and one of half an hour.
func policy(subject string) fleet.Policy {
	grace := []time.Duration{0, 5 * time.Second, 30 * time.Minute}
	return fleet.Policy{Grace: grace[int(subject[len(subject)-1])%len(grace)], Family: true}
}

// act has vendors take 5 to 40 ms after the token is spent, and some answers get lost.
func (c config) act(string) fleet.Act {
	a := fleet.Act{After: func(string) { time.Sleep(5*time.Millisecond + rand.N(35*time.Millisecond)) }}
	if c.loseOne > 0 && rand.IntN(c.loseOne) == 0 {
		a.Answer = []fleet.Answer{fleet.Cut, fleet.Status, fleet.None}[rand.IntN(3)]
	}
	return a
}

// fill starts the processes and connects everybody.
func (w *world) fill(ctx context.Context) error {
	for i := range w.slots {
		p, err := w.fleet.Start(ctx, fleet.Job{Upkeep: true})
		if err != nil {
			return err
		}
		w.slots[i].Store(p)
	}
	var next atomic.Int64
	failed := make([]error, atOnce)
	var wg sync.WaitGroup
	for c := range failed {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < len(w.people) && failed[c] == nil; i = int(next.Add(1) - 1) {
				r, err := w.slots[c%len(w.slots)].Load().Do(ctx, fleet.Task{Do: fleet.DoConnect, User: i})
				if err == nil && !r.OK {
					err = fmt.Errorf("connecting %s: %s: %s", fleet.Subject(i), r.Reason, r.Detail)
				}
				failed[c] = err
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// drive runs load and trouble for the time of the soak.
func (w *world) drive(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.length)
	defer cancel()
	var wg sync.WaitGroup
	for c := range atOnce * len(w.slots) {
		wg.Go(func() { w.call(ctx, rand.New(rand.NewPCG(w.cfg.seed, uint64(c)))) })
	}
	wg.Go(func() { w.trouble(ctx, rand.New(rand.NewPCG(w.cfg.seed, 1<<32))) })
	wg.Go(func() { w.report(ctx) })
	wg.Wait()
}

// settle asks for everybody once more, until each grant works or is lost: what a
// vendor could not say during the load has to come out.
func (w *world) settle(ctx context.Context) {
	w.print("no more trouble: everybody's grant is asked for once more")
	open := make([]int, len(w.people))
	for i := range open {
		open[i] = i
	}
	for until := time.Now().Add(settleTime); len(open) > 0 && time.Now().Before(until) && ctx.Err() == nil; {
		var undecided []int
		for n, i := range open {
			if !w.exchange(ctx, i, w.slots[n%len(w.slots)].Load()) {
				undecided = append(undecided, i)
			}
		}
		if open = undecided; len(open) > 0 {
			time.Sleep(2 * time.Second)
		}
	}
	for _, i := range open {
		w.unexplained(i, "it never came to an end: "+w.vendor.Explain(fleet.Subject(i)).Detail)
	}
}

// finish closes the processes properly, and judges.
func (w *world) finish() error {
	w.line(time.Time{})
	var failed []error
	for i := range w.slots {
		failed = append(failed, w.slots[i].Load().Close())
	}
	total := w.vendor.Total()
	if total.MostSends > 3 {
		failed = append(failed, fmt.Errorf("a refresh token was sent %d times", total.MostSends))
	}
	if n := w.tally.unexplained.Load(); n > 0 {
		failed = append(failed, fmt.Errorf("%d unexplained losses; the processes say:\n%s", n, w.fleet.Log()))
	}
	w.print("no refresh token was sent more than %d times; %d losses are unexplained", total.MostSends, w.tally.unexplained.Load())
	return errors.Join(failed...)
}

// place is where the vault lies, without a password.
func (w *world) place() string {
	if strings.Contains(w.fleet.Store(), "://") {
		return "a server"
	}
	return w.fleet.Store()
}
