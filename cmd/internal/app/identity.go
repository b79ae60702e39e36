package app

import (
	"context"
	"fmt"
	"time"

	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault/provider"
)

// issuer is where people sign in, with the secret resolved: identity.issuer or one of identity.also, whose
// tokens agents bring, or identity.upstream of the built-in authorization server; under --sandbox, the sandbox's own.
type issuer struct {
	upstream         bool
	issuer, clientID string
	secret           provider.Secret
	audiences        []string
	subject, agent   []string
	claims           []string // that a connection's rule names
	maxAge           time.Duration
	loopback         bool
}

// issuer is nil on a vault of one person.
func (a *App) issuer(ctx context.Context) (*issuer, error) {
	id := a.cfg.Identity
	key, up := "identity", id.Issuer == "" && !a.cfg.Sandbox
	if up {
		id.Issuer, id.ClientID, id.ClientSecret, key = id.Upstream.Issuer, id.Upstream.ClientID, id.Upstream.ClientSecret, "identity.upstream"
		if id.Issuer == "" {
			return nil, nil
		}
	}
	out := &issuer{
		upstream: up, issuer: id.Issuer, clientID: id.ClientID, audiences: id.Audiences, subject: id.SubjectClaims,
		agent: id.AgentClaims, claims: ruleClaims(a.cfg), maxAge: id.MaxAge, loopback: a.loopback(),
	}
	if a.cfg.Sandbox {
		r := a.sandbox.value.Issuer()
		out.issuer, out.clientID, out.secret = r.Issuer, r.ClientID, provider.NewSecret(r.ClientSecret)
		return out, nil
	}
	return out, out.resolve(ctx, key, id.ClientSecret)
}

// also are the further issuers whose access tokens are taken. Nobody signs in there.
func (a *App) also(ctx context.Context) (out []*issuer, err error) {
	if a.cfg.Sandbox {
		return nil, nil
	}
	id := a.cfg.Identity
	for n, other := range id.Also {
		i := &issuer{
			issuer: other.Issuer, clientID: other.ClientID, audiences: other.Audiences, subject: id.SubjectClaims,
			agent: id.AgentClaims, loopback: a.loopback(),
		}
		if err := i.resolve(ctx, fmt.Sprintf("identity.also[%d]", n), other.ClientSecret); err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, nil
}

func (i *issuer) resolve(ctx context.Context, path string, ref config.SecretRef) (err error) {
	if ref.IsZero() {
		return nil
	}
	if i.secret, err = ref.Resolve(ctx); err != nil {
		return &UsageError{Text: fmt.Sprintf("%s.client_secret: %v", path, err)}
	}
	return nil
}

// verifier proves access tokens for one of these audiences.
func (i *issuer) verifier(audiences []string) (*mcp.Verifier, error) {
	v := mcp.VerifierConfig{
		Issuer: i.issuer, Audiences: audiences, ClientID: i.clientID, ClientSecret: i.secret,
		SubjectClaims: i.subject, AgentClaims: i.agent, LoopbackHTTP: i.loopback,
	}
	if i.clientID != "" {
		v.OIDCClientIDs = []string{i.clientID}
	}
	return mcp.NewVerifier(v)
}

// verifiers proves the access tokens of issuers, each for the audiences that are its own.
func verifiers(of []*issuer, audiences func(*issuer) []string) (all mcp.Issuers, err error) {
	for _, i := range of {
		v, err := i.verifier(audiences(i))
		if err != nil {
			return nil, &UsageError{Text: fmt.Sprintf("identity: %v", err)}
		}
		all = append(all, v)
	}
	return all, nil
}

func (i *issuer) signIn() *consent.SignInConfig {
	return &consent.SignInConfig{
		Issuer: i.issuer, ClientID: i.clientID, ClientSecret: i.secret, SubjectClaims: i.subject, Claims: i.claims, MaxAge: i.maxAge, LoopbackHTTP: i.loopback,
	}
}
