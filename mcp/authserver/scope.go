package authserver

import (
	"slices"
	"strings"

	"github.com/grantry/grantry/mcp"
)

// scopesFor are those of ours that a client asks for: all where it names none
// (RFC 6749 §3.3), nil where it names only others. The person sees them before they are given.
func scopesFor(asked []string) []string {
	if len(asked) == 0 {
		return mcp.OwnScopes()
	}
	return slices.DeleteFunc(mcp.OwnScopes(), func(s string) bool { return !slices.Contains(asked, s) })
}

// besides are those of ours that a client did not ask for and its person may add.
func besides(asked []string) []string {
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
