package provider

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// leeway is the clock difference that an id_token's exp may have.
const leeway = 60 * time.Second

// keys are the issuer's public keys, kept between id_tokens.
type keys struct {
	lock chanLock
	at   string
	set  *oidc.RemoteKeySet
}

// algorithms are the signatures that are taken: asymmetric ones only.
func algorithms() []string {
	return []string{
		oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512,
		oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
	}
}

// SameAccount checks the id_token of a refresh (OpenID Connect Core §12.2): signed
// by the issuer, for this client, and of the account that the grant is of, as
// Identity.ID names it. Its age and its nonce are not held: some vendors repeat the
// first one, whose nonce nobody keeps. The error is an *IdentityError or a
// *DiscoveryError; the latter, and an Unproven one, say nothing about the token.
func (c *Connection) SameAccount(ctx context.Context, raw Secret, account string) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	e, err := c.resolve(ctx)
	if err != nil {
		return err
	}
	claims, err := c.verify(ctx, e, raw, nil)
	if err != nil {
		return err
	}
	id, err := c.identity(claims)
	if err == nil && id.ID != account {
		err = c.unknown(IdentitySubject, 0, nil)
	}
	return err
}

// verify checks an id_token (OpenID Connect Core §3.1.3.7) and answers its claims.
// nonce is the authorization request's, nil for an id_token of a refresh.
func (c *Connection) verify(ctx context.Context, e *resolved, raw Secret, nonce *string) (map[string]any, error) {
	issuer, jwks := e.Issuer, e.JWKS
	if jwks == "" {
		m, err := c.discover(ctx)
		if err != nil {
			return nil, err
		}
		issuer, jwks = m.issuer, m.jwks
	}
	if !usable(jwks, c.reg.LoopbackHTTP) {
		return nil, c.discoveryError(DiscoveryInsecure, "jwks_uri", "")
	}
	set, err := c.keySet(ctx, jwks)
	if err != nil {
		return nil, c.unknown(IdentityKeys, 0, err)
	}
	templated := strings.Contains(issuer, "{tenantid}")
	token, err := oidc.NewVerifier(issuer, set, &oidc.Config{
		ClientID:             c.reg.ClientID,
		SupportedSigningAlgs: algorithms(),
		SkipIssuerCheck:      templated,
		SkipExpiryCheck:      nonce == nil,
		Now:                  func() time.Time { return c.cfg.Now().Add(-leeway) },
	}).Verify(ctx, raw.Reveal())
	if err != nil {
		return nil, c.unknown(idTokenReason(err), 0, nil)
	}
	return c.claims(token, issuer, templated, nonce)
}

// claims checks what go-oidc leaves to its caller.
func (c *Connection) claims(token *oidc.IDToken, issuer string, templated bool, nonce *string) (map[string]any, error) {
	var raw rawClaims
	if err := token.Claims(&raw); err != nil {
		return nil, c.unknown(IdentityToken, 0, nil)
	}
	doc, err := decodeJSON(raw)
	claims, ok := doc.(map[string]any)
	if err != nil || !ok {
		return nil, c.unknown(IdentityToken, 0, nil)
	}
	tid, _ := claims["tid"].(string)
	switch {
	// Microsoft: the issuer holds the tenant of the person, and tid names it.
	case templated && (!tenantID.MatchString(tid) || token.Issuer != strings.ReplaceAll(issuer, "{tenantid}", tid)):
		return nil, c.unknown(IdentityIssuer, 0, nil)
	case nonce != nil && token.Nonce != *nonce:
		return nil, c.unknown(IdentityNonce, 0, nil)
	case len(token.Audience) > 1 && claims["azp"] != c.reg.ClientID:
		return nil, c.unknown(IdentityToken, 0, nil)
	}
	return claims, nil
}

// rawClaims takes the claims as they are.
type rawClaims []byte

// UnmarshalJSON keeps the bytes.
func (r *rawClaims) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}

// idTokenReason tells go-oidc's errors apart; their text quotes what came.
func idTokenReason(err error) IdentityReason {
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return IdentityExpired
	case strings.Contains(err.Error(), "fetching keys"):
		return IdentityKeys
	case strings.Contains(err.Error(), "issued by a different provider"):
		return IdentityIssuer
	}
	return IdentityToken
}

// keySet is the cached key set at an address.
func (c *Connection) keySet(ctx context.Context, at string) (*oidc.RemoteKeySet, error) {
	if err := c.keys.lock.acquire(ctx); err != nil {
		return nil, err
	}
	defer c.keys.lock.release()
	if c.keys.set == nil || c.keys.at != at {
		// go-oidc reads without a limit and keeps the client beyond this call.
		client := &http.Client{
			Transport: capped{base: c.http.Transport, max: jwksCap}, CheckRedirect: stay, Timeout: metadataTime,
		}
		c.keys.set = oidc.NewRemoteKeySet(oidc.ClientContext(context.WithoutCancel(ctx), client), at)
		c.keys.at = at
	}
	return c.keys.set, nil
}
