package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

// Stdio serves MCP on in and out until in ends, for the operating system's
// user. Where people sign in elsewhere it is a *UsageError that names the server.
func (a *App) Stdio(ctx context.Context, in io.Reader, out io.Writer) error {
	if err := a.requireLocal("stdio"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := &localPages{app: a}
	cfg := a.mcpConfig(a.localURL())
	cfg.Open = a.openLocal(ctx, pages)
	cfg.Pages, cfg.Returns, cfg.OpenBrowser = pages.address, pages.returns, a.opts.OpenBrowser
	who, err := a.osUser()
	if err != nil {
		return err
	}
	cfg.Local = &who
	m, err := mcp.New(cfg)
	if err != nil {
		return err
	}
	go pages.run(ctx)
	err = m.ServeStdio(ctx, in, out)
	pages.stop()
	return err
}

// openLocal opens the vault for the first call that needs it. Under --sandbox the vendors must stand first.
func (a *App) openLocal(life context.Context, pages *localPages) func(context.Context) (mcp.Vault, error) {
	var once sync.Once
	return func(ctx context.Context) (mcp.Vault, error) {
		if a.cfg.Sandbox {
			if _, err := pages.address(ctx); err != nil {
				return nil, err
			}
		}
		v, err := a.Vault(ctx)
		if err != nil {
			return nil, notice(err)
		}
		once.Do(func() { go a.background(life, v) })
		return v, nil
	}
}

// notice makes a problem of configuration readable in a tool's answer.
func notice(err error) error {
	var u *UsageError
	if errors.As(err, &u) {
		return &mcp.Notice{Text: "Grantry cannot open its vault: " + u.Text, Err: err}
	}
	return err
}

// requireLocal refuses what only a vault of one person can do.
func (a *App) requireLocal(command string) error {
	if command == "stdio" && !a.cfg.Store.IsFile() {
		return &UsageError{Text: fmt.Sprintf("grantry stdio keeps its vault in a local file, and this config names a PostgreSQL server as the store: run `grantry serve` and add %s/mcp to the client; for a vault of your own, give `grantry stdio` another --data-dir and --config", a.localURL())}
	}
	if !a.SignsIn() {
		return nil
	}
	where := a.localURL()
	if command == "stdio" {
		return &UsageError{Text: fmt.Sprintf("this config signs people in at an identity provider, so agents use the server: run `grantry serve` and add %s/mcp to the client; for a vault of your own, give `grantry stdio` another --data-dir and --config", where)}
	}
	return &UsageError{Text: fmt.Sprintf("this config signs people in at an identity provider: connect accounts at %s/connections", where)}
}

// SignsIn says whether people prove themselves at an identity provider; otherwise this is a vault of one person.
func (a *App) SignsIn() bool {
	return !a.cfg.Sandbox && (a.cfg.Identity.Issuer != "" || a.cfg.Identity.Upstream.Issuer != "")
}

// PublicURL is where a browser finds the pages that any process of this vault serves.
func (a *App) PublicURL() string { return a.localURL() }

// Person is the one person of a local vault.
func (a *App) Person(v *vault.Vault) (vault.Person, error) { return a.person(v) }

// Serving says whether a process of this vault serves the pages now.
func (a *App) Serving(ctx context.Context) bool { return (&localPages{app: a}).holder(ctx) != "" }

// Local is the vault, its pages and its one person, for a command at the terminal.
type Local struct {
	Vault  *vault.Vault
	Person vault.Person
	pages  *localPages
	cancel context.CancelFunc
}

// Local opens the vault with its pages for a command like `connect`.
func (a *App) Local(ctx context.Context) (*Local, error) {
	if err := a.requireLocal("connect"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &Local{pages: &localPages{app: a}, cancel: cancel}
	if _, err := l.pages.address(ctx); err != nil {
		cancel()
		return nil, err
	}
	var err error
	if l.Vault, err = a.Vault(ctx); err != nil {
		cancel()
		return nil, err
	}
	if l.Person, err = a.person(l.Vault); err != nil {
		cancel()
		return nil, err
	}
	go l.pages.run(ctx)
	return l, nil
}

// Link is a ticket's address; an error when the vendor could not send the person back there.
func (l *Local) Link(ctx context.Context, t vault.Ticket) (string, error) {
	base, err := l.pages.address(ctx)
	for _, o := range t.Options {
		err = errors.Join(err, l.pages.returns(o.Connection))
	}
	return base + "/consent/" + l.Vault.Handle(t), err
}

// Close ends the pages. The vault is the App's to close.
func (l *Local) Close() {
	l.cancel()
	l.pages.stop()
}
