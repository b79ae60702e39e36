//go:build conformance

package main

import (
	"fmt"

	"github.com/grantry/grantry/cmd/internal/app"
)

// buildCommands are the commands of this kind of build alone.
type buildCommands struct {
	Conformance conformanceCmd `cmd:"" help:"MCP with the tools of the official conformance suite, for nobody in particular."`
}

type conformanceCmd struct{}

// Run serves until a signal.
func (*conformanceCmd) Run(e *env) error {
	a, err := e.open(app.Options{})
	if err != nil {
		return err
	}
	return a.Conformance(e.ctx, func(url string) { fmt.Fprintf(e.out, "MCP: %s\n", url) })
}
