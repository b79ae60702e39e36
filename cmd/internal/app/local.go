package app

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"sync"
	"time"

	"github.com/grantry/grantry/cmd/internal/app/gate"
	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

const (
	anyPort    = "127.0.0.1:0" // where pages go when the shared port is taken
	proofPath  = "/.well-known/grantry-process"
	proofLabel = "process"
	modeLocal  = "local"                // pages of the local person
	modeServe  = "serve"                // a server at which people sign in
	takeOver   = 500 * time.Millisecond // how often a process looks whether the port is free
)

// person is the one person of a local vault: the operating system's user. stdio
// and `grantry connect` are this same caller.
func (a *App) person(v *vault.Vault) (vault.Person, error) {
	p, err := a.osUser()
	p.Issuer = "local:" + v.ID()
	return p, err
}

// osUser is that person without the vault's id, which is known when the vault is open.
func (a *App) osUser() (vault.Person, error) {
	u, err := user.Current()
	if err != nil {
		return vault.Person{}, fmt.Errorf("reading the operating system's user: %w", err)
	}
	return vault.Person{Caller: vault.Caller{Subject: u.Uid}, Name: u.Username}, nil
}

// localPages are the pages of a local vault. All processes of the vault share
// one address: whoever holds the port serves, proves itself to the others by a
// MAC under the vault's key, and when it goes another takes the port over.
type localPages struct {
	app *App

	mu     sync.Mutex
	held   *heldPages
	warned string // the last problem that was logged
}

// heldPages is what this process serves.
type heldPages struct {
	url       string
	elsewhere bool // on a free port, since a stranger holds the right one
	http      *http.Server
}

// address makes sure that the pages are served, by us or by a process of ours,
// and answers their address. A stranger on the port is a *mcp.Notice, unless a
// free port serves as well.
func (p *localPages) address(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		return p.held.url, nil
	}
	if err := p.hold(ctx, p.app.listen(), false); err == nil {
		return p.held.url, nil
	} else if !inUse(err) {
		return "", err
	}
	switch p.holder(ctx) {
	case modeLocal:
		return p.app.localURL(), nil
	case modeServe:
		p.app.log.Info("grantry serve holds the pages' port; this person's pages are on a free one", "listen", p.app.cfg.Listen)
	default:
		p.app.log.Warn("another program holds the pages' port; using a free one", "listen", p.app.cfg.Listen)
	}
	if err := p.hold(ctx, anyPort, true); err != nil {
		return "", &mcp.Notice{Text: p.app.strangerText(), Err: err}
	}
	return p.held.url, nil
}

func (a *App) strangerText() string {
	return fmt.Sprintf("Another program uses %s, where Grantry's pages should be. Stop it, or set `listen` in Grantry's config to a free port and register that port's callback at the vendor.", a.cfg.Listen)
}

// returns says whether a vendor can send people back to where the pages are
// now: on a free port only one that takes any loopback port. The sandbox's
// vendors know the port, since this process runs them.
func (p *localPages) returns(connection string) error {
	p.mu.Lock()
	elsewhere := p.held != nil && p.held.elsewhere
	p.mu.Unlock()
	if !elsewhere || p.app.cfg.Sandbox {
		return nil
	}
	v, err := p.app.Vault(context.Background())
	if err != nil {
		return err
	}
	if c, ok := v.Connection(connection); ok && c.AnyPort() {
		return nil
	}
	return &mcp.Notice{Text: p.app.strangerText()}
}

// listen is where the shared port is, in the one spelling that all processes
// of the vault agree on: localhost becomes the address that it means.
func (a *App) listen() string {
	addr, err := net.ResolveTCPAddr("tcp", a.cfg.Listen)
	if err != nil {
		return a.cfg.Listen // net.Listen says what is wrong
	}
	return addr.String()
}

// localURL is the address of the shared port.
func (a *App) localURL() string {
	if a.cfg.PublicURL != "" {
		return a.cfg.PublicURL
	}
	if a.heldTLS.Load() {
		return "https://" + a.listen()
	}
	return a.scheme() + a.listen()
}

// hold listens and serves; elsewhere says that it is not where the pages should
// be. The error of net.Listen comes back as it is.
func (p *localPages) hold(ctx context.Context, addr string, elsewhere bool) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	h, err := p.app.localHandler(ctx, ln, elsewhere)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	secured, _, err := p.app.secure(ln)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	srv := &http.Server{Handler: gate.Ordinary().Keep(h.handler), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes, ErrorLog: p.app.errorLog()}
	p.held = &heldPages{url: h.url, http: srv, elsewhere: elsewhere}
	p.app.at.Store(&p.held.url)
	go func() { _ = srv.Serve(secured) }()
	return nil
}

