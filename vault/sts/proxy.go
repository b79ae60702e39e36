package sts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// proxied is one request on its way through the proxy.
type proxied struct {
	call    // whose it is, as an exchange knows it
	began   time.Time
	method  string
	to      Target
	header  http.Header // as it goes on
	rule    Rule
	tool    string // for approvals and the audit: the rule, never the path
	asksFor string // value of Grantry-Host
	access  string // id of the access that the token was issued under

	approval string   // what a write runs under
	body     []byte   // where it was read whole, to be shown
	whole    bool     // it was
	seen     *url.URL // where the approved request begins, nil for any other

	bearer *provider.Bearer // once there is one
	host   string           // that was asked
	status int              // of the vendor's answer
	bytes  int64            // of its body
	begun  bool             // our answer has
}

// ForProxy says whether a request is for the proxy. The app asks before its
// routes do: they mend paths, and the proxy takes them as they came or not at all.
func ForProxy(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, ProxyPath) }

// Proxy forwards requests with a vendor's token added, for who has a proxy token.
// It never answers with the token, and never with what a browser would run.
func (s *Server) Proxy() http.Handler { return http.HandlerFunc(s.proxy) }

func (s *Server) proxy(w http.ResponseWriter, r *http.Request) {
	p := &proxied{began: s.cfg.Now(), method: r.Method}
	p.id = "x_" + rand.Text()
	sandboxed(w.Header())
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) || p.begun {
			panic(http.ErrAbortHandler)
		}
		s.log.ErrorContext(r.Context(), "proxy panicked", "call", p.id, "panic", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		refuseProxied(w, broken(nil))
	}()
	err := s.forward(w, r, p)
	ctx := context.WithoutCancel(r.Context())
	var out *refusal
	if err != nil {
		out = proxyRefusal(err)
		s.log.Log(ctx, out.level(), "proxied request refused", "call", p.id, "workload", p.agentID(), "connection", p.to.Connection, "code", out.code, "reason", string(out.reason), "why", out.kind, "error", out.err)
	}
	s.noteProxied(ctx, p, out)
	switch {
	case out == nil:
	case p.begun: // the caller has to see that it is not whole
		panic(http.ErrAbortHandler)
	default:
		refuseProxied(w, out)
	}
}

// forward goes through it: what it is, who may, who has to agree, the token, the vendor.
func (s *Server) forward(w http.ResponseWriter, r *http.Request, p *proxied) (err error) {
	if p.to, err = ReadTarget(r.RequestURI); err != nil {
		return err
	}
	if p.header, err = forwarded(r); err != nil {
		return err
	}
	if err := s.admit(r, p); err != nil {
		return err
	}
	ctx, guard := s.cfg.Vault.Guard(r.Context(), p.subject.person.Caller, p.workload.agent())
	defer guard.End()
	if err := s.permit(ctx, r, p); err != nil {
		return err
	}
	p.inVault = true // its refusals are in the audit
	t, err := s.cfg.Vault.Exchange(ctx, s.proxyRequest(p))
	if err != nil {
		return s.lacks(ctx, p, err)
	}
	guard.Uses(t.Grant)
	p.bearer = &t.Bearer
	return s.send(ctx, w, r, p)
}

// lacks sorts what the vault says. Who was given access anew needs a new token, and asks nobody.
func (s *Server) lacks(ctx context.Context, p *proxied, err error) error {
	if errors.Is(err, vault.ErrOtherAccess) {
		return notPassed("the access that the proxy token was issued under was taken away; exchange the subject token again")
	}
	return s.refused(ctx, &p.call, err)
}

// admit proves the token and that it is for this request.
func (s *Server) admit(r *http.Request, p *proxied) error {
	token, err := s.presented(r)
	if err != nil {
		return err
	}
	p.subject.person, p.account, p.access, p.scopes = token.Person, token.Account, token.Access, token.Scopes
	w, ok := s.workloads[token.Workload]
	if !ok {
		return notPassed("the client that this proxy token was issued to is none any more")
	}
	p.workload = w
	if peer := peerOf(r); !w.mayComeFrom(peer) {
		return refuse(http.StatusForbidden, "unauthorized_client", "this client may not call from this address (workloads."+w.name+".addresses)").as(badAddress)
	}
	if p.to.Connection != token.Connection {
		return refuse(http.StatusForbidden, "access_denied", "the proxy token is for another connection").as(badTarget)
	}
	conn, ok := s.cfg.Connection(token.Connection)
	ceiling, allowed := w.Connections[token.Connection]
	if !ok || !allowed {
		return refuse(http.StatusForbidden, "access_denied", "this client may not use the connection any more").as(badTarget)
	}
	p.target = target{conn: conn, ceiling: ceiling}
	if err := p.target.below(p.scopes); err != nil {
		return err
	}
	if err := s.counted(p); err != nil {
		return err
	}
	if p.rule, ok = w.rules.find(p.method, p.to); !ok {
		return refuse(http.StatusForbidden, "access_denied", "this request is not among those that this client may send (workloads."+w.name+".proxy."+token.Connection+": methods and paths, one that carries other requests in full)").as("proxy_rules")
	}
	if err := p.only(r); err != nil {
		return err
	}
	p.tool = "proxy " + p.where() + " " + p.rule.String()
	return nil
}

