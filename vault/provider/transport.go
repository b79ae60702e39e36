package provider

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"sync"
)

// maxRedirects is how many hops of one API call are followed.
const maxRedirects = 5

// Transport sends requests with a bearer's token, and only where it may go:
//
//   - to the connection's API hosts, after endpoints.api or the token answer's
//     base has been put in their place; elsewhere it is a *HostError;
//   - a redirect may lead to an API host or to one of the catalog's download
//     hosts, and carries the token only while it stays on the same origin;
//   - what the caller set as Authorization or Cookie is taken out.
//
// When the API says that the token is dead, Renew is asked once and the request
// sent again if its body can be had again; otherwise the caller gets the answer.
// An answer that says "scope missing" becomes a *ScopeError. Answers end with
// ErrTooLarge after MaxBody bytes. resp.Request is the caller's own request, so
// no token can be read from it, and Set-Cookie is dropped.
type Transport struct {
	Base      http.RoundTripper // nil = http.DefaultTransport
	Bearer    Bearer
	Renew     Renew  // nil = never
	MaxBody   int64  // bytes after decompression, 0 = 8 MiB
	UserAgent string // where the caller sets none; "" = "grantry"

	mu      sync.Mutex
	renewed *Bearer // newer than Bearer
}

// RoundTrip sends one request, at most twice.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	b := t.current()
	out, route, err := t.prepare(req, b)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := t.send(out)
	if err != nil {
		return nil, err
	}
	if !route.token {
		return t.finish(resp, req), nil
	}
	v := b.Connection.judge(resp)
	if v.dead && t.Renew != nil {
		if resp, v, err = t.again(req, out, resp, b); err != nil {
			return nil, err
		}
	}
	if v.scope != nil {
		_ = resp.Body.Close()
		return nil, v.scope
	}
	return t.finish(resp, req), nil
}

// again asks for a newer token and sends the request once more; where that
// cannot be, it answers the first response.
func (t *Transport) again(req, sent *http.Request, first *http.Response, stale Bearer) (*http.Response, verdict, error) {
	keep, err := io.ReadAll(io.LimitReader(first.Body, peekCap))
	_ = first.Body.Close()
	if err != nil {
		keep = nil
	}
	first.Body = io.NopCloser(bytes.NewReader(keep))
	b, err := t.Renew(req.Context(), stale)
	if err != nil {
		return nil, verdict{}, err
	}
	t.mu.Lock()
	t.renewed = &b
	t.mu.Unlock()
	if sent.Body != nil && sent.Body != http.NoBody && sent.GetBody == nil {
		return first, verdict{}, nil
	}
	retry := req.Clone(req.Context())
	if retry.Body = nil; sent.GetBody != nil {
		if retry.Body, err = sent.GetBody(); err != nil {
			return first, verdict{}, nil
		}
	}
	retry.GetBody, retry.ContentLength, retry.Response = sent.GetBody, sent.ContentLength, req.Response
	out, _, err := t.prepare(retry, b)
	if err != nil {
		return nil, verdict{}, err
	}
	resp, err := t.send(out)
	if err != nil {
		return nil, verdict{}, err
	}
	return resp, b.Connection.judge(resp), nil
}

// CheckRedirect is for http.Client: it follows at most five redirects, to API
// and download hosts only, and takes a body nowhere but to the same origin.
func (t *Transport) CheckRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return ErrTooManyRedirects
	}
	_, err := t.route(req, t.current())
	return err
}

func (t *Transport) current() Bearer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.renewed != nil {
		return *t.renewed
	}
	return t.Bearer
}

// route is where a request goes, and whether with the token.
type route struct {
	to    *url.URL
	token bool
}

func (t *Transport) route(req *http.Request, b Bearer) (route, error) {
	c := b.Connection
	redirected := req.Response != nil
	if c == nil {
		return route{}, &HostError{Host: req.URL.Host, Redirect: redirected}
	}
	refused := &HostError{Connection: c.Name(), Host: req.URL.Host, Redirect: redirected}
	to, api := c.target(req.URL, b.APIBase)
	if !redirected {
		if !api {
			return route{}, refused
		}
		return route{to: to, token: true}, nil
	}
	same := api && t.stayed(req, b, to)
	switch {
	case same:
		return route{to: to, token: true}, nil
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		return route{}, refused
	case api:
		return route{to: to}, nil
	case req.URL.Scheme == "https" && hostIn(req.URL, c.Provider().DownloadHosts):
		return route{to: req.URL}, nil
	}
	return route{}, refused
}

