package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

type connectCmd struct {
	Name      string   `arg:"" help:"Connection, as the config names it."`
	Scopes    []string `help:"Scopes to ask for. Default: what the enabled tools need." sep:","`
	NoBrowser bool     `help:"Do not open a browser: print what to do in one elsewhere."`
}

// Run gives the person their way to the vendor and waits until they are done with it (exit
// code 3 when they are not). On a vault of one person the account becomes theirs; where
// people sign in, or sit at another machine, it becomes theirs who types the code.
func (c *connectCmd) Run(e *env) error {
	a, err := e.open(app.Options{})
	if err != nil {
		return err
	}
	if a.SignsIn() || c.NoBrowser && !loopback(a.PublicURL()) {
		return c.pair(e, a)
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
	base, _, _ := strings.Cut(link, "/consent/")
	redirect, err := redirectTo(l.Vault, c.Name, base)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "Open this link to connect %s:\n\n  %s\n\n", c.Name, link)
	if c.NoBrowser {
		r := &remote{env: e, vault: l.Vault, person: l.Person, ticket: t, redirect: redirect}
		return c.await(e, l, t, r.run(e.ctx, base))
	}
	fmt.Fprintln(e.out, "Waiting until you are done…")
	if open := opener(false); open != nil {
		_ = open(link) // the link stands above
	}
	return c.await(e, l, t, e.ctx)
}

// redirectTo is where the vendor sends people back. It says at once what the page would say at its end: that it does not send them to this vault.
func redirectTo(v *vault.Vault, name, base string) (string, error) {
	conn, _ := v.Connection(name)
	uri, err := conn.RedirectURI(base)
	var refused *provider.RedirectError
	if !errors.As(err, &refused) {
		return uri, err
	}
	return "", &app.UsageError{Text: fmt.Sprintf("%s sends people back to https addresses only: set `tls` and an https `public_url` in the config, and register %s at %s",
		refused.Provider, strings.Replace(refused.URI, "http://", "https://", 1), refused.Provider)}
}

func (c *connectCmd) ticket(ctx context.Context, a *app.App, l *app.Local) (vault.Ticket, error) {
	scopes, err := c.asks(a, l.Vault)
	if err != nil {
		return vault.Ticket{}, err
	}
	need := &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{{
		Connection: c.Name, Scopes: scopes, Missing: scopes, VendorNeeded: true,
	}}}
	t, _, err := l.Vault.OpenTicket(ctx, vault.TicketRequest{Owner: l.Person, Need: need})
	return t, err
}

// asks are the scopes to ask for.
func (c *connectCmd) asks(a *app.App, v *vault.Vault) ([]string, error) {
	if _, ok := v.Connection(c.Name); !ok {
		return nil, unknownConnection(c.Name, v.Connections())
	}
	if len(c.Scopes) > 0 {
		return c.Scopes, nil
	}
	return a.ScopesFor(v, c.Name), nil
}

func unknownConnection(name string, known []string) error {
	if len(known) == 0 {
		return &app.UsageError{Text: fmt.Sprintf("there is no connection %q: the config names none; add one under `connections`, or try `--sandbox`", name)}
	}
	return &app.UsageError{Text: fmt.Sprintf("there is no connection %q; the config has: %s", name, strings.Join(known, ", "))}
}

func (c *connectCmd) await(e *env, l *app.Local, t vault.Ticket, ctx context.Context) error {
	t, err := l.Vault.AwaitTicket(ctx, l.Person.Caller, t.ID)
	return c.ended(e, l.Vault, t, err)
}

// ended says how it went.
func (c *connectCmd) ended(e *env, v *vault.Vault, t vault.Ticket, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %s is not connected yet; run the command again when you want to go on", errPerson, c.Name)
	case err != nil:
		return err
	case t.State != vault.TicketDone:
		return fmt.Errorf("%w: the request was %s; run the command again for a new link", errPerson, t.State)
	}
	acc, err := v.Account(context.WithoutCancel(e.ctx), t.Owner.Caller, t.Grant)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "Connected %s at %s.\n", acc.Label, acc.Connection)
	return err
}

// loopback says whether an address is reached from this machine only.
func loopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	if strings.EqualFold(u.Hostname(), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}
