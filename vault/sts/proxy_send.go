package sts

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

const (
	maxProxied = 32 << 20 // bytes of a body
	maxAnswer  = 1 << 30
)

var (
	errSlow   = errors.New("the vendor is too slow")
	errPolicy = errors.New("a redirect leads to what the workload may not ask for")
)

// send puts the request to the vendor and passes its answer on. From here on it may have happened.
func (s *Server) send(ctx context.Context, w http.ResponseWriter, r *http.Request, p *proxied) error {
	base, err := p.bearer.Place(p.asksFor)
	if err != nil {
		return s.notThere(p)
	}
	if p.seen != nil && *p.seen != *base {
		return refuse(http.StatusConflict, "access_denied", "the account was connected anew to another address meanwhile; send the request again").as("changed")
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	patience := time.AfterFunc(s.cfg.AnswerIn, func() { stop(errSlow) })
	defer patience.Stop()
	body := &sentBody{}
	req, err := p.vendorRequest(ctx, w, r, base, body)
	if err != nil {
		return err
	}
	resp, err := s.client(p, base).Do(req)
	if err != nil {
		return s.unanswered(ctx, p, err, body)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < http.StatusOK {
		return refuse(http.StatusBadGateway, "server_error", "the vendor's answer cannot be passed on").as("vendor")
	}
	token := p.bearer.Token
	s.head(w, p, base, resp, token)
	err = stream(w, p, resp, token, func() { patience.Reset(s.cfg.PieceIn) })
	if err != nil {
		return s.unanswered(ctx, p, err, body)
	}
	return nil
}

// vendorRequest is the request as it goes out, but for the token, which the transport adds.
func (p *proxied) vendorRequest(ctx context.Context, w http.ResponseWriter, r *http.Request, base *url.URL, body *sentBody) (*http.Request, error) {
	to := base.Scheme + "://" + base.Host + strings.TrimSuffix(base.EscapedPath(), "/") + p.to.Encoded()
	if p.to.Query != "" {
		to += "?" + p.to.Query
	}
	switch {
	case p.reads():
		body = nil
	case p.whole:
	case r.ContentLength > maxProxied:
		return nil, tooLarge()
	default:
		// A vendor may answer before it has read all. Without this the server would close what is left
		// of the body as soon as the answer begins, and the answer would break off with it.
		_ = http.NewResponseController(w).EnableFullDuplex()
		body.ReadCloser = http.MaxBytesReader(w, r.Body, maxProxied)
	}
	req, err := http.NewRequestWithContext(ctx, p.method, to, nil)
	if err != nil {
		return nil, unclean("the request cannot be sent")
	}
	switch {
	case body == nil:
	case p.whole: // can be sent twice
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.body)), nil }
		req.Body, _ = req.GetBody()
		req.ContentLength = int64(len(p.body))
	case r.ContentLength != 0:
		req.Body, req.ContentLength = body, r.ContentLength
	}
	if req.ContentLength == 0 && req.GetBody != nil {
		req.Body, req.GetBody = http.NoBody, func() (io.ReadCloser, error) { return http.NoBody, nil }
	}
	req.Header = p.header
	p.host = base.Host
	return req, nil
}

func tooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "invalid_request", "the body is larger than 32 MiB").as("too_large")
}

// client sends with the token, and with no other after one refresh that a 401 forces.
func (s *Server) client(p *proxied, base *url.URL) *http.Client {
	t := p.bearer.Transport(nil, func(ctx context.Context, stale provider.Bearer) (provider.Bearer, error) {
		r := s.proxyRequest(p)
		r.Stale = &stale
		fresh, err := s.cfg.Vault.Exchange(ctx, r)
		if err != nil {
			return provider.Bearer{}, err
		}
		p.bearer = &fresh.Bearer
		return fresh.Bearer, nil
	})
	t.MaxBody = maxAnswer
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if !p.reads() {
			return http.ErrUseLastResponse
		}
		if err := t.CheckRedirect(req, via); err != nil {
			return err
		}
		return p.stays(req.URL)
	}}
}

// stays is nil where a redirect leads to a host that the token is not for, or to a
// path that the workload may ask for.
func (p *proxied) stays(to *url.URL) error {
	host := strings.TrimSuffix(to.Host, map[string]string{"https": ":443", "http": ":80"}[to.Scheme])
	base, err := p.bearer.Place(host)
	if err != nil {
		return nil // the transport has looked whether it may go there, without the token
	}
	if !strings.EqualFold(host, base.Host) { // stands for it, without what is put in front
		base = &url.URL{}
	}
	rest, ok := below(to, base)
	if !ok {
		return errPolicy
	}
	t, err := ReadTarget(ProxyPath + p.to.Connection + rest)
	if err != nil {
		return errPolicy
	}
	if _, ok := p.workload.rules.find(p.method, t); !ok {
		return errPolicy
	}
	return nil
}

