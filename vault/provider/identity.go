package provider

import (
	"context"
	"net/http"
	"strings"
)

// Identify says whose account g is: from its id_token where the provider has
// one (verified; nonce must be the authorization request's), else from the
// identity endpoint. Its error is an *IdentityError or a *DiscoveryError.
func (c *Connection) Identify(ctx context.Context, g *Grant, nonce string) (*Identity, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	e, err := c.resolve(ctx)
	if err != nil {
		return nil, err
	}
	at := strings.ReplaceAll(e.Userinfo, "{api_base}", c.apiBase(g.APIBase))
	rules := c.reg.Provider.Identity
	if !rules.IDToken || g.IDToken.IsZero() {
		return c.ask(ctx, at, g.Access)
	}
	claims, err := c.verify(ctx, e, g.IDToken, &nonce)
	if err != nil {
		return nil, err
	}
	id, err := c.identity(claims)
	if err != nil || id.Email != "" || at == "" {
		return id, err
	}
	return c.complete(ctx, id, at, g.Access)
}

// complete adds what the id_token leaves to userinfo, which must be of the same
// subject (OpenID Connect Core §5.3.2). A provider without it is no error.
func (c *Connection) complete(ctx context.Context, id *Identity, at string, access Secret) (*Identity, error) {
	more, err := c.ask(ctx, at, access)
	if err != nil {
		return id, nil
	}
	if more.ID != id.ID {
		return nil, c.unknown(IdentitySubject, 0, nil)
	}
	if id.Name != "" {
		more.Name = id.Name
	}
	if id.Domain != "" {
		more.Domain = id.Domain
	}
	more.Tenants = Union(id.Tenants, more.Tenants)
	return more, nil
}

// ask calls the identity endpoint; no redirect is followed (R25).
func (c *Connection) ask(ctx context.Context, at string, access Secret) (*Identity, error) {
	if at == "" {
		return nil, c.unknown(IdentityNoSource, 0, nil)
	}
	p := c.reg.Provider
	req, err := http.NewRequestWithContext(ctx, first(p.Identity.Method, http.MethodGet), at, nil)
	if err != nil || !c.secure(req.URL) {
		return nil, c.unknown(IdentityNoSource, 0, nil)
	}
	req.Header.Set("Authorization", "Bearer "+access.Reveal())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	a, err := c.do(req, metadataCap)
	switch {
	case a == nil:
		return nil, c.unknown(IdentityUnreachable, 0, err)
	case err != nil:
		return nil, c.unknown(IdentityUnreadable, a.status, err)
	case a.status != http.StatusOK:
		return nil, c.unknown(IdentityRefused, a.status, nil)
	}
	doc, err := decodeJSON(a.body)
	if err != nil {
		return nil, c.unknown(IdentityUnreadable, a.status, nil)
	}
	if m, ok := doc.(map[string]any); ok && p.Token.OKField != "" && m[p.Token.OKField] != true {
		return nil, c.unknown(IdentityRefused, a.status, nil) // Slack, with status 200
	}
	return c.identity(doc)
}

// identity reads the paths of the provider out of claims or an answer.
func (c *Connection) identity(doc any) (*Identity, error) {
	rules := c.reg.Provider.Identity
	parts := make([]string, 0, len(rules.ID))
	for _, path := range rules.ID {
		v := lookup(doc, path)
		if v == "" || len(v) > 255 {
			return nil, c.unknown(IdentityNoID, 0, nil)
		}
		parts = append(parts, v)
	}
	id := &Identity{ID: strings.Join(parts, "/"), Name: lookup(doc, rules.Name), Email: lookup(doc, rules.Email)}
	id.EmailVerified = id.Email != "" && truth(doc, rules.Verified)
	if id.Domain = lookup(doc, rules.Domain); rules.Domain == "" && id.EmailVerified {
		_, id.Domain, _ = strings.Cut(id.Email, "@")
	}
	for _, path := range rules.Tenants {
		if v := lookup(doc, path); v != "" {
			id.Tenants = append(id.Tenants, v)
		}
	}
	return id, nil
}

// NamesDomain says whether the vendor vouches for the domain of an account's organization.
func (p *Provider) NamesDomain() bool { return p.Identity.Domain != "" || p.Identity.Verified != "" }

// NamesTenant says whether the vendor names the tenant, workspace or organization of an account.
func (p *Provider) NamesTenant() bool { return len(p.Identity.Tenants) > 0 }

func (c *Connection) unknown(reason IdentityReason, status int, err error) error {
	return &IdentityError{Connection: c.reg.Name, Reason: reason, Status: status, Err: err}
}
