package sts

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// TokenPath is where the app serves it, below PublicURL.
const TokenPath = "/oauth/token"

// Vault is what is needed of *vault.Vault.
type Vault interface {
	Exchange(ctx context.Context, r vault.Request) (*vault.Token, error)
	OpenTicket(ctx context.Context, r vault.TicketRequest) (vault.Ticket, bool, error)
	Handle(t vault.Ticket) string
	Note(ctx context.Context, e vault.Entry) error
	ProxyVault
}

// ProxyVault is what the proxy needs besides.
type ProxyVault interface {
	Which(ctx context.Context, r vault.Request) (vault.Choice, error)
	Approved(ctx context.Context, r vault.Request, w vault.Write) (id string, err error)
	TakeApproved(ctx context.Context, owner vault.Caller, agent vault.Agent, tool, id string) (vault.Approval, error)
	Guard(ctx context.Context, c vault.Caller, a vault.Agent) (context.Context, *vault.Guard)
	Audit(ctx context.Context, e vault.Entry) error
}

// Records keep which assertions have been used, and what proxy tokens stand for.
type Records interface {
	Put(ctx context.Context, kind, handle string, owner vault.Caller, value []byte, ttl time.Duration) error
	Get(ctx context.Context, kind, handle string) ([]byte, error)
	Change(ctx context.Context, kind, handle string, fn func(old []byte) ([]byte, time.Duration, error)) error
}

// Config is what a [Server] is made of.
type Config struct {
	Vault   Vault
	Records Records
	// Connection answers a configured connection.
	Connection func(name string) (*provider.Connection, bool)
	PublicURL  string // without a slash at the end
	Workloads  map[string]Workload
	Verifier   Verifier // nil = no access token is a subject token
	Logins     Logins   // nil = people sign in elsewhere
	// Issuers are those whose people a worker's assertion may name; with one of them, sub alone names a person.
	Issuers []string
	// NotSubjects are the audiences of MCP tokens, besides {public_url}/mcp: what is addressed to one of them is never a subject token.
	NotSubjects []string
	// IsClient says whether an id is that of a client for MCP; nil = not known here.
	IsClient       func(ctx context.Context, id string) bool
	CallsPerMinute int // of one workload for one person; 0 = no limit
	// WritesPerMinute is the same of the proxy's requests that are no GET or HEAD.
	WritesPerMinute int
	// AnswerIn and PieceIn are how long the proxy waits for a vendor's answer to begin, and to go on; 0 = 90 s and 60 s.
	AnswerIn, PieceIn time.Duration
	// Writes says whether these go through: WritesAllow, WritesDeny; else their person is asked.
	Writes string
	Now    func() time.Time
	Logger *slog.Logger
}

// Server answers exchanges. Its neighbours are the app's dispatcher of the token
// endpoint in front of it, and the vault behind it. It is safe for concurrent use.
type Server struct {
	cfg         Config
	log         *slog.Logger
	workloads   map[string]*workload
	notSubjects []string
	failures    *failures
	calls       *counters[use] // nil = no limit
	writes      *counters[use] // through the proxy
}

// New makes a server; it reads and starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Vault == nil || cfg.Records == nil || cfg.Connection == nil || cfg.PublicURL == "" {
		return nil, errors.New("configuring token exchange: vault, records, connections and public URL are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.AnswerIn, cfg.PieceIn = cmp.Or(cfg.AnswerIn, 90*time.Second), cmp.Or(cfg.PieceIn, 60*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, workloads: map[string]*workload{}, failures: newFailures(cfg.Now),
		notSubjects: append([]string{cfg.PublicURL + "/mcp"}, cfg.NotSubjects...),
	}
	if n := cfg.CallsPerMinute; n > 0 {
		s.calls = newCounters[use](time.Minute/time.Duration(n), n)
	}
	if n := cfg.WritesPerMinute; n > 0 {
		s.writes = newCounters[use](time.Minute/time.Duration(n), n)
	}
	for name, w := range cfg.Workloads {
		if w.Secret.IsZero() == (w.Keys == nil) {
			return nil, fmt.Errorf("configuring token exchange: workload %s needs a secret or keys, and not both", name)
		}
		one, err := newWorkload(name, w)
		if err != nil {
			return nil, fmt.Errorf("configuring token exchange: workloads.%s.proxy: a rule %w", name, err)
		}
		s.workloads[name] = one
	}
	return s, nil
}

