package app

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/mcp/authserver"
	"github.com/grantry/grantry/mcp/guard"
	"github.com/grantry/grantry/vault"
)

const maxClientKeys = 64 << 10 // bytes of a key set that a metadata document names

// door is how agents prove themselves to a server.
type door struct {
	verifier mcp.TokenVerifier
	issuers  []string           // whose tokens are taken, for the metadata
	scopes   bool               // whether tokens must carry our own scopes
	auth     *authserver.Server // nil with an issuer elsewhere
}

// door is the configured issuer's, or that of the built-in authorization server.
func (a *App) door(ctx context.Context, v *vault.Vault, pages *consent.Handler, publicURL string) (*door, error) {
	if a.signIn != nil && !a.signIn.upstream {
		verifier, issuers, err := a.verifiers(ctx, a.signIn, publicURL)
		return &door{verifier: verifier, issuers: issuers, scopes: a.cfg.Identity.RequireScopes && !a.cfg.Sandbox}, err
	}
	clients, err := a.clients(ctx)
	if err != nil {
		return nil, err
	}
	workloads, err := a.signingIn(ctx)
	if err != nil {
		return nil, err
	}
	s, err := authserver.New(authserver.Config{
		Vault: v, Records: v.Records(), Pages: pages, PublicURL: publicURL, Clients: clients, Workloads: workloads,
		Registration: a.cfg.Identity.Registration, CallsPerMinute: a.cfg.Limits.CallsPerMinute, Logger: a.log,
		Fetch: a.fetchDocument(authserver.MaxDocument), FetchKeys: a.fetchDocument(maxClientKeys),
	})
	if err != nil {
		return nil, err
	}
	a.logins.at.Store(s)
	return &door{verifier: s, issuers: []string{publicURL}, scopes: true, auth: s}, nil
}

// logins are those at the built-in server, for the pages: these are made first, because the server needs them.
type logins struct {
	at atomic.Pointer[authserver.Server]
}

// Logins implements consent.Logins.
func (l *logins) Logins(ctx context.Context, c vault.Caller) ([]vault.Login, error) {
	if s := l.at.Load(); s != nil {
		return s.Logins(ctx, c)
	}
	return nil, nil
}

// EndLogin implements consent.Logins.
func (l *logins) EndLogin(ctx context.Context, c vault.Caller, id string) error {
	if s := l.at.Load(); s != nil {
		return s.EndLogin(ctx, c, id)
	}
	return vault.ErrNotFound
}

// fetchDocument gets the metadata documents of clients, and the keys that they name: their addresses are strangers' (R52, R65).
func (a *App) fetchDocument(size int64) func(context.Context, string) (http.Header, []byte, error) {
	cfg := a.opts.Documents
	cfg.MaxBytes = size
	c := guard.New(cfg)
	return func(ctx context.Context, address string) (http.Header, []byte, error) {
		doc, err := c.Get(ctx, address)
		if err != nil {
			return nil, nil, err
		}
		return doc.Header, doc.Body, nil
	}
}

// clients are those of the config, with their secrets resolved.
func (a *App) clients(ctx context.Context) (map[string]authserver.Client, error) {
	out := map[string]authserver.Client{}
	for id, c := range a.cfg.Clients {
		one := authserver.Client{RedirectURIs: c.RedirectURIs}
		if !c.ClientSecret.IsZero() {
			secret, err := c.ClientSecret.Resolve(ctx)
			if err != nil {
				return nil, &UsageError{Text: fmt.Sprintf("clients.%s.client_secret: %v", id, err)}
			}
			one.Secret = secret
		}
		out[id] = one
	}
	return out, nil
}

// signingIn are the workloads of the config that may sign people in.
func (a *App) signingIn(ctx context.Context) (map[string]authserver.Workload, error) {
	out := map[string]authserver.Workload{}
	for name, w := range a.cfg.Workloads {
		if len(w.RedirectURIs) == 0 || w.ClientSecret.IsZero() {
			continue
		}
		secret, err := w.ClientSecret.Resolve(ctx)
		if err != nil {
			return nil, &UsageError{Text: fmt.Sprintf("workloads.%s.client_secret: %v", name, err)}
		}
		out[name] = authserver.Workload{Secret: secret, RedirectURIs: w.RedirectURIs, Addresses: w.Addresses}
	}
	return out, nil
}

// mount puts the authorization server on mux, if it is ours.
func (d *door) mount(mux *http.ServeMux) {
	if d.auth == nil {
		return
	}
	d.auth.Mount(mux)
	mux.Handle("/oauth/token", tokenEndpoint(d.auth.Token()))
}
