package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/vault"
)

type connectionsRevoke struct {
	filter  `embed:""`
	Account string `arg:"" optional:"" help:"Id or label; or use the filters."`
	DryRun  bool   `help:"Only say what would be revoked."`
}

// Run ends one grant, or all that the filters match.
func (c *connectionsRevoke) Run(e *env) error {
	v, err := e.vault()
	if err != nil {
		return err
	}
	chosen, err := c.chosen(e, v)
	if err != nil {
		return err
	}
	if len(chosen) == 0 {
		_, err := fmt.Fprintln(e.out, "Nothing to revoke: no account in use fits those flags.")
		return err
	}
	if !c.DryRun {
		if err := e.app.Vendors(); err != nil {
			return err
		}
	}
	var failed error
	for _, a := range chosen {
		if c.DryRun {
			fmt.Fprintf(e.out, "would revoke %s (%s at %s)\n", a.ID, a.Label, a.Connection)
			continue
		}
		failed = errors.Join(failed, revoke(e, v, a))
	}
	return failed
}

// revoke ends a grant and says what became of it. An error of the vendor leaves it ended here; any other does not.
func revoke(e *env, v *vault.Vault, a vault.Account) error {
	atVendor, err := v.Revoke(e.ctx, a.Owner.Caller, a.ID)
	if err != nil {
		if now, e := v.Account(e.ctx, a.Owner.Caller, a.ID); e != nil || now.State != vault.GrantRevoked {
			return fmt.Errorf("revoking %s, which is still in use: %w", a.ID, err)
		}
	}
	switch {
	case err != nil:
		fmt.Fprintf(e.out, "revoked %s here; the vendor did not confirm yet: a running `grantry serve` or `stdio` asks again for 7 days; or remove it in your account settings there\n", a.Label)
	case atVendor:
		fmt.Fprintf(e.out, "revoked %s here and at %s\n", a.Label, a.Connection)
	default:
		fmt.Fprintf(e.out, "revoked %s here; nothing was sent to %s\n", a.Label, a.Connection)
	}
	return err
}

func (c *connectionsRevoke) chosen(e *env, v *vault.Vault) ([]vault.Account, error) {
	switch {
	case c.Account == "" && c.empty():
		return nil, &app.UsageError{Text: "name an account (`grantry connections list`), or a filter: --user, --provider, --older-than"}
	case c.Account != "" && !c.empty():
		return nil, &app.UsageError{Text: "give an account or filters, not both"}
	case c.Account != "":
		a, err := findAccount(e, v, c.Account)
		return []vault.Account{a}, err
	}
	all, err := v.AllAccounts(e.ctx)
	var out []vault.Account
	for _, a := range all {
		if a.State != vault.GrantRevoked && c.matches(a, time.Now()) {
			out = append(out, a)
		}
	}
	return out, err
}
