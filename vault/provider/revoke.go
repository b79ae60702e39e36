package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// CanRevoke says whether Revoke will ask the vendor; otherwise a grant is only
// dropped here, and the person must take it back at the vendor.
func (c *Connection) CanRevoke(ctx context.Context) bool {
	e, err := c.resolve(ctx)
	return err == nil && c.reg.Provider.Revoke.Style != RevokeNone && e.Revocation != ""
}

// SharesGrants says whether Revoke on one of two connections ends the grant of the same account on the other, too.
func (c *Connection) SharesGrants(o *Connection) bool {
	return c.reg.Provider.Name == o.reg.Provider.Name && c.reg.Provider.Revoke.Radius == "project" && project(c.reg.ClientID) == project(o.reg.ClientID)
}

// project is what a client id says of the project that it belongs to: Google's begin
// with its number ("1234-abc.apps.googleusercontent.com"); anywhere else each client is one of its own.
func project(clientID string) string {
	if number, _, ok := strings.Cut(clientID, "-"); ok && strings.HasSuffix(clientID, ".apps.googleusercontent.com") {
		return number
	}
	return clientID
}

// Revoke takes a grant back at the vendor, in the shape and with the reach of
// the provider's RevokeRules: one request a token, no redirect followed (R25). It is nil
// where CanRevoke is false, and where the vendor says that the token was dead
// already. Its error is a *RevokeError or a *DiscoveryError.
func (c *Connection) Revoke(ctx context.Context, access, refresh Secret) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	e, err := c.resolve(ctx)
	if err != nil {
		return err
	}
	token := refresh
	if token.IsZero() {
		token = access
	}
	if e.Revocation == "" || token.IsZero() {
		return nil
	}
	var a *answer
	switch c.reg.Provider.Revoke.Style {
	case RevokeRFC7009:
		a, err = c.revokeToken(ctx, e, token, !refresh.IsZero())
	case RevokeToken: // Google: the token is proof enough
		a, _, err = c.post(ctx, e.Revocation, url.Values{"token": {token.Reveal()}}, "")
	case RevokeBoxStyle:
		a, _, err = c.post(ctx, e.Revocation, url.Values{"token": {token.Reveal()}}, AuthPost)
	case RevokeBearer: // Slack ends the one token that is presented: both have to go
		if !refresh.IsZero() && !access.IsZero() {
			if err := c.revoked(c.revokeBearer(ctx, e, access)); err != nil {
				return err
			}
		}
		a, err = c.revokeBearer(ctx, e, token)
	case RevokeGitHub:
		a, err = c.revokeGitHub(ctx, e, access)
	default:
		return nil
	}
	return c.revoked(a, err)
}

// revokeToken is RFC 7009 §2.1.
func (c *Connection) revokeToken(ctx context.Context, e *resolved, token Secret, refresh bool) (*answer, error) {
	hint := "access_token"
	if refresh {
		hint = "refresh_token"
	}
	form := url.Values{"token": {token.Reveal()}, "token_type_hint": {hint}}
	a, _, err := c.post(ctx, e.Revocation, form, e.auth)
	return a, err
}

func (c *Connection) revokeBearer(ctx context.Context, e *resolved, access Secret) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.Revocation, nil)
	if err != nil {
		return nil, errInvalid
	}
	req.Header.Set("Authorization", "Bearer "+access.Reveal())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	return c.do(req, tokenCap)
}

// revokeGitHub deletes the grant: all tokens of this user and app.
func (c *Connection) revokeGitHub(ctx context.Context, e *resolved, access Secret) (*answer, error) {
	body, err := json.Marshal(map[string]string{"access_token": access.Reveal()})
	if err != nil {
		return nil, errInvalid
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, e.Revocation, bytes.NewReader(body))
	if err != nil {
		return nil, errInvalid
	}
	req.GetBody = nil
	req.SetBasicAuth(c.reg.ClientID, c.reg.ClientSecret.Reveal())
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	return c.do(req, tokenCap)
}

// revoked judges the answer. A token that the vendor calls invalid is gone,
// which is what was wanted (RFC 7009 §2.2).
func (c *Connection) revoked(a *answer, err error) error {
	fail := &RevokeError{Connection: c.reg.Name, Err: err}
	if a != nil {
		fail.Status, fail.RetryAfter = a.status, c.retryAfter(a.header)
	}
	if err != nil {
		return fail
	}
	doc, _ := decodeJSON(a.body)
	m, _ := doc.(map[string]any)
	code, failed := c.reg.Provider.failure(m)
	switch {
	case code == "invalid_token", slices.Contains(c.reg.Provider.Errors.DeadCodes, code):
		return nil
	case a.status < 200 || a.status > 299, failed:
		return fail
	}
	return nil
}

const userAgent = "grantry"
