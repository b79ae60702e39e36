package consent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxAnswer     = 1 << 20
	issuerTimeout = 15 * time.Second
)

var errTooLarge = errors.New("answer too large")

// cappedClient talks to the issuer: answers of at most 1 MiB (go-oidc itself
// reads without a limit), 15 s, no redirects, no second attempt.
type cappedClient struct{ client *http.Client }

func newCappedClient(from *http.Client) *cappedClient {
	next := http.DefaultTransport
	if from != nil && from.Transport != nil {
		next = from.Transport
	}
	return &cappedClient{client: &http.Client{
		Transport: cappedTransport{next: next}, Timeout: issuerTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type cappedTransport struct{ next http.RoundTripper }

// RoundTrip caps the answer's body.
func (t cappedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		resp.Body = &cappedBody{ReadCloser: resp.Body, left: maxAnswer}
	}
	return resp, err
}

type cappedBody struct {
	io.ReadCloser
	left int
}

// Read fails past the cap: a cut answer must not look like a whole one.
func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// tokenAnswer is what the issuer's token endpoint answers (OpenID Connect Core §3.1.3.3).
type tokenAnswer struct {
	IDToken     string `json:"id_token"`
	AccessToken string `json:"access_token"`
	Error       string `json:"error"`
}

func (c *cappedClient) exchange(ctx context.Context, m *metadata, cfg SignInConfig, form url.Values) (t tokenAnswer, err error) {
	basic := !cfg.ClientSecret.IsZero() && (len(m.AuthMethods) == 0 || slices.Contains(m.AuthMethods, "client_secret_basic"))
	if !basic {
		form.Set("client_id", cfg.ClientID)
		if !cfg.ClientSecret.IsZero() {
			form.Set("client_secret", cfg.ClientSecret.Reveal())
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return t, fmt.Errorf("%w: building token request", errIssuerConfig)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic { // RFC 6749 §2.3.1: both parts are form-encoded first
		r.SetBasicAuth(url.QueryEscape(cfg.ClientID), url.QueryEscape(cfg.ClientSecret.Reveal()))
	}
	status, err := c.json(r, &t)
	switch {
	case err != nil:
		return t, err
	case status == http.StatusOK && t.IDToken != "":
		return t, nil
	case t.Error == "invalid_grant":
		return t, fmt.Errorf("%w: code not taken", errIdentity)
	case status >= 500:
		return t, fmt.Errorf("%w: token endpoint answered %d", errIssuerDown, status)
	}
	return t, fmt.Errorf("%w: token endpoint answered %d", errIssuerConfig, status)
}

func (c *cappedClient) userinfo(ctx context.Context, endpoint, access string) (out claims, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: building userinfo request", errIssuerConfig)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	status, err := c.json(r, &out)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%w: userinfo answered %d", errIssuerDown, status)
	}
	return out, err
}

// json sends once and decodes. Its errors never hold what was sent or received.
func (c *cappedClient) json(r *http.Request, into any) (status int, err error) {
	r.Header.Set("Accept", "application/json")
	resp, err := c.client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errIssuerDown, errWithoutBody(err))
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return 0, fmt.Errorf("%w: unreadable answer with status %d", errIssuerDown, resp.StatusCode)
	}
	return resp.StatusCode, nil
}
