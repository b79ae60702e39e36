package authserver_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp/authserver"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

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

// pages stand in for package consent: a cookie says who is signed in.
type pages struct{}

// Visitor reads the cookie "person".
func (pages) Visitor(w http.ResponseWriter, r *http.Request) (vault.Person, bool) {
	c, err := r.Cookie("person")
	if err != nil {
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
		return vault.Person{}, false
	}
	return person(c.Value), true
}

// RefuseClient answers with the code.
func (pages) RefuseClient(w http.ResponseWriter, _ *http.Request, why string) {
	http.Error(w, why, http.StatusBadRequest)
}

func person(name string) vault.Person {
	return vault.Person{Caller: vault.Caller{Issuer: "https://login.example", Subject: name}, Name: name}
}

// world is a server on a real vault, behind a real listener.
type world struct {
	*authserver.Server
	t     *testing.T
	v     *vault.Vault
	store *sqlstore.Store
	key   seal.Key
	clock *clock
	base  string
	docs  *published
	cfg   authserver.Config
	wrap  func(authserver.Records) authserver.Records // nil = as they are
}

const (
	confidentialClient = "intranet"
	confidentialSecret = "the-secret-of-the-intranet"
	webRedirect        = "https://app.example/callback"
	localRedirect      = "http://127.0.0.1:6276/oauth/callback"
	verifier           = "a-verifier-of-forty-three-letters-or-more-is-needed"
)

func newWorld(t *testing.T, change ...func(*authserver.Config)) *world {
	t.Helper()
	key, err := seal.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, key: key, clock: &clock{now: time.Now().UTC()}, docs: &published{docs: map[string]doc{}}}
	if w.store, err = sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "vault.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	w.cfg = authserver.Config{
		Pages: pages{}, Registration: true, Fetch: w.docs.get, FetchKeys: w.docs.get, Now: w.clock.Now,
		Clients: map[string]authserver.Client{
			confidentialClient: {Secret: provider.NewSecret(confidentialSecret), RedirectURIs: []string{webRedirect}},
			"desk":             {RedirectURIs: []string{localRedirect}},
		},
	}
	for _, c := range change {
		c(&w.cfg)
	}
	w.start("first")
	return w
}

// start opens the vault and serves it; a second one is another replica on the same store.
func (w *world) start(instance string) *world {
	w.t.Helper()
	out := *w
	var err error
	if out.v, err = vault.Open(w.t.Context(), vault.Config{Store: w.store, Keys: []seal.Key{w.key}, Instance: instance, Now: w.clock.Now}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = out.v.Close() })
	mux := http.NewServeMux()
	srv := httptest.NewUnstartedServer(mux)
	base := "http://" + srv.Listener.Addr().String()
	if out.cfg.PublicURL == "" {
		out.cfg.PublicURL = base
	}
	out.cfg.Vault, out.cfg.Records = out.v, out.v.Records()
	if out.wrap != nil {
		out.cfg.Records = out.wrap(out.cfg.Records)
	}
	if out.Server, err = authserver.New(out.cfg); err != nil {
		w.t.Fatal(err)
	}
	out.Mount(mux)
	mux.Handle("POST /oauth/token", out.Token())
	srv.Start()
	w.t.Cleanup(srv.Close)
	out.base = base
	if w.Server == nil {
		*w = out
	}
	return &out
}

// doc is a metadata document as its site gives it.
type doc struct {
	header http.Header
	body   string
	err    error
}

// published are the documents of the test's internet; it counts who asks.
type published struct {
	mu    sync.Mutex
	docs  map[string]doc
	asked int
}

func (p *published) get(_ context.Context, address string) (http.Header, []byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	d, ok := p.docs[address]
	if !ok {
		return nil, nil, errors.New("HTTP 404")
	}
	return d.header, []byte(d.body), d.err
}

func (p *published) put(address string, fields map[string]any, header ...string) {
	raw, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.docs[address] = doc{header: h, body: string(raw)}
}

// browser is a person's browser. It follows no redirect by itself.
type browser struct {
	*http.Client
	w *world
}

func (w *world) browser(who string) *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	b := &browser{w: w, Client: &http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if who != "" {
		at, _ := url.Parse(w.base)
		jar.SetCookies(at, []*http.Cookie{{Name: "person", Value: who}})
	}
	return b
}

// page is what came back.
type page struct {
	status   int
	body     string
	location *url.URL
	header   http.Header
}

func (b *browser) open(address string) page {
	b.w.t.Helper()
	resp, err := b.Get(address)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return read(b.w.t, resp)
}

