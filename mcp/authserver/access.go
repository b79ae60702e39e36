package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

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
func (s *Server) accessToken(ctx context.Context, id string, f family, scopes []string) (string, error) {
	key, err := s.keys.signing(ctx)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(accessClaims{
		Issuer: s.cfg.PublicURL, Subject: s.cfg.Vault.Pseudonym(f.Person.Caller), Audience: f.Resource, Client: f.Client,
		Issued: f.Rotated.Unix(), Expires: f.Rotated.Add(accessTTL).Unix(),
		ID: fmt.Sprintf("%s.%d", id, f.Gen), Scope: joined(scopes), Grant: id,
	})
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return jws.CompactSerialize()
}

// Verify answers what a good access token says: mcp's checks under our own keys,
// and then whether the family lives. It is what /mcp asks.
func (s *Server) Verify(ctx context.Context, raw string) (mcp.Bearer, error) {
	b, err := s.verifier.Verify(ctx, raw)
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
