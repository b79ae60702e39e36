package provider

import (
	"context"
	"strings"

	"golang.org/x/oauth2"
)

// AuthCodeURL is the vendor's page where the person consents. It asks for
// r.Scopes (the configuration's when there are none) and for what the provider
// always needs. Its error is a
// *DiscoveryError, or a *ConfigError when r lacks state, verifier or redirect URI.
func (c *Connection) AuthCodeURL(ctx context.Context, r AuthRequest) (string, error) {
	p := c.reg.Provider
	switch {
	case r.State == "":
		return "", &ConfigError{Connection: c.reg.Name, Field: "state", Reason: "is missing"}
	case r.RedirectURI == "":
		return "", &ConfigError{Connection: c.reg.Name, Field: "redirect URI", Reason: "is missing"}
	case p.PKCE == PKCEAlways && len(r.Verifier.Reveal()) < 43: // RFC 7636 §4.1
		return "", &ConfigError{Connection: c.reg.Name, Field: "verifier", Reason: "must have 43 characters"}
	}
	e, err := c.resolve(ctx)
	if err != nil {
		return "", err
	}
	conf := oauth2.Config{
		ClientID:    c.reg.ClientID,
		RedirectURL: r.RedirectURI,
		Endpoint:    oauth2.Endpoint{AuthURL: e.Authorization},
	}
	return conf.AuthCodeURL(r.State, c.options(r, e)...), nil
}

func (c *Connection) options(r AuthRequest, e *resolved) []oauth2.AuthCodeOption {
	p := c.reg.Provider
	var out []oauth2.AuthCodeOption
	add := func(name, value string) {
		if name != "" && value != "" {
			out = append(out, oauth2.SetAuthURLParam(name, value))
		}
	}
	for k, v := range p.Authorize.Params {
		add(k, v)
	}
	if r.Reconnect {
		for k, v := range p.Authorize.Reconnect {
			add(k, v)
		}
	}
	if !p.Scope.Fixed {
		add(c.scopeParam(), strings.Join(p.request(e.always, c.wanted(r.Scopes)), p.Scope.Separator))
	}
	add(p.Authorize.LoginHint, r.LoginHint)
	if p.Identity.IDToken {
		add("nonce", r.Nonce)
	}
	if p.PKCE == PKCEAlways {
		out = append(out, oauth2.S256ChallengeOption(r.Verifier.Reveal()))
	}
	return out
}

// scopeParam is where scopes stand. Slack's "scope" asks for the bot's.
func (c *Connection) scopeParam() string {
	if c.reg.BotToken {
		return "scope"
	}
	return c.reg.Provider.Scope.Param
}

// wanted is scopes, or the configuration's when there are none.
func (c *Connection) wanted(scopes []string) []string {
	if len(scopes) == 0 {
		return c.reg.Scopes
	}
	return scopes
}

// Asks is what an authorization request for scopes will ask for: them and what
// the provider always needs, each once. Pages show it; the vault stores it.
func (c *Connection) Asks(scopes []string) []string {
	return c.reg.Provider.request(c.reg.Provider.Scope.Always, c.wanted(scopes))
}

// CheckIss compares the iss of an authorization response with the issuer,
// byte for byte (RFC 9207 §2.4). It must be there when the provider or its
// discovery document says that it is sent; where the vendor has no issuer, one
// that comes all the same is not looked at. Its error is an *IssuerError, or a
// *DiscoveryError when the document cannot be had.
func (c *Connection) CheckIss(iss string) error {
	ctx, cancel := context.WithTimeout(context.Background(), metadataTime)
	defer cancel()
	e, err := c.resolve(ctx)
	switch {
	case err != nil:
		return err
	case e.Issuer == "":
		return nil
	case iss == "" && e.sendIss:
		return &IssuerError{Connection: c.reg.Name, Expected: e.Issuer, Missing: true}
	case iss == "" || iss == e.Issuer:
		return nil
	case c.tenantIssuer(e.Issuer, iss):
		return nil
	}
	return &IssuerError{Connection: c.reg.Name, Expected: e.Issuer}
}

// tenantIssuer says whether iss is the template with a tenant's id in it (Microsoft).
func (c *Connection) tenantIssuer(template, iss string) bool {
	before, after, ok := strings.Cut(template, "{tenantid}")
	if !ok || len(iss) < len(before)+len(after) || !strings.HasPrefix(iss, before) || !strings.HasSuffix(iss, after) {
		return false
	}
	return tenantID.MatchString(iss[len(before) : len(iss)-len(after)])
}
