package app

import (
	"slices"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/calendar"
	"github.com/grantry/grantry/tools/chat"
	"github.com/grantry/grantry/tools/crm"
	"github.com/grantry/grantry/tools/documents"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// AllTools are the vendor tools of this build, in the order of their groups.
func AllTools() []tools.Tool {
	return slices.Concat(calendar.Tools(), documents.Tools(), crm.Tools(), chat.Tools())
}

// Tools are the enabled ones.
func (a *App) Tools() []tools.Tool {
	return slices.DeleteFunc(AllTools(), func(t tools.Tool) bool { return !slices.Contains(a.cfg.Tools.Groups, t.Group) })
}

// Catalog is what this build knows of vendors.
func (a *App) Catalog() *provider.Set { return a.catalog }

func (a *App) mcpConfig(publicURL string) mcp.Config {
	cfg := mcp.Config{
		Tools: a.Tools(), Writes: a.cfg.Tools.Writes, Policy: a.cfg.Tools.Policy, PublicURL: publicURL,
		Version: a.opts.Version, Agent: a.opts.Agent, Logger: a.log, Connections: map[string]string{},
		Limits: mcp.Limits{CallsPerMinute: a.cfg.Limits.CallsPerMinute, WritesPerMinute: a.cfg.Limits.WritesPerMinute},
	}
	for name, c := range a.cfg.Connections {
		cfg.Connections[name] = c.Provider
	}
	if a.cfg.Sandbox {
		cfg.Writes, cfg.Connections = "allow", map[string]string{}
		for _, name := range sandboxVendors {
			cfg.Connections[name] = name
		}
	}
	return cfg
}

// scopesFor answers what a connection that a person starts themselves asks for: what the enabled tools need of its vendor.
func (a *App) scopesFor(v *vault.Vault) func(string) []string {
	return func(name string) []string {
		c, ok := v.Connection(name)
		if !ok {
			return nil
		}
		scopes := a.cfg.Connections[name].Scopes
		for _, t := range a.Tools() {
			for _, n := range t.Needs() {
				if n.Provider == c.Provider().Name {
					scopes = provider.Union(scopes, n.Ask())
				}
			}
		}
		return scopes
	}
}

// ScopesFor answers what a connection that a person starts themselves asks for.
func (a *App) ScopesFor(v *vault.Vault, connection string) []string {
	return a.scopesFor(v)(connection)
}
