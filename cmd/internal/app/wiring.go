package app

import (
	"slices"
	"sync"

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

// ToolNames are the names of all tools.
func ToolNames() []string {
	var names []string
	for _, t := range AllTools() {
		names = append(names, t.Name)
	}
	return names
}

// enabledTools are those that the config does not leave out. Making them takes
// a millisecond or two of the start, so it is done once, and not by every command.
func enabledTools(groups []string) func() []tools.Tool {
	return sync.OnceValue(func() []tools.Tool {
		return slices.DeleteFunc(AllTools(), func(t tools.Tool) bool { return !slices.Contains(groups, t.Group) })
	})
}

func (a *App) mcpConfig(publicURL string) mcp.Config {
	cfg := mcp.Config{
		Tools: a.tools(), Writes: a.cfg.Tools.Writes, Policy: a.cfg.Tools.Policy, PublicURL: publicURL,
		Version: a.opts.Version, Agent: a.opts.Agent, Logger: a.log, Connections: map[string]string{},
		Limits: mcp.Limits{CallsPerMinute: a.cfg.Limits.CallsPerMinute, WritesPerMinute: a.cfg.Limits.WritesPerMinute},
	}
	for name, c := range a.cfg.Connections {
		cfg.Connections[name] = c.Provider
	}
	if a.cfg.Sandbox {
		cfg.Connections = map[string]string{}
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
		return provider.Union(a.cfg.Connections[name].Scopes, a.needed(c.Provider().Name))
	}
}

// needed are the scopes that the enabled tools need of a vendor.
func (a *App) needed(vendor string) (scopes []string) {
	for _, t := range a.tools() {
		for _, n := range t.Needs() {
			if n.Provider == vendor {
				scopes = provider.Union(scopes, n.Ask())
			}
		}
	}
	return scopes
}

// ScopesFor answers what a connection that a person starts themselves asks for.
func (a *App) ScopesFor(v *vault.Vault, connection string) []string {
	return a.scopesFor(v)(connection)
}
