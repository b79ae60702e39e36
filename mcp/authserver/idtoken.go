package authserver

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// idClaims are OpenID Connect Core §2. The subject is the one of access tokens.
// What a person is called stands in the token itself: there is no userinfo endpoint.
type idClaims struct {
	Issuer        string `json:"iss"`
	Subject       string `json:"sub"`
	Audience      string `json:"aud"`
	Expires       int64  `json:"exp"`
	Issued        int64  `json:"iat"`
	Nonce         string `json:"nonce,omitempty"`
	Name          string `json:"name,omitempty"`
	Email         string `json:"email,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"`
}

// idToken signs who is signed in at the family's client. It is RS256, which every
// library takes without being told; access tokens are for ourselves alone.
func (s *Server) idToken(ctx context.Context, f family, to wanted) (string, error) {
	key, err := s.idKeys.signing(ctx)
	if err != nil {
		return "", err
	}
	claims := idClaims{
		Issuer: s.cfg.PublicURL, Subject: s.cfg.Vault.Pseudonym(f.Person.Caller), Audience: f.Client,
		Issued: f.Rotated.Unix(), Expires: f.Rotated.Add(idTokenTTL).Unix(), Nonce: to.nonce,
	}
	if slices.Contains(to.scopes, oidc.ScopeProfile) {
		claims.Name = f.Person.Name
	}
	if slices.Contains(to.scopes, oidc.ScopeEmail) && f.Person.Email != "" {
		claims.Email, claims.EmailVerified = f.Person.Email, &f.Person.EmailVerified
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return key.sign("JWT", payload)
}
