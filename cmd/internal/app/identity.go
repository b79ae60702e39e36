package app

import (
	"context"
	"fmt"
	"time"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault/provider"
)

// issuer is identity.issuer with the secret resolved; under --sandbox, the sandbox's own.
type issuer struct {
	issuer, clientID string
	secret           provider.Secret
	audiences        []string
	subject, agent   []string
	maxAge           time.Duration
	loopback         bool
}

func (a *App) issuer(ctx context.Context) (*issuer, error) {
	id := a.cfg.Identity
	out := &issuer{
		issuer: id.Issuer, clientID: id.ClientID, audiences: id.Audiences, subject: id.SubjectClaims,
		agent: id.AgentClaims, maxAge: id.MaxAge, loopback: a.loopback(),
	}
	if a.cfg.Sandbox {
		r := a.sandbox.value.Issuer()
		out.issuer, out.clientID, out.secret = r.Issuer, r.ClientID, provider.NewSecret(r.ClientSecret)
		return out, nil
	}
	if !id.ClientSecret.IsZero() {
		s, err := id.ClientSecret.Resolve(ctx)
		if err != nil {
			return nil, &UsageError{Text: fmt.Sprintf("identity.client_secret: %v", err)}
		}
		out.secret = s
	}
	return out, nil
}

// verifier proves the access tokens of MCP clients: their audience is {public_url}/mcp, or one that the config lists.
func (i *issuer) verifier(publicURL string) (*mcp.Verifier, error) {
	return mcp.NewVerifier(mcp.VerifierConfig{
		Issuer: i.issuer, Audiences: append([]string{publicURL + "/mcp"}, i.audiences...), OIDCClientIDs: []string{i.clientID},
		SubjectClaims: i.subject, AgentClaims: i.agent, LoopbackHTTP: i.loopback,
	})
}

func (i *issuer) signIn() *consent.SignInConfig {
	return &consent.SignInConfig{
		Issuer: i.issuer, ClientID: i.clientID, ClientSecret: i.secret, SubjectClaims: i.subject, MaxAge: i.maxAge, LoopbackHTTP: i.loopback,
	}
}
