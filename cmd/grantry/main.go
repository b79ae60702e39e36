// Command grantry is a self-hosted token vault for AI agents, served over MCP.
//
// Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 a person is needed.
// Logs go to stderr, always; stdout carries results (and, under stdio, MCP only).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/cmd/internal/app/config"
)

const (
	exitFailed = 1
	exitUsage  = 2
	exitPerson = 3
)

func main() {
	if os.Getenv("GOGC") == "" {
		// At the default a collection falls into the first milliseconds, in which an MCP client waits for
		// the list of tools. What lives is 2 MB, so this is a heap of 16 MB before there is one.
		debug.SetGCPercent(400)
	}
	slog.SetDefault(slog.New(slog.DiscardHandler)) // libraries that log by themselves do not know what may stand in a log
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// streams are the process's own, or a test's.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// errPerson says that a person did not finish (exit code 3).
var errPerson = errors.New("a person is needed")

func run(ctx context.Context, args []string, s streams) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("grantry"), kong.Description(description),
		kong.Writers(s.out, s.err), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(s.err, "grantry:", err)
		return exitFailed
	}
	k, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintf(s.err, "grantry: %v\nRun `grantry --help` for the commands.\n", err)
		return exitUsage
	}
	e := &env{ctx: ctx, streams: s, common: &c.Common}
	defer e.close()
	return e.report(k.Run(e))
}

// report says what went wrong, and turns it into the exit code.
func (e *env) report(err error) int {
	var usage *app.UsageError
	var problems *config.Problems
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errPerson):
		fmt.Fprintln(e.err, "grantry:", err)
		return exitPerson
	case errors.As(err, &problems):
		fmt.Fprintf(e.err, "grantry: the configuration has %s:\n%v\n", counted(len(problems.List), "problem"), problems)
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintln(e.err, "grantry:", err)
		return exitUsage
	}
	fmt.Fprintln(e.err, "grantry:", err)
	return exitFailed
}
