package app

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/grantry/grantry/cmd/internal/app/gate"
	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 60 * time.Second
	headerBytes   = 16 << 10
	stopWithin    = 8 * time.Second // then connections are cut; the whole stop takes 10
)

// Ready says where a running server is reached.
type Ready struct {
	MCP, Connections string
	// SignIn makes a link that signs the person of this vault in, once, and says
	// how long it lasts; nil where people sign in at a provider.
	SignIn           func(context.Context) (link, code string, err error)
	Sandbox, Control string // base URL of the fake vendors, and the control API's secret; "" without --sandbox
	// Workload and WorkloadSecret are of the application that may exchange tokens there; "" without --sandbox.
	Workload, WorkloadSecret string
	CA                       string // path of the certificate that programs have to trust; "" without --tls-dev
}

// Serve runs the HTTP server until ctx ends, then stops within 10 seconds. It
// calls ready once it can be reached.
func (a *App) Serve(ctx context.Context, ready func(Ready)) error {
	a.serving = true
	if err := a.checkDevTLS(); err != nil {
		return err
	}
	a.warnPlain()
	ln, err := net.Listen("tcp", a.cfg.Listen)
	if err != nil {
		return &UsageError{Text: fmt.Sprintf("cannot listen on %s: %v; another Grantry may run there, or set `listen`", a.cfg.Listen, err)}
	}
	defer ln.Close()
	publicURL := a.publicURL(ln)
	a.at.Store(&publicURL)
	if a.cfg.Sandbox {
		if err := a.startSandbox(ln, publicURL); err != nil {
			return err
		}
	}
	s, err := a.server(ctx, publicURL)
	if err != nil {
		return err
	}
	ln, ca, err := a.secure(ln)
	if err != nil {
		return err
	}
	r := a.readyLines(s.vault, publicURL)
	r.CA = ca
	ready(r)
	return a.run(ctx, ln, s)
}

func (a *App) readyLines(v *vault.Vault, publicURL string) Ready {
	r := Ready{MCP: publicURL + "/mcp", Connections: publicURL + "/connections"}
	if a.local() {
		r.SignIn = func(ctx context.Context) (string, string, error) {
			who, err := a.person(v)
			if err != nil {
				return "", "", err
			}
			c, err := consent.NewSignInCode(ctx, v, v.Records(), who)
			return publicURL + c.Path, c.Code, err
		}
	}
	if a.sandbox != nil {
		r.Sandbox, r.Control = a.sandbox.base, a.sandbox.value.ControlSecret()
		r.Workload, r.WorkloadSecret = sandboxApp, a.sandbox.app
	}
	return r
}

func (a *App) publicURL(ln net.Listener) string {
	if a.cfg.PublicURL != "" {
		return a.cfg.PublicURL
	}
	return a.scheme() + ln.Addr().String()
}

// server is everything behind the listener of Serve.
type server struct {
	vault   *vault.Vault
	mcp     *mcp.Server
	handler http.Handler
}

func (a *App) server(ctx context.Context, publicURL string) (*server, error) {
	var err error
	if a.signIn, err = a.issuer(ctx); err != nil {
		return nil, err
	}
	v, err := a.Vault(ctx)
	if err != nil {
		return nil, err
	}
	who, mode, err := a.visitors(v)
	if err != nil {
		return nil, err
	}
	pages, err := a.pages(v, publicURL, who)
	if err != nil {
		return nil, err
	}
	d, err := a.door(ctx, v, pages, publicURL)
	if err != nil {
		return nil, err
	}
	cfg := a.mcpConfig(publicURL)
	cfg.Open = func(context.Context) (mcp.Vault, error) { return v, nil }
	cfg.Verifier, cfg.Issuers, cfg.Records = d.verifier, d.issuers, v.Records()
	cfg.AllowedOrigins, cfg.RequireScopes = a.cfg.AllowedOrigins, d.scopes
	m, err := mcp.New(cfg)
	if err != nil {
		return nil, err
	}
	return &server{vault: v, mcp: m, handler: a.proxied(v, d.exchange, publicURL, a.proving(v, a.listen(), mode, a.routes(v, m, pages, d, publicURL)))}, nil
}

// visitors is how people prove themselves to the pages: at an issuer, or, on a
// vault of one person, by a code. The processes of that vault use such a server's pages as their own.
func (a *App) visitors(v *vault.Vault) (who func(*consent.Config), mode string, err error) {
	if a.signIn != nil {
		return func(c *consent.Config) { c.SignIn = a.signIn.signIn() }, modeServe, nil
	}
	person, err := a.person(v)
	return func(c *consent.Config) { c.Local = &person }, modeLocal, err
}

// pages makes the handler of what people see.
func (a *App) pages(v *vault.Vault, publicURL string, who func(*consent.Config)) (*consent.Handler, error) {
	machine, _ := os.Hostname()
	cfg := consent.Config{
		Vault: v, Records: v.Records(), PublicURL: publicURL, Machine: machine, Connection: v.Connection,
		Scopes: a.scopesFor(v), AccessTTL: a.cfg.Access.DefaultTTL, Sandbox: a.cfg.Sandbox, Logins: &a.logins, Logger: a.log,
	}
	who(&cfg)
	return consent.New(cfg)
}

// run serves until ctx ends; then streams end, calls in flight finish, and refreshes commit.
func (a *App) run(ctx context.Context, ln net.Listener, s *server) error {
	srv := &http.Server{
		Handler: gate.Ordinary().Keep(gate.Forwarded(a.cfg.TrustedProxies, s.handler)), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
		ErrorLog: a.errorLog(),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	go a.background(ctx, s.vault)
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	s.mcp.Shutdown()
	if err := srv.Shutdown(stop); err != nil {
		a.log.Warn("some connections did not end in time", "error", err)
		_ = srv.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// background does the vault's own work beside the calls, until ctx ends.
func (a *App) background(ctx context.Context, v *vault.Vault) {
	_ = v.Run(ctx) // its one error is that of ctx
}

// errorLog sends what http.Server has to say to the log; its lines may quote a request, so they go out at debug.
func (a *App) errorLog() *log.Logger { return slog.NewLogLogger(a.log.Handler(), slog.LevelDebug) }
