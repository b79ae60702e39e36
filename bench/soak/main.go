package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/grantry/grantry/bench/fleet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		panic(fmt.Sprintf("soak: %v", err)) // a program fails so where only one may call os.Exit
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "worker" {
		return fleet.Work(context.Background(), os.Stdin, os.Stdout, os.Stderr)
	}
	cfg, err := parse(args)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	cfg.program = []string{self, "worker"}
	return soak(ctx, cfg, os.Stdout)
}

// config is what a soak does.
type config struct {
	grants, processes int
	length, killEvery time.Duration
	rate              int // exchanges a second, 0 = as many as can be
	loseOne           int // in so many of the vendor's answers, 0 = none
	store             string
	seed              uint64
	life              time.Duration
	report            time.Duration
	program           []string
}

func parse(args []string) (config, error) {
	c := config{report: 10 * time.Second}
	f := flag.NewFlagSet("soak", flag.ExitOnError)
	f.IntVar(&c.grants, "grants", 1000, "how many people have connected an account")
	f.IntVar(&c.processes, "processes", 4, "how many processes run on the store")
	f.DurationVar(&c.length, "for", 3*time.Minute, "how long")
	f.DurationVar(&c.killEvery, "kill-every", 3*time.Second, "how often a process is killed or frozen, on average; 0 = never")
	f.IntVar(&c.rate, "rate", 500, "exchanges a second; 0 = as many as can be")
	f.DurationVar(&c.life, "life", time.Minute, "how long an access token lives")
	f.IntVar(&c.loseOne, "lose", 500, "one in so many of the vendor's answers gets lost; 0 = none")
	f.StringVar(&c.store, "store", "", "a folder for a SQLite file, or a postgres URL of an empty database; default: a folder that goes at the end")
	f.Uint64Var(&c.seed, "seed", uint64(time.Now().UnixNano()), "of what is random")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if c.grants < 1 || c.processes < 1 || f.NArg() > 0 {
		return c, fmt.Errorf("at least one grant and one process, and nothing but flags; got %d, %d and %q", c.grants, c.processes, f.Args())
	}
	return c, nil
}
