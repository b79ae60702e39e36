package vault

import (
	"slices"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

// Ceiling bounds what a token can do that leaves the program. Scopes that only
// say whose account it is, or that keep it connected (provider.IdentityOnly), do not count.
type Ceiling struct {
	// Scopes are the widest that a token may have, by the provider's cover rules; none = only a token without any.
	Scopes []string
	// Wider says that the account's own token will do where its vendor cannot narrow one.
	Wider bool
}

// Exchanged says that a token leaves the program, and for whom. It stands in the entry "token.exchanged".
type Exchanged struct {
	Subject string   `json:"subject,omitempty"`  // kind of subject token: "access_token", "refresh_token", "jwt"
	Issued  string   `json:"issued,omitempty"`   // what is handed out: "access_token" or "proxy_token"
	Actors  []string `json:"actors,omitempty"`   // the act chain (RFC 8693 §4.1), outermost first
	Context string   `json:"context,omitempty"`  // audit_context of a worker assertion
	TokenID string   `json:"token_id,omitempty"` // jti or keyed hash of the subject token, never the token
}

// excess is what of granted scopes the ceiling does not allow.
func (c *Ceiling) excess(p *provider.Provider, granted []string) (out []string) {
	for _, s := range granted {
		if !c.allows(p, s) {
			out = append(out, s)
		}
	}
	return out
}

func (c *Ceiling) allows(p *provider.Provider, scope string) bool {
	return p.IdentityOnly(scope) || p.Covers(c.Scopes, scope)
}

// under are the ways that the ceiling allows, with what of their needs it
// allows. beyond are the scopes of the others that it does not.
func (c *Ceiling) under(ways []way) (out []way, beyond []string) {
	for _, w := range ways {
		p := w.conn.Provider()
		groups := make([][]string, 0, len(w.need.Groups))
		var over []string
		for _, g := range w.need.Groups {
			kept := slices.DeleteFunc(slices.Clone(g), func(s string) bool { return !c.allows(p, s) })
			if len(kept) == 0 && len(g) > 0 {
				over = append(over, g[0])
			}
			groups = append(groups, kept)
		}
		if beyond = append(beyond, over...); len(over) == 0 {
			w.need.Groups = groups
			out = append(out, w)
		}
	}
	return out, beyond
}

// waysOf are the connections that could serve a request.
func (v *Vault) waysOf(r Request) ([]way, error) {
	ways := v.ways(r.Needs)
	if len(ways) == 0 {
		return nil, &ConsentError{Reason: ConnMisconfigured}
	}
	if r.Ceiling == nil {
		return ways, nil
	}
	under, beyond := r.Ceiling.under(ways)
	if len(under) == 0 {
		return nil, &ConsentError{Reason: CannotNarrow, Options: newOptions(ways), Excess: provider.Union(beyond, nil)}
	}
	return under, nil
}

// reach is all that a token under the ceiling can do of what is granted.
func (c *Ceiling) reach(p *provider.Provider, granted []string) (out []string) {
	for _, s := range granted {
		if c.allows(p, s) && !p.IdentityOnly(s) {
			out = append(out, s)
		}
	}
	for _, s := range c.Scopes {
		if p.Covers(granted, s) {
			out = append(out, s)
		}
	}
	return slimOf(p, out)
}

// fit proves that what goes out for p can do no more than the ceiling allows:
// the account's own token, or a narrowed one, of which it says the scopes (p.slim).
// Who asks for nothing in particular asks for all that there is under the ceiling.
func (v *Vault) fit(c *Ceiling, p *picked) error {
	if c == nil {
		return nil
	}
	vendor, granted := p.conn.Provider(), provider.ParseScopes(p.row.Scopes)
	if len(p.need.Ask()) == 0 {
		p.need.Groups = eachOf(c.reach(vendor, granted)).Groups
	}
	switch {
	case len(c.excess(vendor, granted)) == 0:
		return nil
	case len(c.Scopes) == 0, !p.narrows() && !c.Wider:
		return v.tooWide(c, p)
	case len(p.need.Groups) == 0:
		p.need.Groups = eachOf(c.Scopes).Groups
		return v.lacks(UnderScoped, p, c.Scopes)
	case p.narrows():
		p.slim = slimOf(vendor, p.ask())
	}
	return nil
}

func (v *Vault) tooWide(c *Ceiling, p *picked) error {
	e := v.lacks(CannotNarrow, p, nil)
	e.Excess = c.excess(p.conn.Provider(), provider.ParseScopes(p.row.Scopes))
	return e
}

// bounded is what the ceiling says once the agent's access is known, and finds the narrowed token, if one is to go out.
// Where its vendor gave none lately, it is the account's own or nothing, as with a vendor that cannot narrow.
func (v *Vault) bounded(from source, c *Ceiling, p *picked) error {
	if c == nil {
		return nil
	}
	if err := v.agreed(c, p); err != nil {
		return err
	}
	if err := v.findNarrowed(from, p); err != nil || p.narrow == nil || p.narrow.Refused == "" {
		return err
	}
	p.slim, p.narrow, p.unslim = nil, nil, true
	if err := v.fit(c, p); err != nil {
		return err
	}
	return v.agreed(c, p)
}

// agreed proves that the person has said yes to all that the token can do, as the
// page listed it, or to more than it listed. Where the vendor narrows, it is made to fit instead.
func (v *Vault) agreed(c *Ceiling, p *picked) error {
	vendor, granted, access := p.conn.Provider(), provider.ParseScopes(p.row.Scopes), Ceiling{Scopes: provider.ParseScopes(p.access.Scopes)}
	beyond := access.excess(vendor, granted)
	switch {
	case p.slim != nil, len(beyond) == 0, p.wider:
		return nil
	case p.narrows():
		p.slim = slimOf(vendor, p.ask())
		return nil
	}
	e := v.lacks(AgentNotAllowed, p, nil)
	if len(c.excess(vendor, granted)) == 0 { // else its page says that there is more
		e.Options[0].Scopes = provider.Union(e.Options[0].Scopes, beyond)
	}
	return e
}

// lasts says whether the token at hand lives for that long yet. One without a known end does.
func (v *Vault) lasts(p *picked, ttl time.Duration) bool {
	expires := p.out().expires
	return ttl <= 0 || expires == 0 || expires-v.now() >= ttl.Milliseconds()
}

// lengthens says whether a refresh could bring a token that lives longer than the
// one at hand: not where there is none to be had, nor right after the last one (G10).
func (v *Vault) lengthens(p *picked, ttl time.Duration) bool {
	return !v.lasts(p, ttl) && p.row.RefreshCT != nil && !v.justNow(p)
}