// stayed says whether every request that led to this redirect went to its origin.
func (t *Transport) stayed(req *http.Request, b Bearer, to *url.URL) bool {
	for r := req; r.Response != nil; r = r.Response.Request {
		if r.Response.Request == nil {
			return false
		}
		from, api := b.Connection.target(r.Response.Request.URL, b.APIBase)
		if !api || !sameOrigin(from, to) {
			return false
		}
	}
	return true
}

// target is where an API request really goes: to endpoints.api, else to the
// base that the token answer named, else where it says. api is false when
// that is no place for the token.
func (c *Connection) target(u *url.URL, named string) (to *url.URL, api bool) {
	p := c.reg.Provider
	if u.User != nil || u.Opaque != "" || u.Host == "" {
		return nil, false
	}
	if c.api != nil {
		switch {
		case sameOrigin(u, c.api):
			return u, true
		case u.Scheme == "https" && (hostIn(u, p.APIHosts) || hostIn(u, c.reg.APIHosts)):
			return rebase(u, c.api), true
		}
		return nil, false
	}
	if !c.trusted(u) {
		return nil, false
	}
	if p.Token.APIBase == "" || named == "" {
		return u, true
	}
	// Salesforce: one instance is the only place for this token.
	base, err := url.Parse(named)
	if err != nil || !c.trusted(base) {
		return nil, false
	}
	if standin, err := url.Parse(p.Endpoints.API); err == nil && sameOrigin(u, standin) {
		return rebase(u, base), true
	}
	return u, sameOrigin(u, base)
}

// prepare is req as it goes out.
func (t *Transport) prepare(req *http.Request, b Bearer) (*http.Request, route, error) {
	r, err := t.route(req, b)
	if err != nil {
		return nil, r, err
	}
	out := req.Clone(req.Context())
	out.URL = r.to
	out.Host = ""
	for _, h := range []string{"Authorization", "Cookie", "Proxy-Authorization", "Accept-Encoding"} {
		out.Header.Del(h) // without Accept-Encoding net/http unpacks, and the cap counts what comes out
	}
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", first(t.UserAgent, userAgent))
	}
	if !r.token {
		out.Header.Del("Referer")
		return out, r, nil
	}
	if b.Connection.Provider().FormToken {
		if err := dropFormToken(out); err != nil {
			return nil, r, err
		}
	}
	out.Header.Set("Authorization", "Bearer "+b.Token.Reveal())
	return out, r, nil
}

// dropFormToken takes the field "token" out of a form. Slack's Go client puts
// an empty one into each, and Slack would look at it instead of the header.
func dropFormToken(req *http.Request) error {
	kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" || req.Body == nil {
		return nil
	}
	raw, err := io.ReadAll(capBody(req.Body, apiCap))
	_ = req.Body.Close()
	if err != nil {
		return plain(err)
	}
	if form, err := url.ParseQuery(string(raw)); err == nil && form.Has("token") {
		form.Del("token")
		raw = []byte(form.Encode())
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
	req.Body, _ = req.GetBody()
	req.ContentLength = int64(len(raw))
	req.Header.Set("Content-Length", strconv.Itoa(len(raw)))
	return nil
}

func (t *Transport) send(out *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(out)
	if err != nil {
		return nil, plain(err)
	}
	limit := t.MaxBody
	if limit <= 0 {
		limit = apiCap
	}
	resp.Body = capBody(resp.Body, limit)
	return resp, nil
}

// finish makes resp the answer to the caller's own request.
func (t *Transport) finish(resp *http.Response, req *http.Request) *http.Response {
	if loc := resp.Header.Get("Location"); loc != "" && resp.Request != nil {
		// The client resolves it against the caller's URL, which may not be
		// the one that was asked.
		if u, err := resp.Request.URL.Parse(loc); err == nil {
			resp.Header.Set("Location", u.String())
		}
	}
	resp.Header.Del("Set-Cookie")
	resp.Request = req
	return resp
}
