package provider

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// discoveryLife is how long a discovery document is believed.
const discoveryLife = time.Hour

// resolved is all that a request to the vendor needs to know.
type resolved struct {
	Endpoints
	auth    ClientAuth
	always  []string
	sendIss bool // the vendor names itself in authorization responses (RFC 9207 §3)
}

// metadata is what is used of a discovery document (RFC 8414 §2, OpenID Connect Discovery §3).
type metadata struct {
	issuer                                           string
	authorization, token, revocation, userinfo, jwks string
	authMethods, challenges, scopes                  []string
	sendIss                                          bool
}

// discovery caches one document. The zero value is ready once lock is made.
type discovery struct {
	lock chanLock
	doc  *metadata
	at   time.Time
}

// resolve is the connection's endpoints, with discovery where it is needed.
func (c *Connection) resolve(ctx context.Context) (*resolved, error) {
	p := c.reg.Provider
	r := &resolved{Endpoints: c.ep, auth: c.auth, always: p.Scope.Always, sendIss: p.Authorize.SendsIss}
	if !p.Discover || r.Authorization != "" && r.Token != "" {
		return r, nil
	}
	m, err := c.discover(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.pin(m); err != nil {
		return nil, err
	}
	if c.reg.Auth == "" && !c.reg.ClientSecret.IsZero() {
		if r.auth = m.clientAuth(); r.auth == "" {
			return nil, c.discoveryError(DiscoveryClientAuth, "token_endpoint_auth_methods_supported", "")
		}
	}
	r.Authorization = first(r.Authorization, m.authorization)
	r.Token = first(r.Token, m.token)
	r.Revocation = first(r.Revocation, m.revocation)
	r.Userinfo = first(r.Userinfo, m.userinfo)
	r.JWKS = first(r.JWKS, m.jwks)
	r.sendIss = r.sendIss || m.sendIss
	r.always = m.offered(r.always)
	return r, nil
}

// pin checks what the document offers and that its endpoints lie on the
// issuer's host, where the configuration does not name them itself (R18, R21).
func (c *Connection) pin(m *metadata) error {
	if len(m.challenges) > 0 && !slices.Contains(m.challenges, "S256") {
		return c.discoveryError(DiscoveryNoS256, "code_challenge_methods_supported", "")
	}
	issuer, err := url.Parse(c.ep.Issuer)
	if err != nil {
		return c.discoveryError(DiscoveryIssuer, "issuer", "")
	}
	for _, f := range []struct {
		name, configured, found string
		needed                  bool
	}{
		{"authorization_endpoint", c.ep.Authorization, m.authorization, true},
		{"token_endpoint", c.ep.Token, m.token, true},
		{"revocation_endpoint", c.ep.Revocation, m.revocation, false},
		{"userinfo_endpoint", c.ep.Userinfo, m.userinfo, false},
	} {
		u, err := url.Parse(f.found)
		switch {
		case f.configured != "", f.found == "" && !f.needed:
		case f.found == "":
			return c.discoveryError(DiscoveryMissing, f.name, "")
		case err != nil || !usable(f.found, c.reg.LoopbackHTTP):
			return c.discoveryError(DiscoveryInsecure, f.name, "")
		case canonicalHost(u) != canonicalHost(issuer):
			return c.discoveryError(DiscoveryElsewhere, f.name, u.Host)
		}
	}
	return nil
}

// clientAuth is the way of client authentication that the document offers, ""
// when there is none of ours.
func (m *metadata) clientAuth() ClientAuth {
	switch {
	case len(m.authMethods) == 0, slices.Contains(m.authMethods, "client_secret_basic"):
		return AuthBasic // RFC 8414 §2: the default
	case slices.Contains(m.authMethods, "client_secret_post"):
		return AuthPost
	}
	return ""
}

// offered is always without what the document does not list.
func (m *metadata) offered(always []string) []string {
	if len(m.scopes) == 0 {
		return always
	}
	return slices.DeleteFunc(slices.Clone(always), func(s string) bool {
		return s != "openid" && !slices.Contains(m.scopes, s)
	})
}

// discover is the issuer's document, at most discoveryLife old; an older one
// is used while a new one cannot be had.
func (c *Connection) discover(ctx context.Context) (*metadata, error) {
	if err := c.found.lock.acquire(ctx); err != nil {
		return nil, c.withCause(DiscoveryUnreachable, 0, err)
	}
	defer c.found.lock.release()
	now := c.cfg.Now()
	if c.found.doc != nil && now.Sub(c.found.at) < discoveryLife {
		return c.found.doc, nil
	}
	m, err := c.fetch(ctx)
	if err != nil && c.found.doc != nil {
		c.cfg.Logger.WarnContext(ctx, "discovery failed, going on with the older document", "connection", c.reg.Name, "error", err)
		return c.found.doc, nil
	}
	if err != nil {
		return nil, err
	}
	c.found.doc, c.found.at = m, now
	return m, nil
}

func (c *Connection) fetch(ctx context.Context) (*metadata, error) {
	ctx, cancel := context.WithTimeout(ctx, min(metadataTime, c.cfg.TokenTimeout))
	defer cancel()
	at := strings.TrimSuffix(c.ep.Issuer, "/") + "/.well-known/openid-configuration"
	at = strings.ReplaceAll(at, "{tenantid}", c.reg.Tenant)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, c.discoveryError(DiscoveryIssuer, "issuer", "")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	a, err := c.do(req, metadataCap)
	switch {
	case a == nil:
		return nil, c.withCause(DiscoveryUnreachable, 0, err)
	case err != nil:
		return nil, c.withCause(DiscoveryUnreadable, a.status, err)
	case a.status != http.StatusOK:
		return nil, c.withCause(DiscoveryUnreachable, a.status, nil)
	}
	v, err := decodeJSON(a.body)
	doc, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, c.withCause(DiscoveryUnreadable, a.status, errInvalid)
	}
	m := readMetadata(doc)
	if !c.sameIssuer(m.issuer) {
		return nil, c.discoveryError(DiscoveryIssuer, "issuer", "")
	}
	return m, nil
}

