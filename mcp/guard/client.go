package guard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	defaultTimeout = 5 * time.Second
	defaultBytes   = 64 << 10
	headerBytes    = 16 << 10
)

var (
	// ErrAddress says that an address is none that a stranger may name: not https, with a user or a fragment, or a number in disguise.
	ErrAddress = errors.New("not an https address that may be fetched")
	// ErrNotPublic says that a name leads to an address that is not of the public internet.
	ErrNotPublic = errors.New("the address is not of the public internet")
	// ErrTooLarge says that a document is larger than it may be.
	ErrTooLarge = errors.New("the document is too large")
)

// StatusError says that a server answered with something else than the document.
// A redirect is one: it is never followed.
type StatusError struct{ Status int }

// Error names the status.
func (e *StatusError) Error() string { return fmt.Sprintf("the server answered HTTP %d", e.Status) }

// Config is what a [Client] is made of.
type Config struct {
	Timeout  time.Duration // of the whole fetch; 0 = 5 s
	MaxBytes int64         // of a document; 0 = 64 KiB
	// Exempt are addresses that may be dialled although they are not public: a
	// network of the operator's, and the loopback servers of tests.
	Exempt   []netip.Prefix
	RootCAs  *x509.CertPool // nil = the system's
	Resolver *net.Resolver  // nil = the system's
}

// Client fetches documents of strangers.
type Client struct {
	cfg  Config
	http *http.Client
}

// Document is what a server answered with 200. Its body is as it came: whoever
// asked looks at the type.
type Document struct {
	Header http.Header
	Body   []byte
}

// New makes a client.
func New(cfg Config) *Client {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultBytes
	}
	c := &Client{cfg: cfg}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // one set by the environment would dial for us
			DialContext:            (&net.Dialer{Resolver: cfg.Resolver, ControlContext: c.control}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs},
			DisableKeepAlives:      true, // each fetch looks where its name leads now
			DisableCompression:     true,
			MaxResponseHeaderBytes: headerBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// Get fetches the document at an https address. Its errors wrap [ErrAddress],
// [ErrNotPublic], [ErrTooLarge] or a *[StatusError], or say that the server could not be reached.
func (c *Client) Get(ctx context.Context, address string) (*Document, error) {
	if err := check(address); err != nil {
		return nil, fmt.Errorf("fetching document: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching document: %w", ErrAddress)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetching document: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Encoding") != "" { // nothing encoded was asked for
		return nil, fmt.Errorf("fetching document: %w", &StatusError{resp.StatusCode})
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("fetching document: %w", err)
	case int64(len(body)) > c.cfg.MaxBytes:
		return nil, fmt.Errorf("fetching document: %w", ErrTooLarge)
	}
	return &Document{Header: resp.Header, Body: body}, nil
}

// check refuses what needs no dialling to be refused.
func check(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return ErrAddress
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && numeric(u.Hostname()) {
		return ErrAddress
	}
	return nil
}

// numeric says whether some resolvers read host as an IPv4 address: 127.1,
// 2130706433, 0x7f000001, 0177.0.0.1 (the last label is a number, URL Standard §3.5).
func numeric(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(strings.ToLower(last), "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last == "" || strings.Trim(last, "0123456789") == ""
}

// control sees each address that is about to be dialled, after DNS.
func (c *Client) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return ErrNotPublic
	}
	if !Public(at.Addr()) && !within(at.Addr().Unmap(), c.cfg.Exempt) {
		return ErrNotPublic
	}
	return nil
}