// only reads the headers and the query that mean something to the proxy, or to this vendor.
func (p *proxied) only(r *http.Request) error {
	for _, name := range []string{hostHeader, approvalHeader} {
		if len(r.Header.Values(name)) > 1 || len(r.Header.Get(name)) > maxText {
			return refuse(http.StatusBadRequest, "invalid_request", name+" may be there once")
		}
	}
	p.asksFor = r.Header.Get(hostHeader)
	if p.target.conn.Provider().FormToken && url.Values.Has(r.URL.Query(), "token") {
		return unclean("the query names another token; the proxy adds the account's")
	}
	if p.reads() && (r.ContentLength != 0 || len(r.TransferEncoding) > 0) {
		return refuse(http.StatusBadRequest, "invalid_request", "a "+p.method+" has no body")
	}
	return nil
}

// where is the connection, with the host where the request names one: a yes that lasts is for that one, too.
func (p *proxied) where() string {
	if host := strings.ToLower(p.asksFor); slices.Contains(p.target.conn.APIHosts(), host) {
		return p.to.Connection + " (" + host + ")"
	}
	return p.to.Connection
}

// reads says whether the request changes nothing by its method.
func (p *proxied) reads() bool { return p.method == http.MethodGet || p.method == http.MethodHead }

func (s *Server) counted(p *proxied) error {
	over := func(c *counters[use], kind, text string) error {
		if c == nil {
			return nil
		}
		if wait := c.take(use{p.workload.name, p.subject.person.Caller}, s.cfg.Now()); wait > 0 {
			return &refusal{status: http.StatusTooManyRequests, code: "too_many_requests", text: text, retry: wait, kind: kind}
		}
		return nil
	}
	if err := over(s.calls, tooMany, "this client has sent too many requests for this user within a minute; try again later"); err != nil || p.reads() {
		return err
	}
	return over(s.writes, "writes_per_minute", "this client has changed too much for this user within a minute; try again later")
}

// request is what the vault is asked for.
func (s *Server) proxyRequest(p *proxied) vault.Request {
	r := s.passRequest(&p.call, p.scopes)
	r.Tool, r.Approval, r.Access = p.tool, p.approval, p.access
	return r
}

func (p *proxied) agentID() string {
	if p.workload == nil {
		return ""
	}
	return p.workload.name
}

// noteProxied writes the one entry of a request that its person sees. One that got a token has an entry
// of its release besides, which was committed before anything was sent.
func (s *Server) noteProxied(ctx context.Context, p *proxied, r *refusal) {
	e := vault.Entry{
		Kind: "proxy.refused", Caller: p.subject.person.Caller, Tool: p.tool, Result: "refused",
		Detail: vault.Detail{Call: p.id, Approval: p.approval, Millis: s.cfg.Now().Sub(p.began).Milliseconds()},
	}
	if p.workload != nil {
		e.Agent, e.Connection, e.Account = p.workload.agent(), p.to.Connection, p.account
	}
	if r != nil {
		e.Reason = r.why()
	}
	write := s.cfg.Vault.Note
	switch {
	case p.bearer != nil:
		write = s.cfg.Vault.Audit
		e.Kind = "proxy.request"
		e.Result, e.Summary = "ok", p.method+" "+p.to.Path
		e.Detail.Host, e.Detail.Bytes, e.Detail.Sent = p.host, p.bytes, r != nil && p.host != ""
		if p.status > 0 {
			e.Detail.Status = fmt.Sprintf("%dxx", p.status/100)
		}
		if r != nil {
			e.Result = "failed"
		}
	case p.inVault:
		return
	}
	if err := write(ctx, e); err != nil {
		s.log.ErrorContext(ctx, "writing audit", "call", p.id, "error", err)
	}
}

// proxyRefusal sorts what went wrong; what the token endpoint calls a bad request is here one that is not allowed.
func proxyRefusal(err error) *refusal {
	r := refusalOf(err)
	if r.reason.Mendable() || r.reason == vault.AccountUnknown || r.code == "invalid_scope" {
		out := *r
		out.status = http.StatusForbidden
		return &out
	}
	return r
}

func refuseProxied(w http.ResponseWriter, r *refusal) {
	clear(w.Header()) // the vendor's may be in it
	sandboxed(w.Header())
	w.Header().Set(ProxyError, r.code)
	r.write(w)
}
