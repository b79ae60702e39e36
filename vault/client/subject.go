package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	typePrefix  = "urn:ietf:params:oauth:token-type:"
	typeAccess  = typePrefix + "access_token"
	typeRefresh = typePrefix + "refresh_token"
	typeJWT     = typePrefix + "jwt"
)

// Subject says on whose behalf a token is wanted, and proves it. Tokens are kept under it.
type Subject struct {
	kind  string // subject_token_type
	user  string // whom it stands for: no two people share one
	token func(context.Context, *Client) (Secret, error)
}

// AccessToken is a user by an access token that was issued to them for {public_url}/, or for an
// audience that Grantry's config lists for this application. Another token is another subject.
func AccessToken(token string) Subject { return fixed(typeAccess, token) }

// RefreshToken is a user by the refresh token that Grantry's own authorization server has
// issued to this application when they signed in. It is not spent by an exchange.
func RefreshToken(token string) Subject { return fixed(typeRefresh, token) }

func fixed(kind, token string) Subject {
	secret := NewSecret(token)
	return Subject{kind: kind, user: digest(token), token: func(context.Context, *Client) (Secret, error) { return secret, nil }}
}

// AccessTokens is AccessToken for a user whose token changes: current answers the one to present. user must
// be theirs alone among all whom this client works for, such as issuer and subject; tokens are kept under it.
func AccessTokens(user string, current func(context.Context) (Secret, error)) Subject {
	return Subject{kind: typeAccess, user: "user\x00" + user, token: func(ctx context.Context, _ *Client) (Secret, error) { return current(ctx) }}
}

// Unattended is a user who is not there: the application signs for itself, once for each exchange, that it
// works for them, and why. issuer and subject name them as Grantry knows them; why is in the user's own
// activity, on one line of at most 256 characters. It needs Config.Sign, and the connection among the workload's unattended.
func Unattended(issuer, subject, why string) Subject {
	return Subject{kind: typeJWT, user: "worker\x00" + issuer + "\x00" + subject, token: func(ctx context.Context, c *Client) (Secret, error) {
		return c.worker(ctx, issuer, subject, why)
	}}
}

// worker signs a worker's assertion: a minute, one use, this Grantry.
func (c *Client) worker(ctx context.Context, issuer, subject, why string) (Secret, error) {
	if c.cfg.Sign == nil {
		return Secret{}, errors.New("grantry: work for a user who is not there has to be signed: set Config.Sign")
	}
	now := c.cfg.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": c.cfg.ClientID, "aud": c.cfg.BaseURL + "/", "iat": now.Unix(), "exp": now.Add(assertionLife).Unix(), "jti": rand.Text(),
		"sub_id": map[string]string{"format": "iss_sub", "iss": issuer, "sub": subject}, "audit_context": why,
	})
	if err != nil {
		return Secret{}, fmt.Errorf("signing for a user: %w", err)
	}
	signed, err := c.cfg.Sign(ctx, "grantry-worker+jwt", claims)
	if err != nil {
		return Secret{}, fmt.Errorf("signing for a user: %w", err)
	}
	return NewSecret(signed), nil
}

const assertionLife = time.Minute
