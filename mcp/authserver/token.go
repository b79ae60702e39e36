package authserver

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/grantry/grantry/vault"
)

// tokens is the answer of the token endpoint (RFC 6749 §5.1).
type tokens struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token,omitempty"`
	Scope   string `json:"scope"`
}

// VerifyClient proves the client of a request to the token or the revocation endpoint.
func (s *Server) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	for name, values := range r.Form {
		if len(values) > 1 && name != "resource" {
			return nil, oidc.ErrInvalidRequest().WithDescription("a parameter is there more than once")
		}
	}
	c, err := s.prove(ctx, r.Data, r.Form)
	if err != nil {
		return nil, err
	}
	return opClient{client: c}, nil
}

// CodeExchange redeems a code.
func (s *Server) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	c, err := clientIn(r.Client)
	if err != nil {
		return nil, err
	}
	audience, err := s.target(c, r.Form)
	if err != nil {
		return nil, err
	}
	id, f, err := s.redeem(ctx, r.Data.Code, r.Client.GetID(), r.Data.RedirectURI, r.Data.CodeVerifier)
	if errors.Is(err, errCode) {
		attemptOf(ctx).failed = true
		return nil, oidc.ErrInvalidGrant().WithDescription("the code is not valid, not yours, or over")
	}
	if err != nil {
		return nil, s.broken(ctx, err)
	}
	to, err := s.want(ctx, c, f, audience, nil)
	if err != nil {
		return nil, err
	}
	to.nonce = f.Nonce
	return s.respond(ctx, id, f, to)
}

// RefreshToken rotates a refresh token. One that is older than the immediate
// predecessor is in two hands: its family ends.
func (s *Server) RefreshToken(ctx context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	c, err := clientIn(r.Client)
	if err != nil {
		return nil, err
	}
	audience, err := s.target(c, r.Form)
	if err != nil {
		return nil, err
	}
	id, gen, ok := s.readRefresh(r.Data.RefreshToken)
	if !ok {
		return nil, badRefresh(ctx)
	}
	var to wanted
	f, err := s.families.rotate(ctx, id, gen, func(f family) (err error) {
		if f.Client != c.ID {
			return errForeign
		}
		to, err = s.want(ctx, c, f, audience, r.Data.Scopes)
		return err
	})
	switch refused := (*oidc.Error)(nil); {
	case errors.Is(err, errReused):
		if err := s.reused(ctx, id, f); err != nil {
			return nil, s.broken(ctx, err)
		}
		return nil, badRefresh(ctx)
	case errors.Is(err, errForeign), errors.Is(err, vault.ErrNotFound):
		return nil, badRefresh(ctx)
	case errors.As(err, &refused):
		return nil, refused
	case err != nil:
		return nil, s.broken(ctx, err)
	}
	return s.respond(ctx, id, f, to)
}

// reused ends a family whose refresh token is in two hands.
func (s *Server) reused(ctx context.Context, id string, f family) error {
	s.note(ctx, f.grant, "refresh_token_reused")
	return s.families.end(ctx, id)
}

func badRefresh(ctx context.Context) error {
	attemptOf(ctx).failed = true
	return oidc.ErrInvalidGrant().WithDescription("the refresh token is not valid, not yours, or over")
}

// respond answers with the family's tokens of now. Asked again within the replay
// window it is the same answer to the byte: nothing in it is random.
func (s *Server) respond(ctx context.Context, id string, f family, to wanted) (*op.Response, error) {
	access, err := s.accessToken(ctx, id, f, to)
	if err != nil {
		return nil, s.broken(ctx, err)
	}
	refresh, err := s.refreshToken(id, f.Gen)
	if err != nil {
		return nil, s.broken(ctx, err)
	}
	out := tokens{Access: access, Type: "Bearer", Expires: int64(accessTTL / time.Second), Refresh: refresh, Scope: joined(to.scopes)}
	if slices.Contains(to.scopes, oidc.ScopeOpenID) {
		if out.ID, err = s.idToken(ctx, f, to); err != nil {
			return nil, s.broken(ctx, err)
		}
	}
	resp := op.NewResponse(out)
	resp.Header.Set("Cache-Control", "no-store")
	return resp, nil
}

// Revocation ends the family of a token of the client's own (RFC 7009). Of a
// foreign or an unknown token nothing is said and nothing happens (R61).
func (s *Server) Revocation(ctx context.Context, r *op.ClientRequest[oidc.RevocationRequest]) (*op.Response, error) {
	id, _, ok := s.readRefresh(r.Data.Token)
	if !ok {
		if id, ok = s.familyOf(ctx, r.Data.Token); !ok {
			return op.NewResponse(nil), nil
		}
	}
	f, err := s.families.get(ctx, id)
	if errors.Is(err, vault.ErrNotFound) || err == nil && f.Client != r.Client.GetID() {
		return op.NewResponse(nil), nil
	}
	if err == nil {
		s.note(ctx, f.grant, "client")
		err = s.families.end(ctx, id)
	}
	if err != nil {
		return nil, s.broken(ctx, err)
	}
	return op.NewResponse(nil), nil
}
