package provider

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Redeem turns an authorization code into a grant: one POST. Its error is a
// *TokenError.
func (c *Connection) Redeem(ctx context.Context, r Redemption) (*Grant, error) {
	form := url.Values{
		"grant_type":   {"authorization_code"},
		"code":         {r.Code.Reveal()},
		"redirect_uri": {r.RedirectURI},
	}
	if c.reg.Provider.PKCE == PKCEAlways {
		form.Set("code_verifier", r.Verifier.Reveal())
	}
	return c.token(ctx, form, true, r.Asked)
}

// Refresh spends a refresh token: exactly one POST, on the caller's context,
// so a caller who must not lose the answer passes one that is not cancelled.
// scopes are the grant's, kept when the answer lists none; they are not sent,
// since some vendors (GitHub) refuse a change and none needs it. A Grant with
// no Refresh means: keep the old one; with no APIBase: keep the old one. Its
// error is a *TokenError.
func (c *Connection) Refresh(ctx context.Context, refresh Secret, scopes []string) (*Grant, error) {
	return c.refresh(ctx, refresh, scopes, nil)
}

// Narrow is a Refresh that asks for an access token of these scopes only (RFC
// 6749 §6). What the vendor did with that is in the grant: its Scopes, and
// whether they are Confirmed. It proves nothing; the caller compares.
func (c *Connection) Narrow(ctx context.Context, refresh Secret, scopes []string) (*Grant, error) {
	p := c.reg.Provider
	return c.refresh(ctx, refresh, scopes, url.Values{"scope": {strings.Join(p.request(nil, scopes), p.Scope.Separator)}})
}

func (c *Connection) refresh(ctx context.Context, refresh Secret, scopes []string, more url.Values) (*Grant, error) {
	form := url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {refresh.Reveal()},
	}
	for k, v := range c.reg.Provider.Token.RefreshParams {
		form.Set(k, v)
	}
	for k, v := range more {
		form[k] = v
	}
	return c.token(ctx, form, false, scopes)
}

func (c *Connection) token(ctx context.Context, form url.Values, redeemed bool, asked []string) (*Grant, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	e, err := c.resolve(ctx)
	if err != nil { // nothing was sent
		return nil, &TokenError{Connection: c.reg.Name, Class: Clean, Err: err}
	}
	a, wrote, err := c.post(ctx, e.Token, form, e.auth)
	if err != nil {
		return nil, c.unanswered(a, wrote, err)
	}
	doc, err := decodeToken(a)
	if fail := c.classify(a, doc, err); fail != nil {
		return nil, fail
	}
	if redeemed {
		asked = c.reg.Provider.request(e.always, c.wanted(asked))
	}
	g, code := c.grant(doc, redeemed, asked)
	if code != "" {
		return nil, &TokenError{Connection: c.reg.Name, Class: Ambiguous, Code: code, Status: a.status, Unread: unread(a)}
	}
	return g, nil
}

// post sends a form with client authentication, once. wrote says whether any
// of it may have left.
func (c *Connection) post(ctx context.Context, to string, form url.Values, auth ClientAuth) (a *answer, wrote bool, err error) {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// Fires before the first byte is written, after dial and TLS handshake.
		WroteHeaderField: func(string, []string) { sent.Store(true) },
		WroteRequest:     func(httptrace.WroteRequestInfo) { sent.Store(true) },
	})
	form = cloneForm(form)
	switch auth {
	case AuthPost:
		form.Set("client_id", c.reg.ClientID)
		form.Set("client_secret", c.reg.ClientSecret.Reveal())
	case AuthNone:
		form.Set("client_id", c.reg.ClientID)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, false, errInvalid
	}
	// Without GetBody net/http cannot send the form a second time, and on a
	// fresh connection it has no reason to want to.
	req.GetBody = nil
	req.Close = true
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json") // GitHub answers a form otherwise
	req.Header.Set("User-Agent", userAgent)
	if auth == AuthBasic { // RFC 6749 §2.3.1: both form-encoded
		req.SetBasicAuth(url.QueryEscape(c.reg.ClientID), url.QueryEscape(c.reg.ClientSecret.Reveal()))
	}
	a, err = c.do(req, tokenCap)
	return a, sent.Load(), err
}

func cloneForm(form url.Values) url.Values {
	out := make(url.Values, len(form)+2)
	for k, v := range form {
		out[k] = slices.Clone(v)
	}
	return out
}

// unanswered classes a POST that got no whole answer.
func (c *Connection) unanswered(a *answer, wrote bool, err error) *TokenError {
	e := &TokenError{Connection: c.reg.Name, Class: Clean, Err: err}
	if wrote {
		e.Class = Ambiguous
	}
	if a != nil {
		e.Status, e.Unread = a.status, unread(a)
	}
	return e
}

// unread is the body of a 2xx for whoever recovers a token from it by hand.
func unread(a *answer) Secret {
	if a.status < 200 || a.status >= 300 {
		return Secret{}
	}
	return NewSecret(string(a.body[:min(len(a.body), unreadCap)]))
}

// classify is what an answer proves, nil when it holds tokens (facts: refresh
// protocol, step 6). doc is nil when the body could not be read.
func (c *Connection) classify(a *answer, doc map[string]any, unreadable error) *TokenError {
	p := c.reg.Provider
	e := &TokenError{Connection: c.reg.Name, Status: a.status, RetryAfter: c.retryAfter(a.header)}
	code, failed := p.failure(doc)
	ok := a.status >= 200 && a.status < 300
	switch {
	case ok && unreadable != nil:
		e.Class, e.Err, e.Unread = Ambiguous, errInvalid, unread(a)
	case ok && !failed:
		return nil
	case a.status >= 500, a.status == http.StatusRequestTimeout, temporary(code):
		e.Class, e.Code = Ambiguous, code
	case code == "invalid_grant", slices.Contains(p.Refresh.InvalidCodes, code):
		e.Class, e.Code = Rejected, code
	default: // another OAuth error, a redirect, 429, or a 4xx of something in front
		e.Class, e.Code = Clean, code
	}
	return e
}

// temporary says whether a code is a fault of the server, after which nobody
// knows whether the token was spent.
func temporary(code string) bool {
	switch code {
	case "server_error", "temporarily_unavailable", "internal_error", "fatal_error", "service_unavailable", "request_timeout":
		return true
	}
	return false
}

// retryAfter reads Retry-After, seconds or a date (RFC 9110 §10.2.3), at most a day.
func (c *Connection) retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	var d time.Duration
	if n, err := strconv.Atoi(v); err == nil && n < int((24*time.Hour).Seconds()) {
		d = time.Duration(n) * time.Second
	} else if err == nil {
		d = 24 * time.Hour
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(c.cfg.Now())
	}
	return min(max(d, 0), 24*time.Hour)
}
