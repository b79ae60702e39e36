package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/consent"
)

// pair leaves it to the pages whose account it becomes: of whoever signs in there
// and types the code. The address alone is in the picture, so that a photographed
// terminal gives nobody more than the way to the page.
func (c *connectCmd) pair(e *env, a *app.App) error {
	v, err := a.Vault(e.ctx)
	if err != nil {
		return err
	}
	scopes, err := c.asks(a, v)
	if err != nil {
		return err
	}
	if _, err := redirectTo(v, c.Name, a.PublicURL()); err != nil {
		return err
	}
	what := consent.Pairing{Connection: c.Name, Scopes: scopes}
	if what.Machine, err = os.Hostname(); err != nil {
		what.Machine = ""
	}
	if u, err := user.Current(); err == nil {
		what.From = u.Username
	}
	p := &consent.Pairings{Vault: v, Records: v.Records()}
	if what, err = p.New(e.ctx, what); err != nil {
		return err
	}
	c.sayCode(e, a, what)
	t, err := p.Await(e.ctx, what)
	if errors.Is(err, consent.ErrPairingOver) {
		return fmt.Errorf("%w: %w; run the command again for a new code", errPerson, err)
	}
	return c.ended(e, v, t, err)
}

func (c *connectCmd) sayCode(e *env, a *app.App, what consent.Pairing) {
	serving := a.Serving(e.ctx) // and if so, on which scheme
	page := a.PublicURL() + "/pair"
	fmt.Fprintf(e.out, "To connect %s, open\n\n  %s\n\n", c.Name, page)
	if open := opener(c.NoBrowser); open != nil {
		_ = open(page) // the address stands above
	} else {
		e.printQR(page)
	}
	fmt.Fprintf(e.out, "sign in there, and type this code:\n\n  %s\n\nIt is good until %s, and the account becomes that of whoever types it.\n",
		what.Code, what.Expires.Local().Format("15:04"))
	e.sayServing(serving)
	fmt.Fprintln(e.out, "Waiting until you are done…")
}

// sayServing says what is missing where no process of this vault answers.
func (e *env) sayServing(serving bool) {
	if !serving {
		fmt.Fprintf(e.err, "grantry: nothing serves this vault's pages at the moment: start `grantry serve%s`\n", e.common.place())
	}
}

// left is how long until t, in whole minutes.
func left(t time.Time) string {
	return counted(int(time.Until(t).Round(time.Minute)/time.Minute), "minute")
}