func read(t *testing.T, resp *http.Response) page {
	t.Helper()
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	at, _ := resp.Location()
	return page{resp.StatusCode, string(body), at, resp.Header}
}

func s256(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// asking is a good authorization request, with changes: name, value, …; an empty value leaves it out.
func (w *world) asking(client, redirect string, change ...string) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirect}, "state": {"the-state"},
		"code_challenge": {s256(verifier)}, "code_challenge_method": {"S256"}, "resource": {w.cfg.PublicURL + "/mcp"}, "scope": {"tools:read"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		if q.Del(change[i]); change[i+1] != "" {
			q.Set(change[i], change[i+1])
		}
	}
	return w.base + "/oauth/authorize?" + q.Encode()
}

// allow answers the ticket at that address as its page does, and answers where the browser goes on.
func (w *world) allow(at *url.URL, who string, also ...string) string {
	w.t.Helper()
	handle := strings.TrimPrefix(at.Path, "/consent/")
	t, err := w.v.AllowClient(w.t.Context(), vault.Answer{Handle: handle, Person: person(who), Also: also})
	if err != nil {
		w.t.Fatalf("answering the ticket at %s: %v", at, err)
	}
	return w.base + t.Client.Continue
}

// code goes all the way to a code, in a browser of its own.
func (w *world) code(client, redirect string, change ...string) string {
	w.t.Helper()
	b := w.browser("alice")
	p := b.open(w.asking(client, redirect, change...))
	if p.status != http.StatusSeeOther || !strings.HasPrefix(p.location.Path, "/consent/") {
		w.t.Fatalf("the request led to %d %v: %s", p.status, p.location, p.body)
	}
	p = b.open(w.allow(p.location, "alice"))
	if p.status != http.StatusSeeOther || p.location.Query().Get("code") == "" {
		w.t.Fatalf("the answer led to %d %v: %s", p.status, p.location, p.body)
	}
	return p.location.Query().Get("code")
}

// answer is what the token endpoint says.
type answer struct {
	Status  int    `json:"-"`
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	Scope   string `json:"scope"`
	ID      string `json:"id_token"`
	Error   string `json:"error"`
	raw     string
	header  http.Header
}

func (w *world) post(path string, form url.Values, basic ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(basic) == 2 {
		req.SetBasicAuth(basic[0], basic[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	p := read(w.t, resp)
	a := answer{Status: p.status, raw: p.body, header: p.header}
	if p.body != "" {
		if err := json.Unmarshal([]byte(p.body), &a); err != nil {
			w.t.Fatalf("%s answered %d %q: %v", path, p.status, p.body, err)
		}
	}
	return a
}

func (w *world) redeem(code, client, redirect string, change ...string) answer {
	w.t.Helper()
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "client_id": {client}, "redirect_uri": {redirect},
		"code_verifier": {verifier}, "resource": {w.cfg.PublicURL + "/mcp"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		if form.Del(change[i]); change[i+1] != "" {
			form.Set(change[i], change[i+1])
		}
	}
	return w.post("/oauth/token", form)
}

func (w *world) refresh(token, client string) answer {
	w.t.Helper()
	return w.post("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {client}})
}

// register registers a public native client.
func (w *world) register(redirects ...string) string {
	w.t.Helper()
	status, got := w.tryRegister(map[string]any{"redirect_uris": redirects, "client_name": "Test client", "token_endpoint_auth_method": "none"})
	if status != http.StatusCreated {
		w.t.Fatalf("registering answered %d %v", status, got)
	}
	return got["client_id"].(string)
}

func (w *world) tryRegister(fields map[string]any) (int, map[string]any) {
	w.t.Helper()
	raw, err := json.Marshal(fields)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.Post(w.base+"/oauth/register", "application/json", strings.NewReader(string(raw)))
	if err != nil {
		w.t.Fatal(err)
	}
	p := read(w.t, resp)
	var got map[string]any
	_ = json.Unmarshal([]byte(p.body), &got) // a 404 is no JSON
	return p.status, got
}

func (w *world) json(path string) map[string]any {
	w.t.Helper()
	resp, err := http.Get(w.base + path)
	if err != nil {
		w.t.Fatal(err)
	}
	p := read(w.t, resp)
	var m map[string]any
	if err := json.Unmarshal([]byte(p.body), &m); err != nil || p.status != http.StatusOK {
		w.t.Fatalf("%s answered %d %s", path, p.status, p.body)
	}
	return m
}
