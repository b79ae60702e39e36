package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	grantType     = "urn:ietf:params:oauth:grant-type:token-exchange"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	tokenPath     = "/oauth/token"

	within = 60 * time.Second // of one exchange: it may refresh at the vendor
)

// Config says where Grantry is and who the application is there. BaseURL, ClientID and one of Secret and Sign are required.
type Config struct {
	BaseURL  string // Grantry's public_url: https, or http on loopback
	ClientID string // the workload's name in Grantry's config
	// Secret answers the workload's client_secret. It is asked for each exchange, so that a new one counts at once.
	Secret func(context.Context) (Secret, error)
	// Sign proves the application by private_key_jwt (RFC 7523) in place of a secret, and signs for users who are not there.
	Sign Sign
	// HTTP sends the exchanges; nil = a client of its own. Whatever it says of redirects, none is followed.
	HTTP *http.Client
	Now  func() time.Time // nil = time.Now
}

// Client asks one Grantry for tokens, as one application. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client

	mu      sync.Mutex
	kept    map[key]*Token
	flights map[flightKey]*flight
}

// New checks cfg; it sends nothing.
func New(cfg Config) (*Client, error) {
	base, err := parseBase(cfg.BaseURL)
	switch {
	case err != nil:
		return nil, err
	case cfg.ClientID == "":
		return nil, errors.New("grantry: Config.ClientID is missing: the name of a workload in Grantry's config")
	case (cfg.Secret == nil) == (cfg.Sign == nil):
		return nil, errors.New("grantry: Config needs Secret or Sign, and not both")
	}
	cfg.BaseURL = base
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &http.Client{}
	if cfg.HTTP != nil {
		*h = *cfg.HTTP
	}
	h.Jar = nil
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the form holds secrets
	return &Client{cfg: cfg, http: h, kept: map[key]*Token{}, flights: map[flightKey]*flight{}}, nil
}

// parseBase refuses an address to which no secret may be sent.
func parseBase(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.TrimSuffix(u.Path, "/") != "" {
		return "", errors.New("grantry: Config.BaseURL must be Grantry's public_url, such as https://grantry.example.com")
	}
	if !safe(u) {
		return "", errors.New("grantry: Config.BaseURL must be https, or http on loopback")
	}
	return u.Scheme + "://" + u.Host, nil
}

// safe says whether a secret may travel there: over TLS, or without leaving this machine.
func safe(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// Format says who the client is and where, for every verb, and nothing of what it keeps.
func (c *Client) Format(w fmt.State, _ rune) {
	_, _ = fmt.Fprintf(w, "client %s of %s", c.cfg.ClientID, c.cfg.BaseURL)
}

// TokenSource answers tokens of one user at one connection, as Grantry's config calls it. It sends
// nothing yet, is cheap to make, and shares what it keeps with other sources of this client for the same.
func (c *Client) TokenSource(s Subject, connection string, o Options) *Source {
	return &Source{client: c, subject: s, connection: connection, options: o}
}

// prove adds the application's own proof to a form or its request (RFC 6749 §2.3.1, RFC 7523 §2.2).
func (c *Client) prove(ctx context.Context, form url.Values, header http.Header) error {
	if c.cfg.Sign == nil {
		secret, err := c.cfg.Secret(ctx)
		if err != nil {
			return fmt.Errorf("reading the client secret: %w", err)
		}
		r := http.Request{Header: header}
		r.SetBasicAuth(url.QueryEscape(c.cfg.ClientID), url.QueryEscape(secret.Reveal()))
		return nil
	}
	now := c.cfg.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": c.cfg.ClientID, "sub": c.cfg.ClientID, "aud": c.cfg.BaseURL + tokenPath,
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(), "jti": rand.Text(),
	})
	if err != nil {
		return fmt.Errorf("signing for the application: %w", err)
	}
	signed, err := c.cfg.Sign(ctx, "JWT", claims)
	if err != nil {
		return fmt.Errorf("signing for the application: %w", err)
	}
	form.Set("client_id", c.cfg.ClientID)
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", signed)
	return nil
}

// digest stands for a text where the text itself should not lie around.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