// Takes says whether a grant_type is an exchange.
func Takes(grant string) bool { return grant == GrantType || grant == Auth0GrantType }

// GrantTypes are those of exchanges, for metadata.
func GrantTypes() []string { return []string{GrantType, Auth0GrantType} }

// Exchange answers one exchange, whose form the caller has read. It never
// answers anything but OAuth's JSON, also when it breaks.
func (s *Server) Exchange(w http.ResponseWriter, r *http.Request, form url.Values) {
	c := &call{id: "x_" + rand.Text()}
	defer func() {
		if p := recover(); p != nil {
			s.log.ErrorContext(r.Context(), "token exchange panicked", "call", c.id, "panic", fmt.Sprintf("%T", p))
			broken(nil).write(w)
		}
	}()
	t, err := s.exchange(r, form, c)
	if err != nil {
		out := refusalOf(err)
		s.note(r.Context(), c, out)
		c.names.refusal(out).writeTo(w, c.names.challenges(r))
		return
	}
	writeJSON(w, http.StatusOK, answerOf(t, c.request, s.cfg.Now()))
}

// call is what is known of an exchange so far.
type call struct {
	request
	id       string
	workload *workload
	target   target
	subject  subject
	inVault  bool // what is refused from here on the vault has written down
}

// exchange goes through it in the order of the package comment.
func (s *Server) exchange(r *http.Request, form url.Values, c *call) (*vault.Token, error) {
	ctx := r.Context()
	if form.Get("grant_type") == Auth0GrantType {
		c.names = auth0
	}
	if len(r.Header.Values("DPoP")) > 0 {
		return nil, refuse(http.StatusBadRequest, "invalid_dpop_proof", "DPoP is not offered here; send the request without it, and a subject_token that is not bound to a key")
	}
	who, err := credentialsOf(r, form)
	if err != nil {
		return nil, err
	}
	who.base = s.base(r, TokenPath)
	if c.workload, err = s.authenticate(ctx, peerOf(r), who); err != nil {
		return nil, err
	}
	if c.request, err = parse(form); err != nil {
		return nil, err
	}
	c.base = who.base
	if c.target, err = s.target(c.workload, c.request); err != nil {
		return nil, err
	}
	if err := c.target.below(c.scopes); err != nil {
		return nil, err
	}
	if err := c.target.unattended(c.workload, c.request); err != nil {
		return nil, err
	}
	if c.subject, err = s.subjectOf(ctx, c.workload, c.request); err != nil {
		return nil, err
	}
	if err := s.withinLimits(c); err != nil {
		return nil, err
	}
	if c.proxy {
		return s.issue(ctx, c)
	}
	c.inVault = true
	if len(c.scopes) > 0 {
		return s.token(ctx, c, c.scopes)
	}
	return s.all(ctx, c)
}

// all answers what the account was granted of the ceiling, where no scope in
// particular is asked for. Who has no account yet is asked for all of it.
func (s *Server) all(ctx context.Context, c *call) (*vault.Token, error) {
	t, err := s.cfg.Vault.Exchange(ctx, s.vaultRequest(c, c.target.ceiling))
	lack, ok := errors.AsType[*vault.ConsentError](err)
	if !ok || lack.Reason != vault.UnderScoped || len(lack.Options) != 1 {
		return t, s.refused(ctx, c, err)
	}
	granted := slices.DeleteFunc(slices.Clone(c.target.ceiling), func(s string) bool { return slices.Contains(lack.Options[0].Missing, s) })
	return s.token(ctx, c, granted)
}

// token asks the vault for one that covers these scopes.
func (s *Server) token(ctx context.Context, c *call, scopes []string) (*vault.Token, error) {
	t, err := s.cfg.Vault.Exchange(ctx, s.vaultRequest(c, scopes))
	return t, s.refused(ctx, c, err)
}

// refused sorts what the vault says; where a person can mend it, it opens the ticket.
func (s *Server) refused(ctx context.Context, c *call, err error) error {
	if short, ok := errors.AsType[*vault.ShortLivedError](err); ok {
		lives := life(s.cfg.Now().Add(short.Lives), s.cfg.Now(), 0)
		return refuse(http.StatusBadRequest, "invalid_request", fmt.Sprintf("min_ttl is longer than a token of this account lives: %d seconds", int(lives.Seconds())))
	}
	lack, ok := errors.AsType[*vault.ConsentError](err)
	if !ok {
		return err
	}
	out := lacking(lack)
	if lack.Reason.Mendable() && len(lack.Options) > 0 {
		s.ask(ctx, c, lack, out)
	}
	return out
}