// localServer is a handler with the address that it believes in.
type localServer struct {
	url     string
	handler http.Handler
}

func (a *App) localHandler(ctx context.Context, ln net.Listener, elsewhere bool) (*localServer, error) {
	address, proven := a.scheme()+ln.Addr().String(), a.listen()
	if elsewhere {
		proven = ln.Addr().String()
	} else if a.cfg.PublicURL != "" {
		address = a.cfg.PublicURL
	}
	if a.cfg.Sandbox && a.sandbox == nil {
		if err := a.localSandbox(ln, address, elsewhere); err != nil {
			return nil, err
		}
	}
	v, err := a.Vault(ctx)
	if err != nil {
		return nil, err
	}
	who, err := a.person(v)
	if err != nil {
		return nil, err
	}
	pages, err := a.pages(v, address, func(c *consent.Config) {
		if c.Local, c.Peer = &who, a.opts.Peer; c.Peer == nil {
			c.Peer = consent.SameUser(os.Getuid())
		}
	})
	if err != nil {
		return nil, err
	}
	return &localServer{url: address, handler: a.proving(v, proven, modeLocal, a.routes(v, nil, pages, nil, address))}, nil
}

// proof is what the holder of the port answers to a nonce.
type proof struct {
	Mode string `json:"mode"`
	MAC  string `json:"mac"`
}

func prove(v *vault.Vault, mode, addr, nonce string) string {
	return base64.RawURLEncoding.EncodeToString(v.MAC(proofLabel, []byte(mode+"\n"+addr+"\n"+nonce)))
}

// proving answers the question of our other processes before everything else.
func (a *App) proving(v *vault.Vault, addr, mode string, next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+proofPath, func(w http.ResponseWriter, r *http.Request) {
		nonce := r.URL.Query().Get("nonce")
		if len(nonce) < 16 || len(nonce) > 64 {
			plain(w, http.StatusBadRequest, "a nonce is missing")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(proof{Mode: mode, MAC: prove(v, mode, addr, nonce)})
	})
	mux.Handle("/", next)
	return mux
}

// holder asks who holds the port for a proof, and answers its mode; "" is a
// stranger. The MAC is over the address, so that a stranger cannot pass the
// question on to a process of ours elsewhere. Such a process may have been started
// with --tls-dev, of which our own config does not know: then it answers on https.
func (p *localPages) holder(ctx context.Context) string {
	mode := p.holderAt(ctx, p.app.scheme())
	held := mode == "" && p.app.scheme() == "http://"
	if held {
		mode = p.holderAt(ctx, "https://")
	}
	p.app.heldTLS.Store(held && mode != "")
	return mode
}

func (p *localPages) holderAt(ctx context.Context, scheme string) string {
	v, err := p.app.Vault(ctx)
	if err != nil {
		return ""
	}
	raw := make([]byte, 16)
	if _, err := io.ReadFull(rand.Reader, raw); err != nil {
		return ""
	}
	nonce := base64.RawURLEncoding.EncodeToString(raw)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+p.app.listen()+proofPath+"?nonce="+url.QueryEscape(nonce), nil)
	if err != nil {
		return ""
	}
	client := &http.Client{
		// The MAC proves who answers, whatever name the certificate is for.
		Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var got proof
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<10)).Decode(&got); err != nil {
		return ""
	}
	if !hmac.Equal([]byte(got.MAC), []byte(prove(v, got.Mode, p.app.listen(), nonce))) {
		return ""
	}
	return got.Mode
}

// run keeps the pages reachable while the program runs: it takes the port over when its holder has gone.
func (p *localPages) run(ctx context.Context) {
	tick := time.NewTicker(takeOver)
	defer tick.Stop()
	for holds := false; !holds; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			holds = p.tryHold(ctx)
		}
	}
}

// tryHold says whether this process serves the pages.
func (p *localPages) tryHold(ctx context.Context) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		return true
	}
	err := p.hold(ctx, p.app.listen(), false)
	if err == nil {
		return true
	}
	if !inUse(err) && ctx.Err() == nil && err.Error() != p.warned {
		p.warned = err.Error() // said once, and tried again
		p.app.log.Warn("serving the pages", "error", err)
	}
	return false
}

// stop ends the pages; a browser in the middle of a request has a moment to finish.
func (p *localPages) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := p.held.http.Shutdown(ctx); err != nil {
		_ = p.held.http.Close()
	}
}
