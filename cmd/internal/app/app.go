package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/grantry/grantry/mcp/guard"
	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/sqlstore"
)

// Options are what a command starts the program with.
type Options struct {
	Config      *config.Config
	Version     string
	Logger      *slog.Logger
	Agent       string                  // --agent, stdio
	OpenBrowser func(link string) error // nil = never
	// Peer says whose browser is at the other end of a request for the local person's pages, see consent.Config; nil = the operating system's word.
	Peer func(*http.Request) error
	// Documents is how the metadata documents of clients and their keys are fetched; zero = from the public internet alone. A size in it does not count.
	Documents guard.Config
	DevTLS    bool // serve with a certificate of the data folder's own
	AnyAnchor bool // open a vault also where its audit does not fit the anchor: to look into that, and to restore
}

// App is the program. Its vault opens at the first call of Vault.
type App struct {
	opts     Options
	cfg      *config.Config
	log      *slog.Logger
	catalog  *provider.Set
	instance string
	vendors  *http.Transport
	tools    func() []tools.Tool // the enabled ones

	at     atomic.Pointer[string] // where pages are served now, if not at localURL
	signIn *issuer                // who signs people in; nil on a vault of one person

	logins  logins
	heldTLS atomic.Bool // the process of ours that holds the shared port was started with --tls-dev, and this one was not
	serving bool        // as a server, not as a process of one person's

	mu      sync.Mutex
	opened  *opened
	sandbox *sandboxServer
}

// opened is a vault with what must end after it.
type opened struct {
	vault *vault.Vault
	store *sqlstore.Store
	close []func() error
}

// UsageError is a problem of configuration or usage: exit code 2.
type UsageError struct{ Text string }

// Error is the sentence for the person.
func (e *UsageError) Error() string { return e.Text }

// New makes the program; it starts nothing and touches no file.
func New(o Options) (*App, error) {
	if o.Config == nil {
		return nil, errors.New("app: no configuration")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	missingParts(o.Config, o.Logger)
	catalog := provider.Catalog()
	if err := checkRules(o.Config, catalog); err != nil {
		return nil, err
	}
	id := make([]byte, 8)
	if _, err := io.ReadFull(rand.Reader, id); err != nil {
		return nil, err
	}
	return &App{
		opts: o, cfg: o.Config, log: o.Logger, catalog: catalog, instance: hex.EncodeToString(id), vendors: vendorTransport(),
		tools: enabledTools(o.Config.Tools.Groups),
	}, nil
}

// Close waits for refreshes to commit and closes the vault, if it was opened.
func (a *App) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	if a.opened != nil {
		errs = append(errs, a.opened.vault.Close())
		for i := len(a.opened.close) - 1; i >= 0; i-- {
			errs = append(errs, a.opened.close[i]())
		}
		a.opened = nil
	}
	if a.sandbox != nil {
		errs = append(errs, a.sandbox.Close())
		a.sandbox = nil
	}
	return errors.Join(errs...)
}

// ReapAges are those of the config.
func (a *App) ReapAges() vault.Ages { return vault.Ages(a.cfg.Reap) }

// address is where this program's pages are.
func (a *App) address() string {
	if at := a.at.Load(); at != nil {
		return *at
	}
	return a.localURL()
}

// Vendors makes sure that under --sandbox the fake vendors run, here if nowhere
// else, for a command that has something to tell them. Otherwise it does nothing.
func (a *App) Vendors() error {
	if !a.cfg.Sandbox || a.sandbox != nil {
		return nil
	}
	return a.localSandbox(nil, a.localURL(), true)
}

// Vault opens the vault, once; after a failure the next call tries again.
func (a *App) Vault(ctx context.Context) (*vault.Vault, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.opened != nil {
		return a.opened.vault, nil
	}
	o, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	a.opened = o
	return o.vault, nil
}
