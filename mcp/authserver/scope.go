package authserver

import (
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/grantry/grantry/mcp"
)

// defaultScopes are those of a client that names none (RFC 6749 §3.3).
func defaultScopes(c *client) []string {
	if c.workload {
		return []string{oidc.ScopeOpenID}
	}
	return mcp.OwnScopes()
}

// scopesFor are those of ours that a client asks for, nil where it names only
// others. The person sees them before they are given.
func scopesFor(c *client, asked []string) []string {
	if !c.workload {
		return within(mcp.OwnScopes(), asked)
	}
	known := within(slices.Concat(identityScopes(), accountScopes()), asked)
	if len(known) == 0 {
		return nil
	}
	return slices.Concat(without(known, accountScopes()), accountScopes())
}

// offered are those of ours that a client did not ask for and its person may add.
func offered(c *client, asked []string) []string {
	if c.workload {
		return nil
	}
	return slices.DeleteFunc(mcp.OwnScopes(), func(s string) bool {
		_, had := narrowed(asked, []string{s})
		return had
	})
}

// narrowed are the scopes of a refreshed token: what is asked for, if all of it was given (RFC 6749 §6).
func narrowed(given, asked []string) ([]string, bool) {
	if len(asked) == 0 {
		return given, true
	}
	for _, s := range asked {
		if !slices.Contains(given, s) && !(s == mcp.ScopeRead && slices.Contains(given, mcp.ScopeWrite)) {
			return nil, false
		}
	}
	return asked, true
}

func joined(scopes []string) string { return strings.Join(scopes, " ") }
