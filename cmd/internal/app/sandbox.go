package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"

	"github.com/grantry/grantry/tools/sandbox"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/sts"
)

const (
	sandboxState = "vendors.json"
	sandboxApp   = "sandbox-app" // the one workload under --sandbox
)

// sandboxServer is the fake vendors on their own listener.
type sandboxServer struct {
	base  string // "http://127.0.0.1:8788"
	app   string // the secret of the made-up workload
	value *sandbox.Sandbox
	http  *http.Server
}

// Close stops serving and writes the vendors' state.
func (s *sandboxServer) Close() error {
	var err error
	if s.http != nil {
		err = s.http.Close()
	}
	return errors.Join(err, s.value.Close())
}

// startSandbox serves the fake vendors on the port after the pages' (any, when
// that was left to the system). The process that holds the pages' port runs it.
func (a *App) startSandbox(pages net.Listener, publicURL string) error {
	addr := a.sandboxAddress(pages)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return &UsageError{Text: fmt.Sprintf("the sandbox's vendors need %s, the port after the pages': %v; give another with --listen", addr, err)}
	}
	return a.serveSandbox(ln, publicURL)
}

// localSandbox is startSandbox for the pages of the local person. Where those
// are elsewhere, the vendors stay on the port after the shared one, at which the
// vault was told to find them: run by `grantry serve`, which holds both ports, or else here.
func (a *App) localSandbox(pages net.Listener, publicURL string, elsewhere bool) error {
	if !elsewhere {
		return a.startSandbox(pages, publicURL)
	}
	addr, err := a.sharedSandbox()
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if inUse(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return a.serveSandbox(ln, publicURL)
}

func (a *App) serveSandbox(ln net.Listener, publicURL string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.prepareFolder(); err != nil {
		return errors.Join(err, ln.Close())
	}
	sb, err := a.newSandbox("http://"+ln.Addr().String(), publicURL)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	srv := &http.Server{Handler: sb.Handler(), ReadHeaderTimeout: headerTimeout, ErrorLog: a.errorLog()}
	a.sandbox = &sandboxServer{base: "http://" + ln.Addr().String(), app: rand.Text(), value: sb, http: srv}
	go func() { _ = srv.Serve(ln) }()
	return nil
}

func (a *App) newSandbox(base, publicURL string) (*sandbox.Sandbox, error) {
	sb, err := sandbox.New(sandbox.Config{
		BaseURL: base, PublicURL: publicURL, StateFile: filepath.Join(a.cfg.DataDir, sandboxState), Logger: a.log,
	})
	if err != nil {
		return nil, fmt.Errorf("starting the sandbox: %w", err)
	}
	return sb, nil
}

func (a *App) sandboxAddress(pages net.Listener) string {
	host, port, _ := net.SplitHostPort(pages.Addr().String())
	if _, asked, _ := net.SplitHostPort(a.cfg.Listen); asked == "0" {
		return net.JoinHostPort(host, "0")
	}
	n, _ := strconv.Atoi(port)
	return net.JoinHostPort(host, strconv.Itoa(n+1))
}

// sharedSandbox is the address after the shared port.
func (a *App) sharedSandbox() (string, error) {
	host, port, err := net.SplitHostPort(a.listen())
	n, _ := strconv.Atoi(port)
	if err != nil || n == 0 {
		return "", &UsageError{Text: "the sandbox is not running: start `grantry serve --sandbox` first, or name its address with --listen"}
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1)), nil
}

// sandboxWorkloads is an application that developers can try token exchange with. It may have
// what the tools need, send some requests through the proxy, and its secret is another at each start.
func (a *App) sandboxWorkloads() map[string]sts.Workload {
	w := sts.Workload{Secret: provider.NewSecret(a.sandbox.app), Connections: map[string][]string{}, Proxy: map[string][]string{
		"google":     {"GET /calendar/v3/*", "GET /drive/v3/*"},
		"salesforce": {"GET /services/data/*", "PATCH /services/data/*/sobjects/*/*"},
		"slack":      {"GET /api/*", "POST /api/chat.postMessage"},
	}}
	for _, name := range sandboxVendors {
		w.Connections[name] = a.needed(name)
	}
	return map[string]sts.Workload{sandboxApp: w}
}

// sandboxValue is the running sandbox, or, in a process that does not run it,
// one that is only read for its registrations.
func (a *App) sandboxValue() (*sandbox.Sandbox, error) {
	if a.sandbox != nil {
		return a.sandbox.value, nil
	}
	addr, err := a.sharedSandbox()
	if err != nil {
		return nil, err
	}
	return a.newSandbox("http://"+addr, "http://"+a.listen())
}
