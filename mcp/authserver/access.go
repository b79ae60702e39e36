package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

// claimGrant names the family that a token belongs to.
const claimGrant = "grant"

// accessClaims are RFC 9068 §2.2. Who the person is does not stand in them: a
// client learns a keyed hash that is the same for all clients of this vault.
type accessClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Client   string `json:"client_id"`
	Expires  int64  `json:"exp"`
	Issued   int64  `json:"iat"`
	ID       string `json:"jti"`
	Scope    string `json:"scope"`
	Grant    string `json:"grant"`
}

// accessToken signs the family's access token of now.
func (s *Server) accessToken(ctx context.Context, id string, f family, to wanted) (string, error) {
	key, err := s.keys.signing(ctx)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(accessClaims{
		Issuer: s.cfg.PublicURL, Subject: s.cfg.Vault.Pseudonym(f.Person.Caller), Audience: to.audience, Client: f.Client,
		Issued: f.Rotated.Unix(), Expires: f.Rotated.Add(accessTTL).Unix(),
		ID: fmt.Sprintf("%s.%d%s", id, f.Gen, strings.TrimPrefix(to.audience, s.cfg.PublicURL)), Scope: joined(to.scopes), Grant: id,
	})
	if err != nil {
		return "", err
	}
	return key.sign("at+jwt", payload)
}

// Verify answers what a good access token for {public_url}/mcp says. It is what /mcp asks.
func (s *Server) Verify(ctx context.Context, raw string) (mcp.Bearer, error) {
	return s.VerifyFor(ctx, s.resource(), raw)
}

// VerifyFor answers what a good access token for that audience says: mcp's checks
// under our own keys, and then whether the family lives. The audience is
// {public_url}/mcp, or what [Server.Application] or [Server.Accounts] answers.
func (s *Server) VerifyFor(ctx context.Context, audience, raw string) (mcp.Bearer, error) {
	v, ok := s.verifiers[audience]
	if !ok {
		return mcp.Bearer{}, &mcp.TokenError{Check: "audience"}
	}
	b, err := v.Verify(ctx, raw)
	if err != nil {
		return mcp.Bearer{}, err
	}
	f, err := s.families.get(ctx, b.Person.Subject)
	if errors.Is(err, vault.ErrNotFound) {
		return mcp.Bearer{}, &mcp.TokenError{Check: "revoked"}
	}
	b.Person, b.Agent = f.Person, f.Agent
	return b, err
}

// familyOf is the family of an access token that we signed, for whatever audience.
func (s *Server) familyOf(ctx context.Context, raw string) (id string, ok bool) {
	for _, v := range s.verifiers {
		if b, err := v.Verify(ctx, raw); err == nil {
			return b.Person.Subject, true
		}
	}
	return "", false
}
