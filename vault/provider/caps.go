package provider

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// Caps on answers, counted after decompression (facts: default numbers).
const (
	tokenCap     = 1 << 20
	unreadCap    = 64 << 10 // of a token answer that could not be read
	metadataCap  = 256 << 10
	jwksCap      = 512 << 10
	apiCap       = 8 << 20
	peekCap      = 64 << 10
	metadataTime = 10 * time.Second
	connectTime  = 5 * time.Second
)

// base is the transport that connections use: the caller's, else one with
// bounded connects. Proxies of the environment are honoured, and never for
// loopback (net/http/httpproxy).
func base(client *http.Client) http.RoundTripper {
	if client != nil && client.Transport != nil {
		return client.Transport
	}
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.DialContext = (&net.Dialer{Timeout: connectTime, KeepAlive: 30 * time.Second}).DialContext
	t.TLSHandshakeTimeout = connectTime
	t.DisableKeepAlives = true // a few calls an hour; a stale connection would make a refresh ambiguous
	return t
}

// stay follows no redirect (R25).
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// capped is a RoundTripper whose answers end with ErrTooLarge after max bytes,
// for libraries that read without a limit of their own (go-oidc).
type capped struct {
	base http.RoundTripper
	max  int64
}

// RoundTrip is base's, with the body capped.
func (c capped) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.base.RoundTrip(req)
	if err != nil {
		return nil, plain(err)
	}
	resp.Body = capBody(resp.Body, c.max)
	return resp, nil
}

// capBody ends body with ErrTooLarge after limit bytes.
func capBody(body io.ReadCloser, limit int64) io.ReadCloser {
	return &limited{ReadCloser: body, left: limit}
}

type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return n + int(l.left), ErrTooLarge
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = plain(err)
	}
	return n, err
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends req once and reads the whole answer, up to limit bytes. An answer
// whose body could not be read comes back with the error.
func (c *Connection) do(req *http.Request, limit int64) (*answer, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, plain(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(capBody(resp.Body, limit))
	a := &answer{status: resp.StatusCode, header: resp.Header, body: body}
	if err != nil {
		return a, plain(err)
	}
	return a, nil
}

// bounded is ctx with the token endpoint's time limit.
func (c *Connection) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.cfg.TokenTimeout)
}
