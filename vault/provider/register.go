package provider

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// tokenTimeout bounds a request to a token endpoint (R27).
const tokenTimeout = 25 * time.Second

// Connection is a provider with a registration: everything that is ever said
// to a vendor's OAuth endpoints goes through its methods. It is safe for
// concurrent use.
type Connection struct {
	reg  Registration
	cfg  Config
	ep   Endpoints // after overrides; blank where discovery fills in
	auth ClientAuth
	api  *url.URL // endpoints.api, nil when not overridden
	dest []byte   // Destination

	http  *http.Client // capped, follows nothing
	found discovery
	keys  keys
}

var connectionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// NewConnection validates a registration. It sends nothing: what only a
// discovery document can show comes out at the first use. Its error is a
// *ConfigError.
func NewConnection(reg Registration, cfg Config) (*Connection, error) {
	c := &Connection{reg: reg, cfg: cfg}
	c.found.lock = make(chanLock, 1)
	c.keys.lock = make(chanLock, 1)
	if err := c.check(); err != nil {
		return nil, err
	}
	c.defaults()
	c.ep = effective(reg.Provider, c.reg)
	if reg.Endpoints.API != "" {
		c.api, _ = url.Parse(reg.Endpoints.API) // checked above
	}
	c.dest = c.digest()
	c.http = &http.Client{Transport: base(cfg.HTTP), CheckRedirect: stay}
	return c, nil
}

func (c *Connection) defaults() {
	p := c.reg.Provider
	if c.cfg.Now == nil {
		c.cfg.Now = time.Now
	}
	if c.cfg.Logger == nil {
		c.cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if c.cfg.TokenTimeout <= 0 {
		c.cfg.TokenTimeout = tokenTimeout
	}
	if c.reg.Tenant == "" {
		c.reg.Tenant = "common"
	}
	c.auth = p.Auth
	if c.reg.Auth != "" {
		c.auth = c.reg.Auth
	}
	if c.reg.ClientSecret.IsZero() {
		c.auth = AuthNone
	}
}

func (c *Connection) check() error {
	fail := func(field, reason string) error {
		return &ConfigError{Connection: c.reg.Name, Field: field, Reason: reason}
	}
	p := c.reg.Provider
	switch {
	case !connectionName.MatchString(c.reg.Name):
		return fail("name", "must be letters, digits, dots, dashes and underscores")
	case p == nil:
		return fail("provider", "is missing")
	case c.reg.ClientID == "":
		return fail("client_id", "is missing")
	case strings.ContainsAny(c.reg.Tenant, "/?#%{} "):
		return fail("tenant", "must be a tenant's name or id")
	case !slices.Contains([]ClientAuth{"", AuthPost, AuthBasic, AuthNone}, c.reg.Auth):
		return fail("client_auth", "must be post, basic or none")
	}
	if err := c.checkEndpoints(fail); err != nil {
		return err
	}
	for _, h := range c.reg.APIHosts {
		if !validHost(h) {
			return fail("api_hosts", "must be host names, with or without a port, or *.suffix")
		}
	}
	return nil
}

func (c *Connection) checkEndpoints(fail func(field, reason string) error) error {
	p, e := c.reg.Provider, c.reg.Endpoints
	named := []struct {
		field, value string
		needed       bool
	}{
		{"endpoints.issuer", e.Issuer, p.Discover && (e.Authorization == "" || e.Token == "")},
		{"endpoints.authorization", e.Authorization, p.Configured},
		{"endpoints.token", e.Token, p.Configured},
		{"endpoints.revocation", e.Revocation, false},
		{"endpoints.userinfo", e.Userinfo, p.Configured},
		{"endpoints.jwks", e.JWKS, false},
		{"endpoints.api", e.API, false},
	}
	for _, n := range named {
		switch {
		case n.value == "" && n.needed:
			return fail(n.field, "is missing")
		case n.value == "":
		case !usable(n.value, c.reg.LoopbackHTTP):
			return fail(n.field, "must be an https address without user, fragment or spaces (plain http only for loopback)")
		case (n.field == "endpoints.api" || n.field == "endpoints.issuer") && strings.Contains(n.value, "?"):
			return fail(n.field, "must have no query")
		}
	}
	return nil
}

// Name is the connection's name in the configuration.
func (c *Connection) Name() string { return c.reg.Name }

// Provider is the vendor.
func (c *Connection) Provider() *Provider { return c.reg.Provider }

// ClientID is the operator's client at the vendor.
func (c *Connection) ClientID() string { return c.reg.ClientID }

// DefaultScopes are what the configuration asks for when nothing else is.
func (c *Connection) DefaultScopes() []string { return slices.Clone(c.reg.Scopes) }

// APIHosts are the hosts that a token of this connection may be sent to:
// exact, or "*.suffix".
func (c *Connection) APIHosts() []string {
	if c.api != nil {
		return []string{c.api.Host}
	}
	return Union(c.reg.Provider.APIHosts, c.reg.APIHosts)
}

// AuthorizationHost is the host whose page the person will see, "" when
// discovery does not answer.
func (c *Connection) AuthorizationHost(ctx context.Context) string {
	e, err := c.resolve(ctx)
	if err != nil {
		return ""
	}
	u, err := url.Parse(e.Authorization)
	if err != nil {
		return ""
	}
	return u.Host
}

// Issuer is the configured issuer; where the vendor has none, the origin of
// its authorization endpoint.
func (c *Connection) Issuer() string {
	if c.ep.Issuer != "" {
		return c.ep.Issuer
	}
	return origin(c.ep.Authorization)
}

// Destination is a digest of where tokens of this connection may go: SHA-256
// over length-prefixed issuer, token, revocation and API addresses, API hosts
// and client id, as configured. A discovery document does not change it, and callers must not.
func (c *Connection) Destination() []byte { return c.dest }

func (c *Connection) digest() []byte {
	hosts := Union(c.reg.APIHosts, nil)
	fields := append([]string{
		"grantry/destination/v1", c.reg.Provider.Name, c.ep.Issuer, c.ep.Token, c.ep.Revocation, c.ep.API, c.reg.ClientID,
	}, hosts...)
	h := sha256.New()
	for _, f := range fields {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(f)))) //nolint:gosec // addresses of a few hundred bytes
		h.Write([]byte(f))
	}
	return h.Sum(nil)
}
