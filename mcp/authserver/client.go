package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/assertion"
	"github.com/grantry/grantry/vault/provider"
)

const kindClient = "authserver-client"

// errUnknownClient says that nobody registered a client id.
var errUnknownClient = errors.New("no such client")

// client is an MCP client or a workload as the server knows it.
type client struct {
	ID           string    `json:"id"`
	Name         string    `json:"name,omitempty"`
	RedirectURIs []string  `json:"redirect_uris"`
	Type         string    `json:"application_type"` // "web" or "native"
	Registered   time.Time `json:"registered"`       // by itself; zero = it did not

	configured bool                // by the operator
	workload   bool                // it signs people in, and has no tokens for /mcp
	addresses  []netip.Prefix      // where it may call from; empty = anywhere
	document   string              // host of its metadata document, "" = it has none
	secret     provider.Secret     // zero and no keys = a public client
	keys       assertion.KeySource // private_key_jwt; nil = it has none
}

// clientOf finds a client by its id: in the config, at the https address that the id is, or among the registered ones.
func (s *Server) clientOf(ctx context.Context, id string) (*client, error) {
	if c, ok := s.cfg.Clients[id]; ok {
		return &client{ID: id, Name: id, RedirectURIs: c.RedirectURIs, Type: typeNative, configured: true, secret: c.Secret}, nil
	}
	if w, ok := s.cfg.Workloads[id]; ok {
		return &client{ID: id, Name: id, RedirectURIs: w.RedirectURIs, Type: typeWeb, configured: true, workload: true, secret: w.Secret, keys: w.Keys, addresses: w.Addresses}, nil
	}
	if strings.HasPrefix(id, "https://") {
		return s.documents.client(ctx, id)
	}
	return s.registered(ctx, id)
}

func (s *Server) registered(ctx context.Context, id string) (*client, error) {
	raw, err := s.cfg.Records.Get(ctx, kindClient, id)
	if errors.Is(err, vault.ErrNotFound) {
		return nil, errUnknownClient
	}
	if err != nil {
		return nil, fmt.Errorf("reading client: %w", err)
	}
	var c client
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("decoding client: %w", err)
	}
	return &c, nil
}

// keep makes a registration last: a person has authorized it.
func (s *Server) keep(ctx context.Context, c *client) error {
	if c.Registered.IsZero() {
		return nil
	}
	err := s.cfg.Records.Change(ctx, kindClient, c.ID, func(old []byte) ([]byte, time.Duration, error) {
		if old == nil {
			return nil, 0, errUnknownClient
		}
		return old, forever, nil
	})
	if err != nil {
		return fmt.Errorf("keeping client: %w", err)
	}
	return nil
}

// agent is who acts when this client does, with the address that its answers go to.
func (s *Server) agent(c *client, redirect string) vault.Agent {
	if c.workload { // one agent, whether it signs people in or exchanges their tokens
		return vault.Agent{Issuer: vault.WorkloadIssuer, ID: c.ID, Name: c.Name, Verified: true}
	}
	a := vault.Agent{Issuer: s.cfg.PublicURL, ID: c.ID, Name: c.Name, Host: shownTarget(redirect), Verified: c.configured}
	if c.document != "" {
		a.Host = c.document
	}
	return a
}

// confidential says whether a code is worth nothing to anybody else.
func (c *client) confidential() bool { return c.keys != nil || !c.secret.IsZero() }

// proven says whether an answer at that address reaches this client and nobody
// else: then a person's yes can be remembered.
func (c *client) proven(redirect string) bool {
	t, err := targetOf(redirect)
	return err == nil && t == targetWeb && c.Registered.IsZero()
}

// IsClient says whether an id is an MCP client's. Of one that is an address the form is enough: nothing is fetched.
func (s *Server) IsClient(ctx context.Context, id string) bool {
	if strings.HasPrefix(id, "https://") {
		return s.documents.fetch != nil
	}
	c, err := s.clientOf(ctx, id)
	return err == nil && !c.workload
}

// opClient is a client as op sees it, in one request. Which redirect URI may
// be used was decided before: op's own rule takes 127.0.0.1 for localhost.
type opClient struct {
	*client
	redirect string
}

// GetID is the client id.
func (c opClient) GetID() string { return c.ID }

// RedirectURIs is the one that was found good.
func (c opClient) RedirectURIs() []string { return []string{c.redirect} }

// PostLogoutRedirectURIs are none: there is no logout here.
func (c opClient) PostLogoutRedirectURIs() []string { return nil }

// ApplicationType is native, for which op takes every scheme.
func (c opClient) ApplicationType() op.ApplicationType { return op.ApplicationTypeNative }

// AuthMethod says whether the client has keys or a secret.
func (c opClient) AuthMethod() oidc.AuthMethod {
	if c.keys != nil {
		return oidc.AuthMethodPrivateKeyJWT
	}
	if c.secret.IsZero() {
		return oidc.AuthMethodNone
	}
	return oidc.AuthMethodBasic
}

// ResponseTypes is code alone.
func (c opClient) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

// GrantTypes are a code and what comes of it.
func (c opClient) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}
}

// LoginURL is not used: Authorize redirects by itself.
func (c opClient) LoginURL(string) string { return "" }

// AccessTokenType is a JWT.
func (c opClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

// IDTokenLifetime is not used: ID tokens are our own code.
func (c opClient) IDTokenLifetime() time.Duration { return 0 }

// DevMode is on, because the redirect URI was checked already.
func (c opClient) DevMode() bool { return true }

// RestrictAdditionalIdTokenScopes is not used.
func (c opClient) RestrictAdditionalIdTokenScopes() func([]string) []string { return nil }

// RestrictAdditionalAccessTokenScopes is not used.
func (c opClient) RestrictAdditionalAccessTokenScopes() func([]string) []string { return nil }

// IsScopeAllowed lets all through: Authorize chooses.
func (c opClient) IsScopeAllowed(string) bool { return true }

// IDTokenUserinfoClaimsAssertion is not used.
func (c opClient) IDTokenUserinfoClaimsAssertion() bool { return false }

// ClockSkew is not used.
func (c opClient) ClockSkew() time.Duration { return 0 }
