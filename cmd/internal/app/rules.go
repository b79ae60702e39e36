package app

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// rules are the config's words on who may connect which accounts, by connection.
func rules(c *config.Config) map[string]vault.Rule {
	out := map[string]vault.Rule{}
	for name, conn := range c.Connections {
		out[name] = vault.Rule{
			Domains: conn.Accounts.Domains, Tenants: conn.Accounts.Tenants, Claim: conn.Allow.Claim, Any: conn.Allow.Any,
		}
	}
	return out
}

// ruleClaims are the claims of a sign-in that a rule names, sorted.
func ruleClaims(c *config.Config) []string {
	var out []string
	for _, conn := range c.Connections {
		if conn.Allow.Claim != "" {
			out = append(out, conn.Allow.Claim)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// checkRules refuses rules that nothing could ever satisfy: what the vendor does not say, and a sign-in that is not asked for.
func checkRules(c *config.Config, catalog *provider.Set) error {
	if c.Sandbox {
		return nil
	}
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Connections)) {
		conn := c.Connections[name]
		p, ok := catalog.Lookup(conn.Provider)
		if !ok {
			continue // said elsewhere
		}
		refuse(len(conn.Accounts.Domains) > 0 && !p.NamesDomain(),
			"connections.%s.accounts.domains: %s does not vouch for the domain of an account; name its tenants instead, or take the rule out", name, p.Title)
		refuse(len(conn.Accounts.Tenants) > 0 && !p.NamesTenant(),
			"connections.%s.accounts.tenants: %s names no tenant of an account; name its domains instead, or take the rule out", name, p.Title)
		refuse(conn.Allow.Claim != "" && c.Identity.Issuer == "",
			"connections.%s.allow: nobody signs in to this vault, so nobody could have the claim; set identity.issuer, or take the rule out", name)
	}
	if len(errs) > 0 {
		return &UsageError{Text: errors.Join(errs...).Error()}
	}
	return nil
}
