package authserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/assertion"
	"github.com/grantry/grantry/vault/provider"
)

// attempt is one request to the token or the revocation endpoint: op hands on
// no address, and takes no word of how it went.
type attempt struct {
	peer   string
	failed bool // the client, or what it brought, did not prove itself
}

type attemptKey struct{}

func withAttempt(ctx context.Context, a *attempt) context.Context {
	return context.WithValue(ctx, attemptKey{}, a)
}

// attemptOf is never nil: without one, nobody looks at what is written to it.
func attemptOf(ctx context.Context) *attempt {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		return a
	}
	return &attempt{}
}

// prove proves who sends a request to the token or the revocation endpoint: by its
// secret, by a signed assertion, or, for a public client, by what only it has.
func (s *Server) prove(ctx context.Context, cc *op.ClientCredentials, form url.Values) (*client, error) {
	id := cc.ClientID
	if cc.ClientAssertion != "" {
		said := assertion.Unproved(cc.ClientAssertion)
		if said == "" || id != "" && id != said {
			return nil, refusedClient(ctx, "the client assertion is not this client's")
		}
		id = said
	}
	c, err := s.clientAtToken(ctx, id, form)
	switch {
	case errors.Is(err, errUnknownClient):
		return nil, refusedClient(ctx, "unknown client")
	case errors.Is(err, errDocument):
		s.cfg.Logger.WarnContext(ctx, "the metadata document of a client cannot be used", "client", id, "error", err)
		return nil, op.NewStatusError(&oidc.Error{ErrorType: "temporarily_unavailable", Description: "the client's metadata document cannot be used now"}, http.StatusServiceUnavailable)
	case err != nil:
		return nil, s.broken(ctx, err)
	case !c.mayCallFrom(attemptOf(ctx).peer):
		return nil, refusedClient(ctx, "this workload may not call from here (addresses)")
	}
	if c.keys != nil {
		return c, s.checkAssertion(ctx, c, cc)
	}
	if cc.ClientAssertion != "" || !c.secret.Equal(provider.NewSecret(cc.ClientSecret)) {
		return nil, refusedClient(ctx, "client authentication failed")
	}
	return c, nil
}

// clientAtToken finds the client of a request. A metadata document is looked at
// only where the code or the token that came with the request was given to that
// client as one with keys: anybody could make us fetch otherwise, and it could add nothing.
func (s *Server) clientAtToken(ctx context.Context, id string, form url.Values) (*client, error) {
	if !s.byDocument(id) {
		return s.clientOf(ctx, id)
	}
	g, err := s.grantOf(ctx, form)
	if err != nil {
		return nil, err
	}
	if g.Client != id || !g.Proves {
		return &client{ID: id}, nil
	}
	c, err := s.documents.client(ctx, id)
	if err == nil && c.keys == nil {
		return nil, fmt.Errorf("%w: it names no keys any more", errDocument)
	}
	return c, err
}

// grantOf is the grant that a code or a token in the form is of; zero where there is none.
func (s *Server) grantOf(ctx context.Context, form url.Values) (g grant, err error) {
	for _, name := range []string{"refresh_token", "token"} {
		id, _, ok := s.readRefresh(form.Get(name))
		if !ok && name == "token" {
			id, ok = s.familyOf(ctx, form.Get(name))
		}
		if !ok {
			continue
		}
		f, err := s.families.look(ctx, id)
		if err != nil && !errors.Is(err, vault.ErrNotFound) {
			return g, err
		}
		return f.grant, nil
	}
	if handle := form.Get("code"); handle != "" {
		c, err := s.code(ctx, handle)
		if err != nil && !errors.Is(err, errCode) {
			return g, err
		}
		return c.grant, nil
	}
	return g, nil
}

func (c *client) mayCallFrom(peer string) bool {
	if len(c.addresses) == 0 {
		return true
	}
	at, err := netip.ParseAddrPort(peer)
	return err == nil && slices.ContainsFunc(c.addresses, func(p netip.Prefix) bool { return p.Contains(at.Addr().Unmap()) })
}

// byDocument says whether a client id is the address of a metadata document.
func (s *Server) byDocument(id string) bool {
	_, client := s.cfg.Clients[id]
	_, workload := s.cfg.Workloads[id]
	return !client && !workload && strings.HasPrefix(id, "https://")
}

func refusedClient(ctx context.Context, why string) error {
	attemptOf(ctx).failed = true
	return op.NewStatusError(oidc.ErrInvalidClient().WithDescription("%s", why), http.StatusUnauthorized)
}
