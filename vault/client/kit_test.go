package client_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault/client"
)

const appSecret = "app-secret-canary-91b2"

// clock is a time that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// ask is one exchange as it arrived.
type ask struct {
	Form   url.Values
	Header http.Header
}

// grantry is a token endpoint written from RFC 8693: each subject token has a token at the vendor, which counts up when it is refreshed.
type grantry struct {
	*httptest.Server
	clock *clock

	mu      sync.Mutex
	asks    []ask
	gen     map[string]int
	expires int                                        // expires_in of a fresh token
	base    string                                     // api_base
	answer  func(http.ResponseWriter, url.Values) bool // instead, when it says true
}

func newGrantry(t *testing.T) *grantry {
	t.Helper()
	g := &grantry{clock: &clock{now: time.Now()}, gen: map[string]int{}, expires: 3570}
	g.Server = httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(g.Close)
	return g
}

func (g *grantry) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	g.mu.Lock()
	g.asks = append(g.asks, ask{r.PostForm, r.Header.Clone()})
	answer, who := g.answer, r.PostForm.Get("subject_token")
	g.mu.Unlock()
	if answer != nil && answer(w, r.PostForm) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{
		"access_token": fmt.Sprintf("vendor-canary-%s-%s-%d", who, r.PostForm.Get("connection"), g.gen[who]),
		"token_type":   "Bearer", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
		"expires_in": g.expires, "scope": "a b", "api_base": g.base,
	})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (g *grantry) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// refresh has the vault hold a new token for that subject.
func (g *grantry) refresh(who string) { g.set(func() { g.gen[who]++ }) }

func (g *grantry) seen() []ask {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]ask(nil), g.asks...)
}

func (g *grantry) client(t *testing.T, change ...func(*client.Config)) *client.Client {
	t.Helper()
	cfg := client.Config{BaseURL: g.URL, ClientID: "nightly", Secret: client.Fixed(appSecret), Now: g.clock.Now}
	for _, f := range change {
		f(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func token(t *testing.T, s *client.Source) string {
	t.Helper()
	got, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got.Access.Reveal()
}

// api is a vendor that takes one token at a time.
type api struct {
	*httptest.Server
	mu    sync.Mutex
	good  string // "" = any
	calls []call
}

type call struct{ Path, Bearer, Host, Body string }

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	body := new(strings.Builder)
	_, _ = fmt.Fprint(body, readAll(r))
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	a.mu.Lock()
	a.calls = append(a.calls, call{r.URL.Path, bearer, r.Host, body.String()})
	good := a.good
	a.mu.Unlock()
	switch {
	case r.URL.Query().Has("to"):
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusTemporaryRedirect)
	case good != "" && bearer != good:
		http.Error(w, "token is over", http.StatusUnauthorized)
	default:
		_, _ = w.Write([]byte("events"))
	}
}

func (a *api) takes(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.good = token
}

func (a *api) seen() []call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]call(nil), a.calls...)
}

func (a *api) host() string { return strings.TrimPrefix(a.URL, "http://") }
