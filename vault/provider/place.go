package provider

import (
	"net/url"
	"slices"
	"strings"
)

// Place is where requests to one of the connection's API hosts begin, as
// Transport sends them: scheme, host, and the path that is put in front of
// theirs. host "" is where API calls begin. One that is known by a suffix only
// counts where the token answer named it. Any other is a *HostError.
func (b Bearer) Place(host string) (*url.URL, error) {
	c := b.Connection
	if c == nil {
		return nil, &HostError{Host: host}
	}
	host = strings.ToLower(host)
	base := c.place(b.APIBase)
	exact := !strings.HasPrefix(host, "*") && slices.Contains(Union(c.reg.Provider.APIHosts, c.reg.APIHosts), host)
	switch {
	case base != nil && (host == "" || host == canonicalHost(base) || c.api != nil && exact):
		return base, nil
	case exact && (c.reg.Provider.Token.APIBase == "" || b.APIBase == ""):
		return c.at(host), nil
	}
	return nil, &HostError{Connection: c.Name(), Host: host}
}

// place is where API calls begin: endpoints.api, else what the token answer
// named, else the vendor's address, else the first host; nil where there is none.
func (c *Connection) place(named string) *url.URL {
	if c.api != nil {
		u := *c.api
		return &u
	}
	if u, err := url.Parse(named); named != "" && c.reg.Provider.Token.APIBase != "" {
		if err != nil || !c.trusted(u) {
			return nil
		}
		return u
	}
	if u, err := url.Parse(c.ep.API); err == nil && u.Host != "" {
		return &url.URL{Scheme: u.Scheme, Host: u.Host}
	}
	for _, h := range Union(c.reg.Provider.APIHosts, c.reg.APIHosts) {
		if !strings.HasPrefix(h, "*") {
			return c.at(h)
		}
	}
	return nil
}

// at is the origin of an exact API host: https, but for this machine where plain http is allowed there.
func (c *Connection) at(host string) *url.URL {
	u := &url.URL{Scheme: "https", Host: host}
	if c.reg.LoopbackHTTP && loopback(u.Hostname()) {
		u.Scheme = "http"
	}
	return u
}
