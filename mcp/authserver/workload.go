package authserver

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// identityScopes are what a workload may ask to know of who signs in (OpenID Connect Core §5.4, §11).
func identityScopes() []string {
	return []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeOfflineAccess}
}

// accountScopes are those of the connected-accounts API. They are part of every
// login at a workload: it asks for them one by one later, when nobody is at the page.
func accountScopes() []string {
	return []string{"create:me:connected_accounts", "read:me:connected_accounts", "delete:me:connected_accounts"}
}

// resource is the audience of what MCP clients get.
func (s *Server) resource() string { return s.cfg.PublicURL + "/mcp" }

// Application is the audience of a workload's own tokens, {public_url}/: those that it exchanges.
func (s *Server) Application() string { return s.cfg.PublicURL + "/" }

// Accounts is the audience of the connected-accounts API, {public_url}/me/.
func (s *Server) Accounts() string { return s.cfg.PublicURL + "/me/" }

// targets are the audiences that a client may have tokens for, the first one unless
// it names another. A workload's and an MCP client's have none in common: what
// an MCP client holds never becomes a vendor's token.
func (s *Server) targets(c *client) []string {
	if c.workload {
		return []string{s.Application(), s.Accounts()}
	}
	return []string{s.resource()}
}

// target is the one audience that a request names, as resource (RFC 8707) or as
// audience (what Auth0 calls it), "" for none. It answers an OAuth error.
func (s *Server) target(c *client, form url.Values) (to string, err error) {
	may := s.targets(c)
	for _, raw := range slices.Concat(form["resource"], form["audience"]) {
		one := s.canonical(raw)
		if !slices.Contains(may, one) || to != "" && to != one {
			return "", oidc.ErrInvalidTarget().WithDescription("resource must be %s", strings.Join(may, " or "))
		}
		to = one
	}
	return to, nil
}

// canonical is an address of ours as a token names it: scheme and host count in
// any letters, /mcp with or without a slash at its end.
func (s *Server) canonical(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil {
		return ""
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	rest, ours := strings.CutPrefix(u.String(), strings.ToLower(s.cfg.PublicURL))
	switch {
	case !ours:
		return ""
	case rest == "":
		rest = "/"
	case rest == "/mcp/":
		rest = "/mcp"
	}
	return s.cfg.PublicURL + rest
}

// wanted is what a token shall be good for.
type wanted struct {
	audience string
	scopes   []string
	nonce    string // of the authorization request, "" in what comes of a refresh
}

// want is what a login gives its client when it asks for that audience ("" = the
// login's own) and those scopes. A workload hears by the answer's scope what it
// got of what it asked for, as its libraries expect; an MCP client may not ask for more than it has.
func (s *Server) want(ctx context.Context, c *client, f family, audience string, asked []string) (wanted, error) {
	may := s.targets(c)
	if !slices.Contains(may, f.Resource) { // the config made another kind of client of it
		return wanted{}, badRefresh(ctx)
	}
	if audience == "" {
		audience = f.Resource
	}
	given := f.Scopes
	if c.workload && audience == s.Application() {
		given = without(given, accountScopes())
	}
	if c.workload && len(asked) > 0 {
		asked = within(given, asked)
		given = asked
	}
	scopes, ok := narrowed(given, asked)
	if !ok || len(scopes) == 0 {
		return wanted{}, oidc.ErrInvalidScope().WithDescription("the person did not allow these scopes")
	}
	return wanted{audience: audience, scopes: scopes}, nil
}

// within are those of all that are among some.
func within(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return !slices.Contains(some, s) })
}

// without are those of all that are not among some.
func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}

// clientIn is the client behind op's.
func clientIn(c op.Client) (*client, error) {
	known, ok := c.(opClient)
	if !ok {
		return nil, oidc.ErrServerError()
	}
	return known.client, nil
}
