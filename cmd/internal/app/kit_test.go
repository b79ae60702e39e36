package app_test

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/grantry/grantry/vault"
)

func start(t *testing.T, dir, listen string) *app.App {
	t.Helper()
	return startWith(t, dir, listen, app.Options{Version: "test"})
}

func startWith(t *testing.T, dir, listen string, o app.Options) *app.App {
	t.Helper()
	cfg, err := config.Load(t.Context(), config.Options{
		Home: dir, Env: func(string) string { return "" }, DataDir: filepath.Join(dir, "data"), Listen: listen, Sandbox: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Config = cfg
	a, err := app.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func local(t *testing.T, a *app.App) *app.Local {
	t.Helper()
	l, err := a.Local(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func serve(t *testing.T, a *app.App) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan app.Ready, 1)
	go func() { ended <- a.Serve(ctx, func(r app.Ready) { ready <- r }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case <-time.After(time.Minute):
		t.Fatal("the server is not ready")
	}
}

func link(t *testing.T, l *app.Local, connection string) string {
	t.Helper()
	k, _, err := l.Vault.OpenTicket(t.Context(), vault.TicketRequest{Owner: l.Person, Need: &vault.ConsentError{
		Reason: vault.NotConnected, Options: []vault.Option{{Connection: connection, Scopes: []string{"api"}, VendorNeeded: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	at, err := l.Link(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// browser keeps cookies and the last page.
type browser struct {
	t         *testing.T
	client    *http.Client
	url, body string
}

var (
	hidden  = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)"`)
	forward = regexp.MustCompile(`http-equiv="refresh" content="\d+;url=([^"]+)"`)
)

func (b *browser) get(at string) {
	b.t.Helper()
	resp, err := b.client.Get(at)
	b.read(resp, err)
}

// post sends the page's form to its own address, and answers where the next page moves on to, else what it says.
func (b *browser) post(name, value string) string {
	b.t.Helper()
	form := url.Values{name: {value}}
	for _, m := range hidden.FindAllStringSubmatch(b.body, -1) {
		form.Set(m[1], m[2])
	}
	resp, err := b.client.PostForm(b.url, form)
	b.read(resp, err)
	if m := forward.FindStringSubmatch(b.body); m != nil {
		return html.UnescapeString(m[1])
	}
	return b.body
}

func (b *browser) read(resp *http.Response, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.url, b.body = resp.Request.URL.String(), string(body)
}
