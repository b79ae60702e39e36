package app

import (
	"context"
	"errors"
	"slices"

	"github.com/grantry/grantry/consent/accounts"
	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

// connectedAccounts is the API at /me/v1.
func (a *App) connectedAccounts(v *vault.Vault, d *door, publicURL string) (*accounts.Server, error) {
	return accounts.New(accounts.Config{
		Vault: v, Verifier: d.owners, Application: a.application, PublicURL: publicURL, Connection: v.Connection,
		Scopes: a.scopesFor(v), CallsPerMinute: a.cfg.Limits.CallsPerMinute, Logger: a.log,
	})
}

// application is the workload or, with an issuer elsewhere, the client of that issuer that
// a token was issued to. A workload is the same agent here and at the token
// endpoint, so that what its user allowed it serves its exchanges.
func (a *App) application(who accounts.Bearer) (accounts.Application, bool) {
	if w, ok := a.cfg.Workloads[who.Client]; ok {
		return accounts.Application{
			Agent: vault.Agent{Issuer: vault.WorkloadIssuer, ID: who.Client, Name: who.Client, Verified: true}, RedirectURIs: w.RedirectURIs,
			Addresses: w.Addresses, Wider: w.AllowWider,
		}, len(w.RedirectURIs) > 0
	}
	c, ok := a.cfg.Clients[who.Client]
	if !ok || a.signIn == nil || a.signIn.upstream || who.Person.Issuer != a.signIn.issuer { // of another issuer it is somebody else's name
		return accounts.Application{}, false
	}
	return accounts.Application{
		Agent:        vault.Agent{Issuer: a.signIn.issuer, ID: who.Client, Name: who.Client, Verified: true},
		RedirectURIs: c.RedirectURIs, Public: c.ClientSecret.IsZero(), Vouches: c.Binding == "app",
	}, true
}

// accountsVerifier proves tokens for {public_url}/me/ as mcp proves those of agents.
type accountsVerifier struct {
	verify func(ctx context.Context, raw string) (mcp.Bearer, error)
	never  []string // audiences of what is for agents or for exchanges: one token is not for both
}

// Verify implements accounts.Verifier.
func (a accountsVerifier) Verify(ctx context.Context, raw string) (accounts.Bearer, error) {
	b, err := a.verify(ctx, raw)
	bad, refused := errors.AsType[*mcp.TokenError](err)
	switch {
	case refused:
		return accounts.Bearer{}, &accounts.TokenError{Check: bad.Check}
	case err != nil:
		return accounts.Bearer{}, err
	case slices.ContainsFunc(b.Audience, func(to string) bool { return slices.Contains(a.never, to) }):
		return accounts.Bearer{}, &accounts.TokenError{Check: "audience"}
	case len(b.Actors) > 0: // the person's own application calls here, and nobody in its place
		return accounts.Bearer{}, &accounts.TokenError{Check: "actor"}
	case b.Client == "":
		return accounts.Bearer{}, &accounts.TokenError{Check: "client"}
	}
	return accounts.Bearer{Person: b.Person, Client: b.Client, Scopes: b.Scopes}, nil
}
