package accounts_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/consent/accounts"
	"github.com/grantry/grantry/tools/sandbox"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

var (
	_ accounts.Vault = (*vault.Vault)(nil)
	_ consent.Vault  = (*vault.Vault)(nil)
)

const (
	calendar = "https://www.googleapis.com/auth/calendar.readonly"
	drive    = "https://www.googleapis.com/auth/drive.readonly"
	back     = "https://portal.example.com/cb"
	also     = "https://portal.example.com/other?tenant=7"
	secret   = "verifier-canary-0123456789-0123456789-0123456789"
	everyOne = "create:me:connected_accounts read:me:connected_accounts delete:me:connected_accounts"
)

func portal() vault.Agent {
	return vault.Agent{Issuer: "workload:", ID: "portal", Name: "portal", Verified: true}
}

// clock is real time and what the test adds.
type clock struct {
	mu sync.Mutex
	by time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.by)
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += d
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tokens stand for the verifier: what is in them is good.
type tokens struct {
	mu   sync.Mutex
	good map[string]accounts.Bearer
	err  error // instead of an answer
}

func (t *tokens) Verify(_ context.Context, raw string) (accounts.Bearer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b, ok := t.good[raw]; ok && t.err == nil {
		return b, nil
	}
	if t.err != nil {
		return accounts.Bearer{}, t.err
	}
	return accounts.Bearer{}, &accounts.TokenError{Check: "audience"}
}

// world is the real vault on SQLite with its pages and the API, and the sandbox as issuer and as Google.
type world struct {
	t      *testing.T
	url    string
	vault  *vault.Vault
	box    *sandbox.Sandbox
	boxURL string
	tokens *tokens
	clock  *clock
	log    *lockedBuffer
}

