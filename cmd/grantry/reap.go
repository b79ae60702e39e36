package main

import (
	"fmt"

	"github.com/grantry/grantry/vault"
)

type connectionsReap struct {
	DryRun bool `help:"Only say what would go."`
}

// reapedLine is a reaped grant as --json prints it.
type reapedLine struct {
	accountLine
	Action string `json:"action"` // "revoke" or "forget"
}

// Run does once what a running Grantry does every hour.
func (c *connectionsReap) Run(e *env) error {
	v, err := e.vault()
	if err != nil {
		return err
	}
	if !c.DryRun {
		if err := e.app.Vendors(); err != nil {
			return err
		}
	}
	done, err := v.Reap(e.ctx, e.app.ReapAges(), c.DryRun)
	lines := make([]reapedLine, len(done))
	for i, r := range done {
		lines[i] = reapedLine{accountLine: lineOf(r.Account), Action: reapAction(r)}
	}
	if e.common.JSON {
		if e := e.printJSON(lines); e != nil {
			return e
		}
		return err
	}
	for i, r := range done {
		fmt.Fprintf(e.out, "%s %s %s (%s at %s), %s since %s\n",
			lines[i].Action, r.Account.ID, r.Account.Label, r.Account.Owner.Label(), r.Account.Connection, sinceWhat(r), r.Since.Local().Format("2006-01-02"))
	}
	if len(done) == 0 && err == nil {
		_, err = fmt.Fprintln(e.out, "Nothing to reap: no account is older than the ages under `reap` in the config.")
	}
	return err
}

func reapAction(r vault.Reaped) string {
	if r.Revoke {
		return "revoke"
	}
	return "forget"
}

func sinceWhat(r vault.Reaped) string {
	if r.Revoke {
		return "not used"
	}
	return string(r.Account.State)
}