// sameIssuer compares byte for byte (RFC 8414 §3.3). Microsoft's document of
// common and organizations has the literal {tenantid} where the address has the tenant.
func (c *Connection) sameIssuer(found string) bool {
	if found == c.ep.Issuer {
		return true
	}
	return strings.Contains(c.reg.Provider.Issuer, "{tenantid}") &&
		strings.Contains(found, "{tenantid}") &&
		strings.ReplaceAll(found, "{tenantid}", c.reg.Tenant) == c.ep.Issuer
}

func readMetadata(doc map[string]any) *metadata {
	s := func(name string) string { v, _ := doc[name].(string); return v }
	list := func(name string) (out []string) {
		items, _ := doc[name].([]any)
		for _, v := range items {
			if v, ok := v.(string); ok {
				out = append(out, v)
			}
		}
		return out
	}
	return &metadata{
		issuer:        s("issuer"),
		authorization: s("authorization_endpoint"),
		token:         s("token_endpoint"),
		revocation:    s("revocation_endpoint"),
		userinfo:      s("userinfo_endpoint"),
		jwks:          s("jwks_uri"),
		authMethods:   list("token_endpoint_auth_methods_supported"),
		challenges:    list("code_challenge_methods_supported"),
		scopes:        list("scopes_supported"),
		sendIss:       doc["authorization_response_iss_parameter_supported"] == true,
	}
}

func (c *Connection) discoveryError(reason DiscoveryReason, field, host string) error {
	return &DiscoveryError{Connection: c.reg.Name, Issuer: c.ep.Issuer, Reason: reason, Field: field, Host: host}
}

func (c *Connection) withCause(reason DiscoveryReason, status int, err error) error {
	return &DiscoveryError{Connection: c.reg.Name, Issuer: c.ep.Issuer, Reason: reason, Status: status, Err: err}
}

// chanLock is a lock that a context can stop waiting for. Made by NewConnection.
type chanLock chan struct{}

func (l chanLock) acquire(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return plain(ctx.Err())
	}
}

func (l chanLock) release() { <-l }