func newWorld(t *testing.T, change ...func(*accounts.Config)) *world {
	t.Helper()
	w := &world{t: t, tokens: &tokens{good: map[string]accounts.Bearer{}}, clock: &clock{}, log: &lockedBuffer{}}
	mux, boxMux := http.NewServeMux(), http.NewServeMux()
	srv, boxSrv := httptest.NewServer(mux), httptest.NewServer(boxMux)
	t.Cleanup(srv.Close)
	t.Cleanup(boxSrv.Close)
	w.url, w.boxURL = srv.URL, boxSrv.URL
	var err error
	if w.box, err = sandbox.New(sandbox.Config{BaseURL: w.boxURL, PublicURL: w.url}); err != nil {
		t.Fatal(err)
	}
	boxMux.Handle("/", w.box.Handler())
	google := w.google()
	w.open(google)
	logger := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	find := func(name string) (*provider.Connection, bool) { return google, name == "google" }
	scopes := func(string) []string { return []string{calendar} }
	who := w.box.Issuer()
	pages, err := consent.New(consent.Config{
		Vault: w.vault, Records: w.vault.Records(), PublicURL: w.url, Machine: "testbox", Logger: logger, Connection: find, Scopes: scopes, Now: w.clock.Now,
		SignIn: &consent.SignInConfig{Issuer: who.Issuer, ClientID: who.ClientID, ClientSecret: provider.NewSecret(who.ClientSecret), LoopbackHTTP: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	pages.Mount(mux)
	cfg := accounts.Config{
		Vault: w.vault, Verifier: w.tokens, Application: application, PublicURL: w.url, Connection: find, Scopes: scopes, Now: w.clock.Now, Logger: logger,
	}
	for _, c := range change {
		c(&cfg)
	}
	api, err := accounts.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	api.Mount(mux)
	return w
}

// application knows the portal, a page without a secret, and a kiosk that answers for its users.
func application(who accounts.Bearer) (accounts.Application, bool) {
	a := accounts.Application{Agent: portal(), RedirectURIs: []string{back, also}}
	switch who.Client {
	case "portal":
	case "other":
		a.Agent = vault.Agent{Issuer: "workload:", ID: "other", Name: "other", Verified: true}
	case "spa":
		a.Agent, a.Public = vault.Agent{Issuer: "https://idp.example", ID: "spa", Name: "spa", Verified: true}, true
	case "kiosk":
		a.Agent, a.Vouches = vault.Agent{Issuer: "https://idp.example", ID: "kiosk", Name: "Kiosk", Verified: true}, true
	case "inside":
		a.Addresses = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	default:
		return a, false
	}
	return a, true
}

func (w *world) google() *provider.Connection {
	w.t.Helper()
	p, _ := provider.Catalog().Lookup("google")
	reg, _ := w.box.Vendor("google")
	c, err := provider.NewConnection(provider.Registration{
		Name: "google", Provider: p, ClientID: reg.ClientID, ClientSecret: provider.NewSecret(reg.ClientSecret), LoopbackHTTP: true,
		Endpoints: provider.Endpoints{
			Issuer: reg.Issuer, Authorization: reg.Authorization, Token: reg.Token, Revocation: reg.Revocation,
			Userinfo: reg.Userinfo, JWKS: reg.JWKS, API: reg.API,
		},
	}, provider.Config{})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) open(conns ...*provider.Connection) {
	w.t.Helper()
	store, err := sqlstore.Open(w.t.Context(), sqlstore.Config{Path: filepath.Join(w.t.TempDir(), "vault.db")})
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := seal.GenerateKey(rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	w.vault, err = vault.Open(w.t.Context(), vault.Config{Store: store, Keys: []seal.Key{key}, Connections: conns, Instance: "test", Now: w.clock.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _, _ = w.vault.Close(), store.Close() })
}

// person is somebody of the sandbox as its issuer's tokens name them.
func (w *world) person(name string) vault.Person {
	w.t.Helper()
	subject := map[string]string{"alice": "4f6b1c1e-6a0d-4a53-9a3f-0c1f5b0a11ce", "bob": "b0b5d7aa-90c2-4c77-8a62-7d1d3a2e0b0b"}[name]
	return vault.Person{Caller: vault.Caller{Issuer: w.box.Issuer().Issuer, Subject: subject}, Email: name + "@example.com", EmailVerified: true}
}

// token is a good one of that person's for a client, with every scope unless some are named.
func (w *world) token(name, client string, scopes ...string) string {
	if scopes == nil {
		scopes = strings.Fields(everyOne)
	}
	raw := "me-token-canary-" + rand.Text()
	w.tokens.mu.Lock()
	defer w.tokens.mu.Unlock()
	w.tokens.good[raw] = accounts.Bearer{Person: w.person(name), Client: client, Scopes: scopes}
	return raw
}

// answered is what the API said.
type answered struct {
	status int
	header http.Header
	fields map[string]any
	raw    string
}

func (w *world) send(method, path, token, body string, header ...string) answered {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answered{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &a.fields) // not all answers have a body
	return a
}

func (a answered) want(t *testing.T, status int, texts ...string) answered {
	t.Helper()
	if a.status != status {
		t.Fatalf("answered %d, want %d: %s", a.status, status, a.raw)
	}
	for _, s := range texts {
		if !strings.Contains(a.raw, s) {
			t.Errorf("does not say %q: %s", s, a.raw)
		}
	}
	return a
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

type fields map[string]any

// encode is f with changes; nil takes a field out.
func (f fields) encode(change fields) string {
	all := maps.Clone(f)
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	raw, err := json.Marshal(all)
	if err != nil {
		panic(fmt.Sprint("encoding a test's request: ", err))
	}
	return string(raw)
}

func asking() fields {
	return fields{
		"connection": "google", "redirect_uri": back, "state": "st/+ &?#", "code_challenge": challenge(secret), "code_challenge_method": "S256",
		"scopes": []string{calendar},
	}
}

// connection is one that an application has begun.
type connection struct {
	w             *world
	uri, session  string
	code          string
	ticket, token string
}

func (w *world) connect(token string, change fields) *connection {
	w.t.Helper()
	a := w.send(http.MethodPost, "/me/v1/connected-accounts/connect", token, asking().encode(change)).want(w.t, http.StatusCreated)
	c := &connection{w: w, token: token}
	c.uri, _ = a.fields["connect_uri"].(string)
	c.session, _ = a.fields["auth_session"].(string)
	params, _ := a.fields["connect_params"].(map[string]any)
	c.ticket, _ = params["ticket"].(string)
	if c.uri == "" || c.session == "" || c.ticket == "" {
		w.t.Fatalf("connect says %s", a.raw)
	}
	return c
}

func (c *connection) link() string { return c.uri + "?ticket=" + url.QueryEscape(c.ticket) }

// complete sends the application's word, with changes.
func (c *connection) complete(token string, change fields) answered {
	c.w.t.Helper()
	f := fields{"auth_session": c.session, "connect_code": c.code, "redirect_uri": back, "code_verifier": secret}
	return c.w.send(http.MethodPost, "/me/v1/connected-accounts/complete", token, f.encode(change))
}

// visit goes the whole way of the browser, and keeps the code that the application gets.
func (c *connection) visit(b *browser, account string) url.Values {
	c.w.t.Helper()
	q := b.atGoogle(c).click("user", account).atApp(c.w.t)
	c.code = q.Get("connect_code")
	return q
}

// live says whether the account of that name lives at Google, by the sandbox's word.
func (w *world) live(user string) bool {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.boxURL+"/control/grants", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.box.ControlSecret())
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var grants []struct {
		Vendor, User string
		Live         bool
	}
	if err := json.NewDecoder(resp.Body).Decode(&grants); err != nil {
		w.t.Fatal(err)
	}
	for _, g := range grants {
		if g.Vendor == "google" && g.User == user && g.Live {
			return true
		}
	}
	return false
}

// exchange asks for a calendar token as that application would.
func (w *world) exchange(name string, agent vault.Agent) (*vault.Token, error) {
	return w.vault.Exchange(w.t.Context(), vault.Request{
		Caller: w.person(name).Caller, Agent: agent, Call: "call", Needs: []provider.Need{{Provider: "google", Groups: [][]string{{calendar}}}},
	})
}

// owned is how many accounts somebody has.
func (w *world) owned(name string) int {
	w.t.Helper()
	all, err := w.vault.Accounts(w.t.Context(), w.person(name).Caller)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(all)
}
