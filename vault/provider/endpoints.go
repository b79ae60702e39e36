package provider

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var tenantID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// effective is the provider's endpoints after the registration's overrides.
// What is derived never leads back to the vendor once the token endpoint has
// moved: a token of a company's own server is not for the vendor's.
func effective(p *Provider, reg Registration) Endpoints {
	fill := strings.NewReplacer("{tenant}", reg.Tenant, "{client_id}", url.PathEscape(reg.ClientID))
	o, d := reg.Endpoints, p.Endpoints
	issuer := p.Issuer
	if tenantID.MatchString(reg.Tenant) {
		issuer = strings.ReplaceAll(issuer, "{tenantid}", reg.Tenant)
	}
	userinfo := d.Userinfo
	if p.Identity.URL != "" {
		userinfo = p.Identity.URL
	}
	e := Endpoints{
		Issuer:        first(o.Issuer, issuer),
		Authorization: first(o.Authorization, fill.Replace(d.Authorization)),
		Token:         first(o.Token, fill.Replace(d.Token)),
		Revocation:    first(fill.Replace(o.Revocation), moved(p, o, fill.Replace(d.Revocation))),
		Userinfo:      first(o.Userinfo, moved(p, o, userinfo)),
		JWKS:          first(o.JWKS, fill.Replace(d.JWKS)),
		API:           first(strings.TrimSuffix(o.API, "/"), d.API),
	}
	if o.Issuer != "" && o.JWKS == "" {
		e.JWKS = "" // from the overridden issuer's discovery
	}
	return e
}

// moved is where a vendor's address lies after overrides: under endpoints.api
// when it is on an API host, beside the token endpoint when it was before, ""
// when neither says.
func moved(p *Provider, o Endpoints, raw string) string {
	u, err := url.Parse(raw)
	if err != nil || raw == "" || strings.HasPrefix(raw, "{api_base}") {
		return raw
	}
	switch {
	case o.API != "" && hostIn(u, p.APIHosts):
		to, err := url.Parse(o.API)
		if err != nil {
			return ""
		}
		return rebase(u, to).String()
	case o.Token == "":
		return raw
	case origin(raw) == origin(p.Endpoints.Token):
		return origin(o.Token) + u.EscapedPath()
	}
	return ""
}

// rebase puts u under base: its scheme, host and path in front.
func rebase(u, base *url.URL) *url.URL {
	out := *u
	out.Scheme, out.Host, out.User = base.Scheme, base.Host, nil
	out.RawPath = strings.TrimSuffix(base.EscapedPath(), "/") + u.EscapedPath()
	path, err := url.PathUnescape(out.RawPath)
	if err != nil {
		path = out.RawPath
	}
	out.Path = path
	return &out
}

// apiBase is where API calls begin: override, token answer, vendor.
func (c *Connection) apiBase(named string) string {
	if c.api != nil || named == "" {
		return c.ep.API
	}
	return named
}

// checkBase is the base of API calls that a token answer named, "" when it
// lies outside the hosts that tokens may go to. endpoints.api wins over it.
func (c *Connection) checkBase(raw string) string {
	if raw == "" || c.api != nil || !usable(raw, c.reg.LoopbackHTTP) {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.RawQuery != "" || !c.trusted(u) {
		return ""
	}
	return strings.TrimSuffix(raw, "/")
}

// trusted says whether u lies on a host of the provider or the registration.
func (c *Connection) trusted(u *url.URL) bool {
	return c.secure(u) && (hostIn(u, c.reg.Provider.APIHosts) || hostIn(u, c.reg.APIHosts))
}

func (c *Connection) secure(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && c.reg.LoopbackHTTP && loopback(u.Hostname())
}

// usable says whether raw is an absolute https address, or http to loopback
// where that is allowed.
func usable(raw string, loopbackHTTP bool) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" ||
		strings.ContainsAny(raw, " \t\r\n\\#") {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopbackHTTP && loopback(u.Hostname())
}

// loopback says whether host is this machine: localhost, 127.0.0.0/8 or ::1.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// hostIn says whether u's host is one of the patterns: exact, with the port
// when it is not the scheme's own, or "*.suffix" for https on its own port.
func hostIn(u *url.URL, patterns []string) bool {
	host := canonicalHost(u)
	return slices.ContainsFunc(patterns, func(p string) bool {
		p = strings.ToLower(p)
		if suffix, ok := strings.CutPrefix(p, "*"); ok {
			return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
		}
		return host == p
	})
}

// canonicalHost is u's host in lower case without the scheme's own port.
func canonicalHost(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch {
	case u.Scheme == "https":
		return strings.TrimSuffix(host, ":443")
	case u.Scheme == "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && canonicalHost(a) == canonicalHost(b)
}

// origin is the scheme and host of an address, "" when there is none.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// validHost says whether h is a host name with or without a port, or "*." and
// a suffix of at least two labels.
func validHost(h string) bool {
	suffix, wild := strings.CutPrefix(h, "*.")
	u, err := url.Parse("https://" + suffix)
	if err != nil || u.Host != suffix || u.Hostname() == "" || strings.ContainsAny(suffix, "*/?#@ \t") {
		return false
	}
	return !wild || strings.Contains(strings.Trim(suffix, "."), ".") && u.Port() == ""
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
