package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

type connectCmd struct {
	Name      string   `arg:"" help:"Connection, as the config names it."`
	Scopes    []string `help:"Scopes to ask for. Default: what the enabled tools need." sep:","`
	NoBrowser bool     `help:"Print the link only."`
}

// Run gives the person a link and waits until they are done with it (exit code 3 when they are not).
func (c *connectCmd) Run(e *env) error {
	a, err := e.open(app.Options{})
	if err != nil {
		return err
	}
	l, err := a.Local(e.ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	t, err := c.ticket(e.ctx, a, l)
	if err != nil {
		return err
	}
	link, err := l.Link(e.ctx, t)
	if err != nil {
		return err
	}
	if err := returnsTo(l.Vault, c.Name, link); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "Open this link to connect %s:\n\n  %s\n\nWaiting until you are done…\n", c.Name, link)
	if open := opener(c.NoBrowser); open != nil {
		_ = open(link) // the link stands above
	}
	return c.await(e, l, t)
}

// returnsTo says at once what the page would say at its end: that the vendor does not send people back to this vault.
func returnsTo(v *vault.Vault, name, link string) error {
	conn, _ := v.Connection(name)
	base, _, _ := strings.Cut(link, "/consent/")
	var refused *provider.RedirectError
	if _, err := conn.RedirectURI(base); !errors.As(err, &refused) {
		return err
	}
	return &app.UsageError{Text: fmt.Sprintf("%s sends people back to https addresses only: set `tls` and an https `public_url` in the config, and register %s at %s",
		refused.Provider, strings.Replace(refused.URI, "http://", "https://", 1), refused.Provider)}
}

func (c *connectCmd) ticket(ctx context.Context, a *app.App, l *app.Local) (vault.Ticket, error) {
	if _, ok := l.Vault.Connection(c.Name); !ok {
		return vault.Ticket{}, unknownConnection(c.Name, l.Vault.Connections())
	}
	scopes := c.Scopes
	if len(scopes) == 0 {
		scopes = a.ScopesFor(l.Vault, c.Name)
	}
	need := &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{{
		Connection: c.Name, Scopes: scopes, Missing: scopes, VendorNeeded: true,
	}}}
	t, _, err := l.Vault.OpenTicket(ctx, vault.TicketRequest{Owner: l.Person, Need: need})
	return t, err
}

func unknownConnection(name string, known []string) error {
	if len(known) == 0 {
		return &app.UsageError{Text: fmt.Sprintf("there is no connection %q: the config names none; add one under `connections`, or try `--sandbox`", name)}
	}
	return &app.UsageError{Text: fmt.Sprintf("there is no connection %q; the config has: %s", name, strings.Join(known, ", "))}
}

func (c *connectCmd) await(e *env, l *app.Local, t vault.Ticket) error {
	t, err := l.Vault.AwaitTicket(e.ctx, l.Person.Caller, t.ID)
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %s is not connected yet; run the command again when you want to go on", errPerson, c.Name)
	case err != nil:
		return err
	case t.State != vault.TicketDone:
		return fmt.Errorf("%w: the request was %s; run the command again for a new link", errPerson, t.State)
	}
	acc, err := l.Vault.Account(e.ctx, l.Person.Caller, t.Grant)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "Connected %s at %s.\n", acc.Label, acc.Connection)
	return err
}
