package client

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	maxHops  = 10
	maxDrain = 64 << 10 // bytes of a refused answer that are read so that its connection can be used again
)

// Client is an http.Client whose requests carry the token, to Options.Hosts and to the base that Grantry
// names with it. A request to any other host is not sent: *HostError. A redirect is followed on the same
// origin only; another one is answered as it came, and who wants to follow it does so without the token.
// When the API answers 401, Grantry is asked once for another token, and the request is sent again if its body
// can be had again (http.Request.GetBody); else the next request has the new one. Where Grantry has no other,
// as within half a minute of a refresh, the 401 is the answer. Where the user is needed the error is, or wraps,
// a *ConsentRequired.
func (s *Source) Client() *http.Client {
	return &http.Client{Transport: &transport{source: s}, CheckRedirect: sameOriginOnly}
}

func sameOriginOnly(req *http.Request, via []*http.Request) error {
	if last := via[len(via)-1]; len(via) > maxHops || !sameOrigin(req.URL, last.URL) {
		return http.ErrUseLastResponse
	}
	return nil
}

type transport struct{ source *Source }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.tokenFor(req)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := t.send(req, req.Body, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	fresh, err := t.source.get(req.Context(), token.Access)
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	body, again := replay(req)
	if fresh.Access == token.Access || !again {
		return resp, nil
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain) // only for the connection's sake
	_ = resp.Body.Close()
	return t.send(req, body, fresh)
}

// tokenFor answers the token, if the request's address is a place for it.
func (t *transport) tokenFor(req *http.Request) (*Token, error) {
	u := req.URL
	refused := &HostError{Host: u.Host}
	if from := req.Response; from != nil && (from.Request == nil || !sameOrigin(from.Request.URL, u)) {
		refused.Redirect = true
		return nil, refused
	}
	if u.User != nil || u.Opaque != "" || u.Host == "" || !safe(u) {
		return nil, refused
	}
	named := slices.ContainsFunc(t.source.options.Hosts, func(h string) bool { return isHost(u, h) })
	token, err := t.source.Token(req.Context())
	if err != nil {
		return nil, err
	}
	if base, err := url.Parse(token.APIBase); !named && (err != nil || !sameOrigin(base, u)) {
		return nil, refused
	}
	return token, nil
}

// send is one request with the token. What comes back knows the caller's own request, without it.
func (t *transport) send(req *http.Request, body io.ReadCloser, token *Token) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.Body, out.Host = body, ""
	out.Header.Set("Authorization", "Bearer "+token.Access.Reveal())
	base := t.source.options.Base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(out)
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}

// replay is the request's body once more, and whether it can be had.
func replay(req *http.Request) (io.ReadCloser, bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req.Body, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	return body, err == nil
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// isHost says whether an address lies on a host of the list; without a port 443 is meant.
func isHost(u *url.URL, entry string) bool {
	name, port, err := net.SplitHostPort(entry)
	if err != nil {
		name, port = strings.Trim(entry, "[]"), "443"
	}
	host := strings.ToLower(u.Hostname())
	if portOf(u) != port {
		return false
	}
	name = strings.ToLower(name)
	if suffix, wild := strings.CutPrefix(name, "*."); wild {
		return strings.Contains(suffix, ".") && strings.HasSuffix(host, "."+suffix)
	}
	return host == name
}
