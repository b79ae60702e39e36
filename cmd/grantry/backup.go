package main

import (
	"crypto/fips140"
	"fmt"
	"io"
	"strings"

	agefile "filippo.io/age"

	"github.com/grantry/grantry/cmd/internal/app"
)

type backupCmd struct {
	File      given    `arg:"" help:"File to write; it must not exist."`
	Recipient []string `help:"Encrypt to this age recipient; may be given several times." placeholder:"age1…"`
}

// Run writes a copy of the vault, without its key.
func (c *backupCmd) Run(e *env) error {
	wrap, err := c.wrap()
	if err != nil {
		return err
	}
	a, err := e.open(app.Options{})
	if err != nil {
		return err
	}
	p := e.progress("backing up")
	err = a.Backup(e.ctx, app.Backup{Path: string(c.File), Wrap: wrap, Progress: p.set})
	p.end()
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "wrote %s. It does not hold the vault's key: keep that somewhere else, without it the backup cannot be opened.\n", c.File)
	if wrap == nil {
		fmt.Fprintln(e.out, "Tokens in it are sealed; who has which account where is not. Encrypt it with --recipient before it leaves this machine.")
	}
	return nil
}

// wrap encrypts to the recipients, nil where there are none.
func (c *backupCmd) wrap() (func(io.Writer) (io.WriteCloser, error), error) {
	if len(c.Recipient) == 0 {
		return nil, nil
	}
	if err := noFIPS("--recipient"); err != nil {
		return nil, err
	}
	to, err := agefile.ParseRecipients(strings.NewReader(strings.Join(c.Recipient, "\n")))
	if err != nil {
		return nil, &app.UsageError{Text: "--recipient must be an age public key, as `age-keygen` prints it: age1…"}
	}
	return func(w io.Writer) (io.WriteCloser, error) { return agefile.Encrypt(w, to...) }, nil
}

// noFIPS refuses age where only approved algorithms may run: it uses ChaCha20-Poly1305 and X25519.
func noFIPS(flag string) error {
	if !fips140.Enforced() {
		return nil
	}
	return &app.UsageError{Text: fmt.Sprintf("%s needs age, whose algorithms are not approved by FIPS 140 (GODEBUG=fips140=only is set): make the backup without it, and encrypt the file by an approved tool", flag)}
}
