package accounts

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

const (
	apiPath = "/me/v1/connected-accounts/"
	// connectPath is where an application sends the browser, with ?ticket=. Some libraries put the question mark there themselves.
	connectPath = "/connected-accounts/connect"
)

// Tickets are the requests that applications make of people.
type Tickets interface {
	OpenAppTicket(ctx context.Context, r vault.AppTicketRequest) (t vault.Ticket, session string, err error)
	CompleteConnect(ctx context.Context, c vault.Completion) (vault.Account, error)
	Handle(t vault.Ticket) string
}

// Owned is what people have connected, and what they can connect.
type Owned interface {
	Accounts(ctx context.Context, c vault.Caller) ([]vault.Account, error)
	Disconnect(ctx context.Context, c vault.Caller, id string) (vault.Revocation, error)
	Connections() []string
}

// Vault is everything that the API calls of *vault.Vault.
type Vault interface {
	Tickets
	Owned
	Note(ctx context.Context, e vault.Entry) error
}

// Bearer is what a good access token says.
type Bearer struct {
	Person vault.Person
	Client string   // whom it was issued to
	Scopes []string // as granted
}

// TokenError says that a token is not good here. It names the check, never the token.
type TokenError struct{ Check string }

// Error names the check.
func (e *TokenError) Error() string { return "access token refused: " + e.Check }

// Verifier proves access tokens for {public_url}/me/. A *TokenError says that one is not
// good; any other error, that its issuer could not be asked.
type Verifier interface {
	Verify(ctx context.Context, raw string) (Bearer, error)
}

// Application is one of the config that may use the API.
type Application struct {
	Agent        vault.Agent // that gets access to what it had its user connect
	RedirectURIs []string
	Public       bool           // it proves itself by nothing, so it must give a challenge
	Vouches      bool           // binding: app: it answers for who sits at the browser
	Addresses    []netip.Prefix // where it may call from; empty = anywhere
	Wider        bool           // it is handed tokens that can do more than its person said yes to (allow_wider); the page says so
}

// Config is what a server is made of.
type Config struct {
	Vault    Vault
	Verifier Verifier
	// Application answers the application that a token was issued to.
	Application func(who Bearer) (Application, bool)
	// PublicURL is the address that browsers use: scheme and host, no trailing slash.
	PublicURL string
	// Connection answers a configured connection by its name.
	Connection func(name string) (*provider.Connection, bool)
	// Scopes are what a connection asks for where the application names none.
	Scopes func(connection string) []string
	// CallsPerMinute is how often an application may call for one person; 0 = as often as it likes.
	CallsPerMinute int
	Now            func() time.Time // nil = time.Now
	Logger         *slog.Logger     // nil = none
}

// Server answers the API. Its neighbours are the vault, which decides, and the
// pages of consent, which show the ticket.
type Server struct {
	cfg    Config
	limits *limits
}

// New makes a server; it starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Vault == nil || cfg.Verifier == nil || cfg.Application == nil || cfg.Connection == nil || cfg.Scopes == nil {
		return nil, errors.New("configuring connected accounts: Vault, Verifier, Application, Connection and Scopes are required")
	}
	if u, err := url.Parse(cfg.PublicURL); err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" {
		return nil, errors.New("configuring connected accounts: PublicURL must be scheme and host alone")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, limits: newLimits(cfg.CallsPerMinute, cfg.Now)}, nil
}

// Mount puts the API and the address for browsers on mux.
func (s *Server) Mount(mux *http.ServeMux) {
	mux.Handle("/me/", s)
	mux.HandleFunc("GET "+connectPath, s.open)
}

// call is one request with who is behind it.
type call struct {
	r    *http.Request
	who  Bearer
	app  Application
	last string // the last part of the path, where the route ends in a slash
}

// route is one call of the API.
type route struct {
	scope string
	serve func(s *Server, c *call) (answer, error)
}

// routes are the calls by path below apiPath and method. A path that ends in a slash has an id after it.
func routes() map[string]map[string]route {
	return map[string]map[string]route{
		"connect":     {http.MethodPost: {"create:me:connected_accounts", (*Server).connect}},
		"complete":    {http.MethodPost: {"create:me:connected_accounts", (*Server).complete}},
		"connections": {http.MethodGet: {"read:me:connected_accounts", (*Server).connections}},
		"accounts":    {http.MethodGet: {"read:me:connected_accounts", (*Server).accounts}},
		"accounts/":   {http.MethodDelete: {"delete:me:connected_accounts", (*Server).disconnect}},
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Access-Control-Allow-Origin", "*") // no cookie is looked at
	h.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset")
	a, err := s.answer(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	a.write(w)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) (answer, error) {
	rest, ours := strings.CutPrefix(r.URL.Path, apiPath)
	name, last := rest, ""
	if at := strings.LastIndexByte(rest, '/'); at >= 0 {
		name, last = rest[:at+1], rest[at+1:]
	}
	methods, known := routes()[name]
	if !ours || !known {
		return answer{}, refusal(http.StatusNotFound, "not_found", "There is no such address in the connected-accounts API.")
	}
	if r.Method == http.MethodOptions {
		return preflight(w, methods), nil
	}
	to, ok := methods[r.Method]
	if !ok {
		w.Header().Set("Allow", allowed(methods))
		return answer{}, refusal(http.StatusMethodNotAllowed, "method_not_allowed", "This address takes "+allowed(methods)+".")
	}
	c := &call{r: r, last: last}
	if err := s.prove(c, to.scope); err != nil {
		return answer{}, err
	}
	if err := s.limits.take(w.Header(), c); err != nil {
		return answer{}, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	return to.serve(s, c)
}

func allowed(methods map[string]route) string {
	for m := range methods {
		return m // each address takes one
	}
	return ""
}

// preflight answers a browser that asks whether a page of another origin may call (spa-js).
func preflight(w http.ResponseWriter, methods map[string]route) answer {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", allowed(methods))
	h.Set("Access-Control-Allow-Headers", "Authorization, DPoP, Content-Type, Auth0-Client")
	h.Set("Access-Control-Max-Age", "600")
	return answer{status: http.StatusNoContent}
}

var handle = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// open takes the browser to the ticket's page. It changes nothing, and says the same whether there is such a ticket or not.
func (s *Server) open(w http.ResponseWriter, r *http.Request) {
	to := "/consent/-"
	if t := r.URL.Query().Get("ticket"); handle.MatchString(t) {
		to = "/consent/" + t
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to, http.StatusSeeOther)
}
