package provider

import (
	"maps"
	"slices"
	"strings"
)

// Set is the catalog: every provider by name.
type Set struct{ providers map[string]*Provider }

// Catalog is all that this build knows about vendors, built fresh at every
// call: what one caller changes, no other sees.
func Catalog() *Set {
	s := &Set{providers: make(map[string]*Provider)}
	for _, p := range []*Provider{
		google(), microsoft(), slack(), github(), box(), salesforce(), genericOIDC(), genericOAuth2(),
	} {
		if p.Scope.FoldCase {
			p.Scope.folded = fold(p.Scope)
		}
		s.providers[p.Name] = p
	}
	return s
}

// Lookup finds a provider by its name in the configuration.
func (s *Set) Lookup(name string) (*Provider, bool) {
	p, ok := s.providers[name]
	return p, ok
}

// Names are the names of all providers, sorted.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.providers)) }

// fold finds the vendor's spelling of each scope by its lower case.
func fold(r ScopeRules) map[string]string {
	out := make(map[string]string)
	for s := range r.Text {
		out[strings.ToLower(s)] = s
	}
	for s, covered := range r.Implies {
		out[strings.ToLower(s)] = s
		for _, c := range covered {
			out[strings.ToLower(c)] = c
		}
	}
	return out
}

// see and change are the two kinds of plain words.
func see(can string) ScopeText    { return ScopeText{Can: can} }
func change(can string) ScopeText { return ScopeText{Can: can, Write: true} }

// signInText are the scopes of OpenID Connect in plain words.
func signInText() map[string]ScopeText {
	return map[string]ScopeText{
		"openid":         see("Know which account this is"),
		"email":          see("See your e-mail address"),
		"profile":        see("See your name and picture"),
		"address":        see("See your postal address"),
		"phone":          see("See your phone number"),
		"offline_access": see("Keep access while you are away, until you revoke it"),
	}
}

// withText is base with more added.
func withText(base, more map[string]ScopeText) map[string]ScopeText {
	maps.Copy(base, more)
	return base
}

// prefixed puts prefix before every key and covered scope of a cover table.
func prefixed(prefix string, in map[string][]string) map[string][]string {
	full := func(s string) string {
		if strings.Contains(s, "://") {
			return s
		}
		return prefix + s
	}
	out := make(map[string][]string, len(in))
	for k, v := range in {
		covered := make([]string, len(v))
		for i, s := range v {
			covered[i] = full(s)
		}
		out[full(k)] = covered
	}
	return out
}