// below is a path with its query, as the proxy names it.
func below(u, base *url.URL) (string, bool) {
	rest, ok := strings.CutPrefix(u.EscapedPath(), strings.TrimSuffix(base.EscapedPath(), "/"))
	if u.RawQuery != "" {
		rest += "?" + u.RawQuery
	}
	return rest, ok && strings.HasPrefix(rest, "/")
}

// sentBody notes why a caller's body ended early.
type sentBody struct {
	io.ReadCloser

	mu  sync.Mutex // the transport may still send while the answer comes
	err error
}

// Read implements io.Reader.
func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.err = err
	}
	return n, err
}

// broken is why the caller's body ended early, nil if it did not.
func (b *sentBody) broken() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// unanswered says why there is no answer of the vendor's, or no whole one.
func (s *Server) unanswered(ctx context.Context, p *proxied, err error, body *sentBody) error {
	if scope, ok := errors.AsType[*provider.ScopeError](err); ok {
		return s.narrow(ctx, p, scope)
	}
	if lack, ok := errors.AsType[*vault.ConsentError](err); ok {
		return s.lacks(context.WithoutCancel(ctx), p, lack)
	}
	if where, ok := errors.AsType[*url.Error](err); ok {
		err = where.Err // without the address: the log has no path
	}
	gateway := func(status int, text, kind string) error {
		return &refusal{status: status, code: "temporarily_unavailable", text: text, kind: kind, err: err}
	}
	var stopped *vault.StoppedError
	host, elsewhere := errors.AsType[*provider.HostError](err)
	cause := context.Cause(ctx)
	switch {
	case errors.As(cause, &stopped), errors.Is(cause, vault.ErrRevoked):
		return refuse(http.StatusForbidden, "access_denied", "the user has taken the access away; what was sent before may have happened").as("stopped")
	case errors.Is(cause, errSlow):
		return gateway(http.StatusGatewayTimeout, "the vendor did not answer in time; what was sent may have happened", "slow")
	case errors.As(body.broken(), new(*http.MaxBytesError)):
		return tooLarge()
	case body.broken() != nil:
		return refuse(http.StatusBadRequest, "invalid_request", "the body did not come to its end").as("body")
	case errors.Is(err, errToken):
		return refuse(http.StatusBadGateway, "server_error", "the vendor's answer has the token in it, and is not passed on").as("token_in_answer")
	case errors.Is(err, errPolicy):
		return refuse(http.StatusBadGateway, "redirect_refused", "the vendor sent the request on to a path that this client may not ask for").as("redirect")
	case elsewhere && host.Redirect, errors.Is(err, provider.ErrTooManyRedirects):
		return refuse(http.StatusBadGateway, "redirect_refused", "the vendor sent the request on to where it may not go").as("redirect")
	case errors.Is(err, provider.ErrTooLarge):
		return gateway(http.StatusBadGateway, "the vendor's answer is too large", "too_large")
	case ctx.Err() != nil:
		return gateway(http.StatusBadGateway, "the request was given up", "cancelled")
	}
	return gateway(http.StatusBadGateway, "the vendor cannot be reached, or broke off; what was sent may have happened", "vendor")
}

// narrow says that the vendor wants scopes which the token has not. Their person can add those that the ceiling allows.
func (s *Server) narrow(ctx context.Context, p *proxied, e *provider.ScopeError) error {
	b := p.bearer
	lack := &vault.ConsentError{Reason: vault.UnderScoped, Account: b.Account, Err: e}
	out := lacking(lack)
	out.missing = e.Scopes
	switch {
	case len(e.Scopes) == 0:
		out.text = "the vendor says that a scope is missing and does not name it; ask for more in scope when you exchange for the proxy token"
	case p.target.below(e.Scopes) != nil:
		out.text = "the vendor asks for scopes above the ceiling that this client's policy sets for the connection"
	default:
		lack.Options = []vault.Option{{
			Connection: p.to.Connection, Grant: b.Grant, VendorNeeded: true, Scopes: provider.Union(b.Scopes, e.Scopes), Missing: e.Scopes,
		}}
		s.ask(ctx, &p.call, lack, out)
	}
	return out
}

// notThere says which hosts there are.
func (s *Server) notThere(p *proxied) error {
	return refuse(http.StatusBadRequest, "invalid_request", hostHeader+" must be one of the connection's API hosts, as the vendor named it: "+strings.Join(p.target.conn.APIHosts(), ", ")).as("host")
}
