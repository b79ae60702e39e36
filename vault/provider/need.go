package provider

import (
	"slices"
	"strings"
)

// Need is what a tool requires of an account: a provider and groups of scopes,
// one of each group (an AND of ORs). The first of a group is the one to ask for.
type Need struct {
	Provider string     // name in the catalog, "" = the provider of Connection
	Groups   [][]string // scopes in the provider's own spelling
	// Connection, when set, names the one connection that will do.
	Connection string
}

// Ask is the scopes to ask for: the first of each group.
func (n Need) Ask() []string {
	out := make([]string, 0, len(n.Groups))
	for _, g := range n.Groups {
		if len(g) > 0 {
			out = append(out, g[0])
		}
	}
	return out
}

// Missing is what granted scopes still lack for n by the cover rules of p: the first scope of every group of which none is covered.
func (p *Provider) Missing(granted []string, n Need) []string {
	var out []string
	for _, g := range n.Groups {
		if len(g) > 0 && !slices.ContainsFunc(g, func(s string) bool { return p.Covers(granted, s) }) {
			out = append(out, g[0])
		}
	}
	return out
}

// Covers says whether one of the granted scopes is want or covers it
// ("calendar" covers "calendar.readonly"), after normalizing both.
func (p *Provider) Covers(granted []string, want string) bool {
	want = p.Normalize(want)
	for _, g := range granted {
		g = p.Normalize(g)
		if g == want || slices.Contains(p.Scope.Implies[g], want) {
			return true
		}
	}
	return false
}

// Union is a and b without doubles, sorted.
func Union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// ParseScopes splits a stored scope list.
func ParseScopes(s string) []string { return strings.Fields(s) }

// FormatScopes is the stored form: sorted, single spaces.
func FormatScopes(s []string) string { return strings.Join(Union(s, nil), " ") }
