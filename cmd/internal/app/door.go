package app

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/consent/accounts"
	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/mcp/authserver"
	"github.com/grantry/grantry/mcp/guard"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sts"
)

const maxClientKeys = 64 << 10 // bytes of a key set that a metadata document names

// door is how agents and workloads prove themselves to a server.
type door struct {
	verifier mcp.TokenVerifier
	issuers  []string           // whose tokens are taken, for the metadata
	scopes   bool               // whether tokens must carry our own scopes
	auth     *authserver.Server // nil with an issuer elsewhere
	exchange *sts.Server
	owners   accounts.Verifier // of tokens for {public_url}/me/
	accounts *accounts.Server
}

// door is the configured issuer's, or that of the built-in authorization server.
func (a *App) door(ctx context.Context, v *vault.Vault, pages *consent.Handler, publicURL string) (*door, error) {
	workloads, err := a.workloads(ctx)
	if err != nil {
		return nil, err
	}
	d := &door{}
	cfg := sts.Config{Workloads: workloads}
	if a.signIn != nil && !a.signIn.upstream {
		err = a.foreignDoor(ctx, d, &cfg, publicURL)
	} else {
		err = a.ownDoor(ctx, d, &cfg, v, pages, publicURL)
	}
	if err != nil {
		return nil, err
	}
	d.verifier = agentsOnly{d.verifier, workloads}
	if d.exchange, err = a.exchange(cfg, v, publicURL); err != nil {
		return nil, err
	}
	d.accounts, err = a.connectedAccounts(v, d, publicURL)
	return d, err
}

// foreignDoor takes the tokens of the issuers of the config.
func (a *App) foreignDoor(ctx context.Context, d *door, cfg *sts.Config, publicURL string) error {
	also, err := a.also(ctx)
	if err != nil {
		return err
	}
	all := append([]*issuer{a.signIn}, also...)
	for _, i := range all {
		d.issuers = append(d.issuers, i.issuer)
		cfg.NotSubjects = append(cfg.NotSubjects, i.audiences...)
	}
	cfg.Issuers = d.issuers
	agents, err := verifiers(all, func(i *issuer) []string { return append([]string{publicURL + "/mcp"}, i.audiences...) })
	if err != nil {
		return err
	}
	subjects, err := verifiers(all, func(*issuer) []string { return subjectAudiences(cfg.Workloads, publicURL) })
	if err != nil {
		return err
	}
	d.verifier, cfg.Verifier = agents, subjectVerifier{subjects.Verify}
	owners, err := verifiers(all, func(*issuer) []string { return []string{publicURL + "/me/"} })
	if err != nil {
		return err
	}
	d.owners = accountsVerifier{verify: owners.Verify, never: append([]string{publicURL + "/mcp", publicURL + "/"}, cfg.NotSubjects...)}
	d.scopes = a.cfg.Identity.RequireScopes && !a.cfg.Sandbox
	cfg.IsClient = func(_ context.Context, id string) bool { _, ok := a.cfg.Clients[id]; return ok }
	return nil
}

// ownDoor is the built-in authorization server.
func (a *App) ownDoor(ctx context.Context, d *door, cfg *sts.Config, v *vault.Vault, pages *consent.Handler, publicURL string) error {
	clients, err := a.clients(ctx)
	if err != nil {
		return err
	}
	auth := authserver.Config{
		Vault: v, Records: v.Records(), Pages: pages, PublicURL: publicURL, Clients: clients, Workloads: a.signingIn(cfg.Workloads),
		Registration: a.cfg.Identity.Registration, CallsPerMinute: a.cfg.Limits.CallsPerMinute, Logger: a.log,
		Fetch: a.fetchDocument(authserver.MaxDocument), FetchKeys: a.fetchDocument(maxClientKeys),
	}
	if len(cfg.Workloads) > 0 {
		auth.Grants = sts.GrantTypes()
	}
	s, err := authserver.New(auth)
	if err != nil {
		return err
	}
	a.logins.at.Store(s)
	d.verifier, d.issuers, d.scopes, d.auth = s, []string{publicURL}, true, s
	d.owners = accountsVerifier{verify: func(ctx context.Context, raw string) (mcp.Bearer, error) { return s.VerifyFor(ctx, s.Accounts(), raw) }}
	cfg.Verifier, cfg.Logins, cfg.IsClient = subjectVerifier{func(ctx context.Context, raw string) (mcp.Bearer, error) {
		return s.VerifyFor(ctx, s.Application(), raw)
	}}, presented{s}, s.IsClient
	if a.signIn != nil {
		cfg.Issuers = []string{a.signIn.issuer}
		return nil
	}
	person, err := a.person(v)
	cfg.Issuers = []string{person.Issuer}
	return err
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

// signingIn are those workloads that may sign people in.
func (a *App) signingIn(all map[string]sts.Workload) map[string]authserver.Workload {
	out := map[string]authserver.Workload{}
	for name, w := range all {
		if w.SignsIn {
			out[name] = authserver.Workload{Secret: w.Secret, Keys: w.Keys, RedirectURIs: a.cfg.Workloads[name].RedirectURIs, Addresses: w.Addresses}
		}
	}
	return out
}

// tenant is a prefix below which the token endpoint is found, too, with discovery of its own: an application
// that has one in its domain ("host/t/acme") keeps it. The name means nothing here. Pages and logins are at the root alone.
const tenant = "/t/{name}"

// mount puts the authorization server, if it is ours, the token endpoint and the connected-accounts API on mux.
func (d *door) mount(mux *http.ServeMux) {
	d.accounts.Mount(mux)
	var login http.Handler
	if d.auth != nil {
		d.auth.Mount(mux)
		login = d.auth.Token()
	}
	mux.Handle(sts.TokenPath, tokenEndpoint(login, d.exchange))
	mux.HandleFunc("/oauth/", d.elsewhere)
	mux.Handle(tenant+sts.TokenPath, tokenEndpoint(nil, d.exchange))
	mux.HandleFunc(tenant+"/oauth/", d.elsewhere)
	if !d.exchange.Any() {
		return
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		mux.Handle(tenant+path, d.exchange.Metadata())
		if d.auth == nil {
			mux.Handle(path, d.exchange.Metadata())
		}
	}
}

// elsewhere answers what no handler takes below /oauth/, in the form that OAuth clients read.
func (d *door) elsewhere(w http.ResponseWriter, r *http.Request) {
	allow := map[string]string{"/oauth/authorize": "GET", "/oauth/register": "POST", "/oauth/revoke": "POST", "/oauth/jwks": "GET"}[r.URL.Path]
	if d.auth == nil || allow == "" {
		tokenError(w, http.StatusNotFound, "invalid_request", "there is no such endpoint here")
		return
	}
	w.Header().Set("Allow", allow)
	tokenError(w, http.StatusMethodNotAllowed, "invalid_request", "this endpoint takes "+allow)
}
