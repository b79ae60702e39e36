package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/grantry/grantry/tools/sandbox"
	"github.com/grantry/grantry/vault/provider"
)

// connections builds what the config names; under --sandbox the fake vendors instead.
func (a *App) connections(ctx context.Context) ([]*provider.Connection, error) {
	if a.cfg.Sandbox {
		return a.sandboxConnections()
	}
	var out []*provider.Connection
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(a.cfg.Connections)) {
		c, err := a.connection(ctx, name, a.cfg.Connections[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("connections.%s: %w", name, err))
			continue
		}
		out = append(out, c)
	}
	return out, errors.Join(errs...)
}

// Redirect is what to register at a connection's vendor.
type Redirect struct {
	Connection string
	URI        string // {public_url}/callback/NAME, with the vendor's name for loopback
	Refused    error  // a *provider.RedirectError: the vendor takes no such address
}

// Redirects are the redirect URIs of all connections, by name; the error is
// about a registration that no vendor could take. It reads secrets and contacts nobody.
func (a *App) Redirects(ctx context.Context) ([]Redirect, error) {
	conns, err := a.connections(ctx)
	if err != nil {
		return nil, &UsageError{Text: err.Error()}
	}
	var out []Redirect
	for _, c := range conns {
		r := Redirect{Connection: c.Name()}
		r.URI, r.Refused = c.RedirectURI(a.localURL())
		out = append(out, r)
	}
	return out, nil
}

func (a *App) connection(ctx context.Context, name string, c config.Connection) (*provider.Connection, error) {
	p, ok := a.catalog.Lookup(c.Provider)
	if !ok {
		return nil, fmt.Errorf("unknown provider %q", c.Provider)
	}
	reg := provider.Registration{
		Name: name, Provider: p, ClientID: c.ClientID, Auth: c.ClientAuth, Endpoints: c.Endpoints, Scopes: c.Scopes,
		APIHosts: c.APIHosts, BotToken: c.Token == "bot", Tenant: c.Tenant, LoopbackHTTP: a.loopback(),
	}
	if c.Issuer != "" {
		reg.Endpoints.Issuer = c.Issuer
	}
	if !c.ClientSecret.IsZero() {
		secret, err := c.ClientSecret.Resolve(ctx)
		if err != nil {
			return nil, fmt.Errorf("client_secret: %w", err)
		}
		reg.ClientSecret = secret
	}
	return provider.NewConnection(reg, a.providerConfig())
}

// providerConfig gives all connections one transport, so that calls to a vendor share its connections.
func (a *App) providerConfig() provider.Config {
	return provider.Config{HTTP: &http.Client{Transport: a.vendors}, Logger: a.log}
}

func vendorTransport() *http.Transport {
	return &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext, TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2: true, MaxIdleConns: 256, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second, ResponseHeaderTimeout: 60 * time.Second,
	}
}

// loopback says whether Grantry itself is only on this machine: then, and only then, vendors may be on plain loopback http.
func (a *App) loopback() bool {
	address := a.cfg.PublicURL
	if address == "" {
		return loopbackAddress(a.cfg.Listen)
	}
	u, err := url.Parse(address)
	return err == nil && loopbackHost(u.Hostname())
}

func loopbackAddress(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && loopbackHost(host)
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// sandboxVendors are the fakes, named as a person would name the connections.
var sandboxVendors = [...]string{"google", "salesforce", "slack"}

func (a *App) sandboxConnections() ([]*provider.Connection, error) {
	sb, err := a.sandboxValue()
	if err != nil {
		return nil, err
	}
	var out []*provider.Connection
	for _, name := range sandboxVendors {
		r, _ := sb.Vendor(name)
		p, _ := a.catalog.Lookup(name)
		c, err := provider.NewConnection(provider.Registration{
			Name: name, Provider: p, ClientID: r.ClientID, ClientSecret: provider.NewSecret(r.ClientSecret),
			Endpoints: sandboxEndpoints(r), LoopbackHTTP: true,
		}, a.providerConfig())
		if err != nil {
			return nil, fmt.Errorf("connecting the sandbox's %s: %w", name, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func sandboxEndpoints(r sandbox.Registration) provider.Endpoints {
	return provider.Endpoints{
		Issuer: r.Issuer, Authorization: r.Authorization, Token: r.Token, Revocation: r.Revocation,
		Userinfo: r.Userinfo, JWKS: r.JWKS, API: r.API,
	}
}
