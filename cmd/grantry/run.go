package main

import (
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/grantry/grantry/cmd/internal/app"
)

type stdioCmd struct {
	Agent     string `help:"Name of the agent, as pages show it. Default: what the client calls itself." placeholder:"NAME"`
	NoBrowser bool   `help:"Do not open links in the system browser."`
}

// Run serves MCP until stdin ends.
func (c *stdioCmd) Run(e *env) error {
	a, err := e.open(app.Options{Agent: c.Agent, OpenBrowser: opener(c.NoBrowser)})
	if err != nil {
		return err
	}
	e.sayIdle()
	if odd := oddInput(e.in, os.Getenv); odd != "" {
		e.logger().Warn("standard input is not a pipe of a program on this machine", "hint", odd)
	}
	out := e.out
	if out == os.Stdout {
		if out, err = claimStdout(); err != nil {
			return err
		}
	}
	return a.Stdio(e.ctx, e.in, out)
}

type serveCmd struct {
	TLSDev bool `help:"Serve https with a certificate for localhost, 127.0.0.1 and ::1, made here." name:"tls-dev"`
}

// Run serves until a signal.
func (c *serveCmd) Run(e *env) error {
	a, err := e.open(app.Options{DevTLS: c.TLSDev})
	if err != nil {
		return err
	}
	e.sayIdle()
	return a.Serve(e.ctx, func(r app.Ready) { e.printReady(r) })
}

// sayIdle logs why no tool can work yet: without it a first start looks fine until the first call.
func (e *env) sayIdle() {
	if e.cfg.Sandbox || len(e.cfg.Connections) > 0 {
		return
	}
	e.logger().Warn("no connection is configured, so no tool can reach a vendor: add one under `connections`, or start with --sandbox",
		"config", orNone(e.cfg.File))
}

func (e *env) printReady(r app.Ready) {
	fmt.Fprintf(e.out, "MCP: %s\nConnections: %s\n", r.MCP, r.Connections)
	e.printSignIn(r)
	e.printTrust(r.CA)
	if r.Sandbox == "" {
		return
	}
	fmt.Fprintf(e.out, `Sandbox: %s
Control: %s
Workload: %s %s

The sandbox plays Google, Slack and Salesforce for alice and bob; Control is the bearer token of its control API,
and Workload an application with its secret, which may exchange tokens.
Try it:
  claude mcp add --transport http grantry %s
  Sign in as alice (in Claude Code by /mcp), ask "What is on my calendar this week?", and follow the link that comes back.
  Or look at the connections page in a browser. Ctrl-C ends it.
`, r.Sandbox, r.Control, r.Workload, r.WorkloadSecret, r.MCP)
}

// printSignIn shows how the person of this vault signs in: to a terminal only,
// for whoever has the link is that person. Elsewhere there is grantry signin.
func (e *env) printSignIn(r app.Ready) {
	f, ok := e.out.(*os.File)
	if r.SignIn == nil || !ok || !term.IsTerminal(int(f.Fd())) {
		return
	}
	link, code, err := r.SignIn(e.ctx)
	if err != nil {
		e.logger().Warn("making a sign-in link", "error", err)
		return
	}
	fmt.Fprintf(e.out, "Sign in (once, within 5 minutes): %s\n  or type %s at %s\n", link, code, r.Connections)
}
