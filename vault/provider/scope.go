package provider

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Normalize is the one spelling under which p's scopes are stored and
// compared: prefix off (Microsoft), alias resolved and short name completed
// (Google), the catalog's letter case where case does not matter (Microsoft).
// A scope that the catalog does not know comes back as it is, or in lower case
// where case does not matter.
func (p *Provider) Normalize(scope string) string {
	r := &p.Scope
	for n := len(r.StripPrefix); n > 0 && len(scope) > n && strings.EqualFold(scope[:n], r.StripPrefix); {
		scope = scope[n:]
	}
	if r.FoldCase {
		low := strings.ToLower(scope)
		if s, ok := r.folded[low]; ok {
			return s
		}
		return low
	}
	if s, ok := r.Aliases[scope]; ok {
		return s
	}
	return p.spell(scope)
}

// Knows says whether the catalog has words or cover rules for scope.
func (p *Provider) Knows(scope string) bool {
	scope = p.Normalize(scope)
	return p.listed(scope)
}

// Describe is scope in plain words; ok is false when the catalog has none, and
// then a page shows the scope itself.
func (p *Provider) Describe(scope string) (text ScopeText, ok bool) {
	if text, ok = p.Scope.Text[scope]; ok {
		return text, true
	}
	text, ok = p.Scope.Text[p.Normalize(scope)]
	return text, ok
}

// IdentityOnly says whether a scope only tells whose account it is, or keeps the connection alive.
func (p *Provider) IdentityOnly(scope string) bool {
	n := p.Normalize(scope)
	same := func(s string) bool { return p.Normalize(s) == n }
	return slices.ContainsFunc([]string{"openid", "email", "profile", "offline_access", p.Refresh.NeedsScope}, same) || slices.ContainsFunc(p.Scope.Always, same)
}

// KeepsAlive are those of granted scopes without which a vendor gives no refresh
// token: a refresh for fewer scopes asks for them, too.
func (p *Provider) KeepsAlive(granted []string) []string {
	return slices.DeleteFunc(slices.Clone(granted), func(s string) bool {
		n := p.Normalize(s)
		return n != p.Normalize("offline_access") && (p.Refresh.NeedsScope == "" || n != p.Normalize(p.Refresh.NeedsScope))
	})
}

func (p *Provider) listed(scope string) bool {
	if _, ok := p.Scope.Text[scope]; ok {
		return true
	}
	_, ok := p.Scope.Implies[scope]
	return ok
}

// spell completes a short name ("calendar.readonly"), for the request.
func (p *Provider) spell(scope string) string {
	short := p.Scope.ShortPrefix
	if short != "" && !strings.Contains(scope, "://") && p.listed(short+scope) {
		return short + scope
	}
	return scope
}

// normalizeAll is the sorted set of the normalized scopes.
func (p *Provider) normalizeAll(scopes []string) []string {
	out := make([]string, 0, len(scopes))
	for _, s := range scopes {
		if s != "" {
			out = append(out, p.Normalize(s))
		}
	}
	return Union(out, nil)
}

// request is always and scopes as they go into a request: each once.
func (p *Provider) request(always, scopes []string) []string {
	var out, seen []string
	for _, s := range slices.Concat(always, scopes) {
		if n := p.Normalize(s); s != "" && !slices.Contains(seen, n) {
			seen = append(seen, n)
			out = append(out, p.spell(s))
		}
	}
	return out
}

// narrowest is the first of scopes that covers none of the others.
func (p *Provider) narrowest(scopes []string) []string {
	for _, s := range scopes {
		covers := func(o string) bool { return o != s && slices.Contains(p.Scope.Implies[s], o) }
		if !slices.ContainsFunc(scopes, covers) {
			return []string{s}
		}
	}
	return scopes
}

// splitScopes reads a list with commas, spaces or both between its names.
func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' })
}

// unprintable says that s is no scope at all (RFC 6749 §3.3): it holds control
// characters or spaces of any script, or is not UTF-8. No database would take
// the grant with it, or it would be two scopes when it is read again.
func unprintable(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) })
}
