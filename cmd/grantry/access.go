package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/grantry/grantry/vault"
)

type accessCmd struct {
	List   accessList   `cmd:"" help:"Which agent may use which account, until when."`
	Revoke accessRevoke `cmd:"" help:"End an agent's access to accounts: it has to ask again."`
}

// accessFilter picks access.
type accessFilter struct {
	User  given `help:"Only this person's (e-mail, name or subject)." placeholder:"WHO"`
	Agent given `help:"Only this agent's (name or client id)." placeholder:"NAME"`
}

func (f accessFilter) matches(a vault.Access) bool {
	who, agent := string(f.User), string(f.Agent)
	return (who == "" || strings.EqualFold(who, a.Owner.Email) || who == a.Owner.Name || who == a.Owner.Subject) &&
		(agent == "" || agent == a.Agent.ID || strings.EqualFold(agent, a.Agent.Label()))
}

// permissionLine is an access as --json prints it.
type permissionLine struct {
	ID         string     `json:"id"`
	Agent      string     `json:"agent"`
	Name       string     `json:"name"`
	Owner      string     `json:"owner"`
	Connection string     `json:"connection"`
	Account    string     `json:"account"`
	Label      string     `json:"label"`
	Scopes     []string   `json:"scopes"`
	Once       bool       `json:"once"`
	Ends       *time.Time `json:"ends"`
	Used       *time.Time `json:"last_used"`
}

func permissionLineOf(a vault.Access) permissionLine {
	return permissionLine{
		ID: a.ID, Agent: a.Agent.ID, Name: a.Agent.Label(), Owner: a.Owner.Label(), Connection: a.Connection, Account: a.Account,
		Label: a.Label, Scopes: a.Scopes, Once: a.Once, Ends: when(a.Ends), Used: when(a.Used),
	}
}

// access answers what has not ended and fits.
func (e *env) access(v *vault.Vault, fits func(vault.Access) bool) ([]vault.Access, error) {
	all, err := v.AllAccess(e.ctx)
	now := time.Now()
	return slices.DeleteFunc(all, func(a vault.Access) bool { return !fits(a) || !a.Ends.After(now) }), err
}

type accessList struct {
	accessFilter `embed:""`
}

// Run prints a line per access.
func (c *accessList) Run(e *env) error {
	v, err := e.vault()
	if err != nil {
		return err
	}
	all, err := e.access(v, c.matches)
	if err != nil {
		return err
	}
	lines := make([]permissionLine, len(all))
	for i, a := range all {
		lines[i] = permissionLineOf(a)
	}
	switch {
	case e.common.JSON:
		return e.printJSON(lines)
	case len(lines) == 0:
		_, err := fmt.Fprintln(e.out, "No agent has access. An agent asks its person for it by a link.")
		return err
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tAGENT\tCONNECTION\tACCOUNT\tOWNER\tENDS\tLAST USED")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Name, l.Connection, l.Label, l.Owner, at(l.Ends), ago(l.Used))
	}
	return w.Flush()
}

type accessRevoke struct {
	accessFilter `embed:""`
	IDs          []string `arg:"" optional:"" name:"id" help:"Ids from access list."`
}

// Run ends what the ids or the flags name.
func (c *accessRevoke) Run(e *env) error {
	if (len(c.IDs) == 0) == (c.accessFilter == accessFilter{}) {
		return usage(errors.New("name access by its ids from `grantry access list`, or by --user and --agent; not both"))
	}
	v, err := e.vault()
	if err != nil {
		return err
	}
	fits := c.matches
	if len(c.IDs) > 0 {
		fits = func(a vault.Access) bool { return slices.Contains(c.IDs, a.ID) }
	}
	all, err := e.access(v, fits)
	if err != nil {
		return err
	}
	for _, id := range c.IDs {
		if !slices.ContainsFunc(all, func(a vault.Access) bool { return a.ID == id }) {
			return fmt.Errorf("there is no access %q; `grantry access list` shows them", id)
		}
	}
	for _, a := range all {
		if err := v.RevokeAnyAccess(e.ctx, a.ID); err != nil && !errors.Is(err, vault.ErrNotFound) {
			return fmt.Errorf("revoking access %s: %w", a.ID, err)
		}
		fmt.Fprintf(e.out, "%s may no longer use %s of %s.\n", a.Agent.Label(), a.Label, a.Owner.Label())
	}
	if len(all) == 0 {
		fmt.Fprintln(e.out, "Nothing to revoke.")
	}
	return nil
}
