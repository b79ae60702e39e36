package main

import (
	"fmt"
	"time"

	"github.com/grantry/grantry/vault"
)

type auditPrune struct {
	Before moment `help:"Entries of whole months before this day; the current month stays." required:"" placeholder:"DATE"`
	DryRun bool   `help:"Only say what would go."`
}

// Run removes entries, after all chains were verified, also against an anchor that is a file.
func (c *auditPrune) Run(e *env) error {
	v, err := e.auditVault()
	if err != nil {
		return err
	}
	check := vault.AuditCheck{}
	if check.Marks, err = (&auditVerify{}).marks(e); err != nil {
		return err
	}
	p := e.progress("Verifying the audit")
	check.Progress = p.set
	went, err := v.PruneAudit(e.ctx, time.Time(c.Before), check, c.DryRun)
	p.end()
	if err != nil {
		return verdict(err)
	}
	verb := "pruned"
	if c.DryRun {
		verb = "would be pruned"
	}
	for _, s := range went {
		fmt.Fprintf(e.out, "%s: entries %d to %d, the last of %s, %s\n", s.Stream, s.First, s.Last, s.Until.Format(time.RFC3339), verb)
	}
	if len(went) == 0 {
		fmt.Fprintln(e.out, "Nothing to prune: no entry is of a whole month before that day.")
	}
	return nil
}
