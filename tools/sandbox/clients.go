package sandbox

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// client is an application that may ask people for something: Grantry at a vendor, or whoever has
// registered at the issuer.
type client struct {
	ID, Name   string
	Secret     string // digest; empty: a public client
	Redirects  []string
	GrantTypes []string
	Created    time.Time
	AnyPort    bool // RFC 8252 section 7.3: the port of a loopback redirect address is free
}

// lookup finds a client at a vendor or at the issuer.
func (s *Sandbox) lookup(vendor, id string) (client, bool) {
	if id == clientID(vendor) {
		return client{
			ID: id, Name: "Grantry", Secret: digest(s.clientSecret(vendor)),
			Redirects: []string{s.redirectURI(vendor)}, GrantTypes: []string{"authorization_code"},
			// Slack and Salesforce take the port exactly in life. Here they do not, as Google with desktop clients:
			// a person's own pages move to a free port when "serve --sandbox" holds the usual one.
			AnyPort: true,
		}, true
	}
	var found client
	if vendor == issuer {
		s.view(func(st *state) {
			if c := st.Clients[id]; c != nil {
				found = *c
			}
		})
	}
	return found, found.ID != ""
}

// accepts says whether the client may be answered at this address.
func (c client) accepts(redirect string) bool {
	if slices.Contains(c.Redirects, redirect) {
		return true
	}
	u, err := url.Parse(redirect)
	if err != nil || !c.AnyPort || !loopback(u) {
		return false
	}
	return slices.ContainsFunc(c.Redirects, func(known string) bool {
		k, err := url.Parse(known)
		return err == nil && loopback(k) && k.Hostname() == u.Hostname() && k.Path == u.Path && k.RawQuery == u.RawQuery
	})
}

func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && u.User == nil && u.Fragment == "" &&
		(u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// authenticate proves the client of a token or revocation request: HTTP Basic as RFC 6749 section 2.3.1
// encodes it, or the two form fields.
func (s *Sandbox) authenticate(vendor string, r *http.Request) (client, refusal) {
	id, secret, basic := r.BasicAuth()
	if basic {
		id, secret = unescape(id), unescape(secret)
	} else {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	c, found := s.lookup(vendor, id)
	if !found {
		return client{}, unknownClient
	}
	if c.Secret != "" && subtle.ConstantTimeCompare([]byte(digest(secret)), []byte(c.Secret)) != 1 {
		return client{}, wrongSecret
	}
	return c, accepted
}

func unescape(raw string) string {
	if plain, err := url.QueryUnescape(raw); err == nil {
		return plain
	}
	return raw
}
