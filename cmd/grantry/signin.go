package main

import (
	"fmt"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/consent"
)

type signinCmd struct{}

// Run prints a link and a code that sign a browser in to a vault of one person, once.
func (*signinCmd) Run(e *env) error {
	a, err := e.open(app.Options{})
	if err != nil {
		return err
	}
	if a.SignsIn() {
		return &app.UsageError{Text: fmt.Sprintf("this config signs people in at an identity provider: open %s/signin", a.PublicURL())}
	}
	v, err := a.Vault(e.ctx)
	if err != nil {
		return err
	}
	who, err := a.Person(v)
	if err != nil {
		return err
	}
	code, err := consent.NewSignInCode(e.ctx, v, v.Records(), who)
	if err != nil {
		return err
	}
	serving := a.Serving(e.ctx) // and if so, on which scheme
	link := a.PublicURL() + code.Path
	if e.common.JSON {
		return e.printJSON(map[string]any{"link": link, "code": code.Code, "expires": code.Expires.UTC()})
	}
	fmt.Fprintf(e.out, "Sign a browser in to the vault of %s, once, within %s:\n\n  %s\n\n", who.Label(), left(code.Expires), link)
	e.printQR(link)
	fmt.Fprintf(e.out, "or type this code into the page that waits for it:\n\n  %s\n\nWhoever has one of them is you, there: give them to nobody.\n", code.Code)
	e.sayServing(serving)
	return nil
}
