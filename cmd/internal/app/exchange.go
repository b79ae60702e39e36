package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/mcp/authserver"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/assertion"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/sts"
)

// workloads are those of the config, with their secrets resolved. The sandbox has one of its own instead.
func (a *App) workloads(ctx context.Context) (map[string]sts.Workload, error) {
	if a.cfg.Sandbox {
		return a.sandboxWorkloads(), nil
	}
	out := map[string]sts.Workload{}
	for name, w := range a.cfg.Workloads {
		one := sts.Workload{
			Connections: w.Connections, Audiences: w.Audiences, Addresses: w.Addresses, SignsIn: len(w.RedirectURIs) > 0,
			Unattended: w.Unattended, AllowWider: w.AllowWider, Proxy: w.Proxy,
		}
		if w.JWKS != "" {
			one.Keys = a.keySource(w.JWKS)
		}
		if !w.ClientSecret.IsZero() {
			secret, err := w.ClientSecret.Resolve(ctx)
			if err != nil {
				return nil, &UsageError{Text: fmt.Sprintf("workloads.%s.client_secret: %v", name, err)}
			}
			one.Secret = secret
		}
		out[name] = one
	}
	return out, nil
}

func (a *App) keySource(at string) assertion.KeySource {
	if path, ok := strings.CutPrefix(at, "file:"); ok {
		return assertion.FileKeys(path)
	}
	return assertion.URLKeys(at, &http.Client{Transport: a.vendors}, time.Now)
}

// exchange is the token endpoint for workloads.
func (a *App) exchange(cfg sts.Config, v *vault.Vault, publicURL string) (*sts.Server, error) {
	cfg.Vault, cfg.Records, cfg.Connection = v, v.Records(), v.Connection
	cfg.PublicURL, cfg.CallsPerMinute, cfg.Logger = publicURL, a.cfg.Limits.CallsPerMinute, a.log
	cfg.Writes, cfg.WritesPerMinute = a.cfg.Tools.Writes, a.cfg.Limits.WritesPerMinute
	s, err := sts.New(cfg)
	if err != nil {
		return nil, &UsageError{Text: err.Error()}
	}
	return s, nil
}

// proxied serves the proxy before everything that mends paths on its way: the
// proxy takes a path as it came, or not at all.
func (a *App) proxied(v *vault.Vault, s *sts.Server, publicURL string, next http.Handler) http.Handler {
	proxy := a.hosts(v, publicURL, s.Proxy())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sts.ForProxy(r) {
			proxy.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// subjectAudiences are those that a subject token may have for one workload or another.
func subjectAudiences(all map[string]sts.Workload, publicURL string) []string {
	out := []string{publicURL + "/"}
	for _, w := range all {
		out = provider.Union(out, w.Audiences)
	}
	return out
}

// subjectVerifier proves subject tokens as mcp proves those of agents, for other audiences.
type subjectVerifier struct {
	verify func(ctx context.Context, raw string) (mcp.Bearer, error)
}

// Verify implements sts.Verifier.
func (s subjectVerifier) Verify(ctx context.Context, raw string) (sts.Subject, error) {
	b, err := s.verify(ctx, raw)
	if bad, ok := errors.AsType[*mcp.TokenError](err); ok {
		return sts.Subject{}, &sts.TokenError{Check: bad.Check}
	}
	if err != nil {
		return sts.Subject{}, err
	}
	return sts.Subject{
		Person: b.Person, ID: b.ID, Client: b.Client, Audience: b.Audience, Expires: b.Expires,
		Actors: parties(b.Actors), MayAct: parties(b.MayAct),
	}, nil
}

// parties are nil where there are none, and not where there is none among them.
func parties(from []mcp.Party) []sts.Actor {
	if from == nil {
		return nil
	}
	out := make([]sts.Actor, len(from))
	for i, p := range from {
		out[i] = sts.Actor(p)
	}
	return out
}

// presented knows the refresh tokens of the built-in authorization server.
type presented struct{ auth *authserver.Server }

// Presented implements sts.Logins.
func (p presented) Presented(ctx context.Context, client, refreshToken string) (vault.Person, error) {
	who, err := p.auth.Presented(ctx, client, refreshToken)
	if errors.Is(err, authserver.ErrUnknownToken) {
		return vault.Person{}, sts.ErrUnknownToken
	}
	return who, err
}

// agentsOnly refuses at /mcp what was issued to a workload: a client id is an MCP client or a workload, never both.
type agentsOnly struct {
	mcp.TokenVerifier
	workloads map[string]sts.Workload
}

// Verify implements mcp.TokenVerifier.
func (a agentsOnly) Verify(ctx context.Context, raw string) (mcp.Bearer, error) {
	b, err := a.TokenVerifier.Verify(ctx, raw)
	if err == nil && slices.ContainsFunc([]string{b.Client, b.Agent.ID}, func(id string) bool { _, is := a.workloads[id]; return is }) {
		return mcp.Bearer{}, &mcp.TokenError{Check: "issued to a workload"}
	}
	return b, err
}