func (s *Server) vaultRequest(c *call, scopes []string) vault.Request {
	r := vault.Request{
		Caller: c.subject.person.Caller, Agent: c.workload.agent(), Needs: []provider.Need{c.target.need(scopes)}, Account: c.account, Call: c.id,
		Ceiling:   &vault.Ceiling{Scopes: c.target.ceiling, Wider: c.workload.AllowWider},
		Exchanged: c.exchanged(strings.TrimPrefix(typeAccess, typePrefix)),
	}
	if c.minTTL > 0 {
		r.MinTTL = c.minTTL + skew
	}
	return r
}

// exchanged is what the audit is to say of what is issued.
func (c *call) exchanged(issued string) *vault.Exchanged {
	return &vault.Exchanged{
		Subject: strings.TrimPrefix(c.subjectType, typePrefix), Issued: issued,
		Actors: c.subject.actors, Context: c.subject.context, TokenID: c.subject.id,
	}
}

// ask opens the ticket for what the vault lacks.
func (s *Server) ask(ctx context.Context, c *call, lack *vault.ConsentError, out *refusal) {
	_, _ = s.open(ctx, c, vault.TicketRequest{Owner: c.subject.person, Agent: c.workload.agent(), Need: lack, Wider: c.workload.AllowWider}, out) // out says why not
}

// open opens a ticket and puts its link into the answer, or says why there is none.
func (s *Server) open(ctx context.Context, c *call, r vault.TicketRequest, out *refusal) (vault.Ticket, error) {
	t, _, err := s.cfg.Vault.OpenTicket(ctx, r)
	var limit *vault.LimitError
	var declined *vault.BackOffError
	var stopped *vault.StoppedError
	switch {
	case err == nil:
		out.consent = s.cfg.PublicURL + "/consent/" + s.cfg.Vault.Handle(t)
	case errors.As(err, &limit):
		out.status, out.code, out.retry = http.StatusTooManyRequests, "too_many_requests", max(limit.Until.Sub(s.cfg.Now()), time.Minute)
		out.text = "this client has asked its user for too much lately; let them answer what waits at " + s.cfg.PublicURL + "/connections"
	case errors.As(err, &declined):
		out.text = "the user declined this lately, so they are not asked again yet; they can connect the account themselves at " + s.cfg.PublicURL + "/connections"
	case errors.As(err, &stopped):
		out.status, out.code = http.StatusForbidden, "access_denied"
		out.text = "the user has stopped this application; they can let it go on at " + s.cfg.PublicURL + "/agents"
	default:
		s.log.ErrorContext(ctx, "opening ticket", "call", c.id, "error", err)
		out.text = sentence(out.reason) + "; the link could not be made at the moment, and the user finds the same at " + s.cfg.PublicURL + "/connections"
	}
	return t, err
}

func (s *Server) withinLimits(c *call) error {
	if s.calls == nil {
		return nil
	}
	wait := s.calls.take(use{c.workload.name, c.subject.person.Caller}, s.cfg.Now())
	if wait == 0 {
		return nil
	}
	return &refusal{status: http.StatusTooManyRequests, code: "too_many_requests", text: "this client has asked for tokens of this user too often; keep each token for its expires_in", retry: wait, kind: tooMany}
}

// note puts a refusal into the log, and into the audit where the vault has not done that itself.
func (s *Server) note(ctx context.Context, c *call, r *refusal) {
	why := r.kind
	if why == "" {
		why = r.code
	}
	e := vault.Entry{Kind: "exchange.refused", Caller: c.subject.person.Caller, Result: "refused", Reason: why}
	if c.workload != nil {
		e.Agent = c.workload.agent()
	}
	if c.target.conn != nil {
		e.Connection = c.target.conn.Name()
	}
	args := []any{"call", c.id, "workload", e.Agent.ID, "connection", e.Connection, "code", r.code, "reason", string(r.reason), "why", why}
	if r.err != nil {
		args = append(args, "error", r.err)
	}
	s.log.Log(ctx, r.level(), "token exchange refused", args...)
	if c.inVault {
		return
	}
	if err := s.cfg.Vault.Note(ctx, e); err != nil {
		s.log.ErrorContext(ctx, "writing audit", "error", err)
	}
}

// peerOf is the client's address, as the gate in front has it.
func peerOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}
