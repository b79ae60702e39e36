package consent_test

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/tools/sandbox"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

var (
	_ consent.Vault   = (*vault.Vault)(nil)
	_ consent.Records = (*vault.Records)(nil)
)

// real is the pages over the real vault on SQLite, with the sandbox as issuer and as Google.
type real struct {
	*world
	box    *sandbox.Sandbox
	boxURL string
	keep   *vault.Vault
	deaf   atomic.Bool // the vendor does not take revocations
}

func newReal(t *testing.T, change ...func(c *consent.Config)) *real {
	t.Helper()
	r := &real{world: &world{t: t, log: &lockedBuffer{}}}
	r.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.pages.Load().ServeHTTP(w, q) }))
	t.Cleanup(r.srv.Close)
	r.url = r.srv.URL
	var box http.Handler
	boxServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if r.deaf.Load() && strings.Contains(q.URL.Path, "revoke") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		box.ServeHTTP(w, q)
	}))
	t.Cleanup(boxServer.Close)
	var err error
	if r.box, err = sandbox.New(sandbox.Config{BaseURL: boxServer.URL, PublicURL: r.url}); err != nil {
		t.Fatal(err)
	}
	box, r.boxURL = r.box.Handler(), boxServer.URL
	google := r.google()
	r.keep = r.openVault(google)
	who := r.box.Issuer()
	r.cfg = consent.Config{
		Vault: r.keep, Records: r.keep.Records(), PublicURL: r.url, Machine: "testbox", Logger: slog.New(slog.NewTextHandler(r.log, nil)),
		Connection: func(name string) (*provider.Connection, bool) { return google, name == "google" },
		Scopes:     func(string) []string { return []string{calendarScope} },
		SignIn: &consent.SignInConfig{
			Issuer: who.Issuer, ClientID: who.ClientID, ClientSecret: provider.NewSecret(who.ClientSecret), LoopbackHTTP: true,
		},
	}
	for _, c := range change {
		c(&r.cfg)
	}
	r.mount(r.cfg)
	return r
}

func (r *real) google() *provider.Connection {
	r.t.Helper()
	p, _ := provider.Catalog().Lookup("google")
	reg, _ := r.box.Vendor("google")
	c, err := provider.NewConnection(provider.Registration{
		Name: "google", Provider: p, ClientID: reg.ClientID, ClientSecret: provider.NewSecret(reg.ClientSecret), LoopbackHTTP: true,
		Endpoints: provider.Endpoints{
			Issuer: reg.Issuer, Authorization: reg.Authorization, Token: reg.Token, Revocation: reg.Revocation,
			Userinfo: reg.Userinfo, JWKS: reg.JWKS, API: reg.API,
		},
	}, provider.Config{})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *real) openVault(conns ...*provider.Connection) *vault.Vault {
	r.t.Helper()
	store, err := sqlstore.Open(r.t.Context(), sqlstore.Config{Path: filepath.Join(r.t.TempDir(), "vault.db")})
	if err != nil {
		r.t.Fatal(err)
	}
	key, err := seal.GenerateKey(rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	v, err := vault.Open(r.t.Context(), vault.Config{Store: store, Keys: []seal.Key{key}, Connections: conns, Instance: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _, _ = v.Close(), store.Close() })
	return v
}

// signIn opens a page and clicks on the issuer's page.
func (b *browser) signIn(to string) page {
	b.w.t.Helper()
	return b.click(b.get(to).want(b.w.t, http.StatusOK, "Who are you today?"), "user", b.as)
}

// click presses a button of a sandbox page, whose form posts to its own address.
func (b *browser) click(p page, name, value string) page {
	b.w.t.Helper()
	return b.follow(b.do(http.MethodPost, p.url, strings.NewReader(url.Values{name: {value}}.Encode())))
}

// ask opens a ticket as the exchange of a tool call would, and answers its link.
func (r *real) ask(owner vault.Person) string {
	r.t.Helper()
	need := &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{
		{Connection: "google", Scopes: []string{calendarScope}, Missing: []string{calendarScope}, VendorNeeded: true},
	}}
	t, _, err := r.keep.OpenTicket(r.t.Context(), vault.TicketRequest{Owner: owner, Agent: claude(), Tool: "calendar_list_events", Need: need})
	if err != nil {
		r.t.Fatal(err)
	}
	return "/consent/" + r.keep.Handle(t)
}

func claude() vault.Agent {
	return vault.Agent{Issuer: "https://issuer", ID: "claude", Name: "Claude Code"}
}

// exchange asks for a token as a tool call of that agent would.
func (r *real) exchange(owner vault.Person) (*vault.Token, error) {
	return r.keep.Exchange(r.t.Context(), vault.Request{
		Caller: owner.Caller, Agent: claude(), Tool: "calendar_list_events", Call: "call",
		Needs: []provider.Need{{Provider: "google", Groups: [][]string{{calendarScope}}}},
	})
}

// person is alice or bob as the sandbox's issuer knows them, learned by signing in.
func (r *real) person(name string) vault.Person {
	r.t.Helper()
	b := r.browser(name)
	p := b.signIn("/connections").want(r.t, http.StatusOK, name+"@example.com")
	p = b.follow(b.post("/connections/connect", p, "connection", "google"))
	t, err := r.keep.Ticket(r.t.Context(), strings.TrimPrefix(p.url, r.url+"/consent/"))
	if err != nil {
		r.t.Fatal(err)
	}
	b.post(strings.TrimPrefix(p.url, r.url), p, "answer", "decline").want(r.t, http.StatusOK)
	return t.Owner
}

// truth asks the sandbox.
func (r *real) truth(path string, into any) {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.boxURL+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+r.box.ControlSecret())
	resp, err := r.srv.Client().Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %d %v", path, resp.StatusCode, err)
	}
}
