package consent_test

import (
	"bytes"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// world is a vault's pages on a real port, with everything around them.
type world struct {
	t       *testing.T
	url     string
	srv     *httptest.Server
	vault   *fakeVault
	records *fakeRecords
	issuer  *fakeIssuer // nil on a local vault
	clock   *clock
	log     *lockedBuffer
	cfg     consent.Config
	signIn  *consent.SignInConfig
	front   func(r *http.Request) // sees a request before the pages do
	pages   atomic.Pointer[http.ServeMux]
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

type option func(w *world)

// withTLS serves on https.
func withTLS(w *world) { w.srv.StartTLS(); w.url = w.srv.URL; w.cfg.PublicURL = w.srv.URL }

// local makes it a local vault of alice's, with browsers that are known to be hers.
func local(w *world) {
	p := person("local:v1", "alice")
	w.cfg.SignIn, w.cfg.Local = nil, &p
	w.cfg.Peer = func(*http.Request) error { return nil }
}

func newWorld(t *testing.T, opts ...option) *world {
	t.Helper()
	c := &clock{t: time.Now().Truncate(time.Second)}
	w := &world{
		t: t, clock: c, vault: newFakeVault(c.Now), records: &fakeRecords{now: c.Now, rows: map[string]fakeRecord{}},
		issuer: newFakeIssuer(t, c.Now), log: &lockedBuffer{},
	}
	w.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.front != nil {
			w.front(r)
		}
		w.pages.Load().ServeHTTP(rw, r)
	}))
	w.url = "http://" + w.srv.Listener.Addr().String()
	w.cfg = consent.Config{
		Vault: w.vault, Records: w.records, PublicURL: w.url, Machine: "testbox", Connection: testConnections(t), Now: c.Now,
		Logger: slog.New(slog.NewTextHandler(w.log, nil)),
		SignIn: &consent.SignInConfig{
			Issuer: w.issuer.url, ClientID: "grantry", ClientSecret: provider.NewSecret("issuer-secret"), LoopbackHTTP: true,
		},
	}
	w.signIn = w.cfg.SignIn
	for _, o := range opts {
		o(w)
	}
	w.mount(w.cfg)
	if w.srv.URL == "" {
		w.srv.Start()
	}
	t.Cleanup(w.srv.Close)
	return w
}

// mount puts fresh pages in front, as after a restart with another config.
func (w *world) mount(cfg consent.Config) {
	w.t.Helper()
	h, err := consent.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Mount(mux)
	w.pages.Store(mux)
}

// testConnections are Google and Slack as the catalog has them.
func testConnections(t *testing.T) func(string) (*provider.Connection, bool) {
	t.Helper()
	conns := map[string]*provider.Connection{}
	for _, name := range []string{"google", "slack"} {
		p, ok := provider.Catalog().Lookup(name)
		if !ok {
			t.Fatalf("the catalog has no %s", name)
		}
		c, err := provider.NewConnection(provider.Registration{
			Name: name, Provider: p, ClientID: "id", ClientSecret: provider.NewSecret("s"),
			Endpoints: provider.Endpoints{Authorization: "https://" + name + ".vendor.example/authorize"},
		}, provider.Config{})
		if err != nil {
			t.Fatal(err)
		}
		conns[name] = c
	}
	return func(name string) (*provider.Connection, bool) { c, ok := conns[name]; return c, ok }
}

func person(issuer, name string) vault.Person {
	return vault.Person{Caller: vault.Caller{Issuer: issuer, Subject: "sub-" + name}, Email: name + "@example.com", EmailVerified: true, Name: name}
}

// owner is a person as this world's vault knows them.
func (w *world) owner(name string) vault.Person {
	if w.cfg.Local != nil {
		return *w.cfg.Local
	}
	return person(w.issuer.url, name)
}

const calendarScope = "https://www.googleapis.com/auth/calendar.readonly"

// request is a ticket by an agent that wants to read a calendar.
func (w *world) request(owner string) vault.Ticket {
	return vault.Ticket{
		Kind: vault.KindConnect, Owner: w.owner(owner), Tool: "calendar_list_events", Reason: vault.NotConnected,
		Agent:   vault.Agent{ID: "stdio:claude", Name: "Claude Code", Host: "claude.example"},
		Options: []vault.Option{{Connection: "google", Scopes: []string{calendarScope}, Missing: []string{calendarScope}, VendorNeeded: true}},
	}
}

// browser is one person's browser: a cookie jar, and whom they sign in as.
type browser struct {
	w    *world
	as   string
	http *http.Client
	head http.Header // sent with every request
}

func (w *world) browser(as string) *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w: w, as: as, head: http.Header{}, http: &http.Client{
		Jar: jar, Transport: w.srv.Client().Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// page is an answer that was read.
type page struct {
	status int
	header http.Header
	body   string
	url    string
}

func (b *browser) do(method, to string, body io.Reader) page {
	b.w.t.Helper()
	if strings.HasPrefix(to, "/") {
		to = b.w.url + to
	}
	r, err := http.NewRequestWithContext(b.w.t.Context(), method, to, body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range b.head {
		r.Header[k] = v
	}
	resp, err := b.http.Do(r)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return page{status: resp.StatusCode, header: resp.Header, body: string(text), url: to}
}

// once is a GET without following anything.
func (b *browser) once(to string) page { b.w.t.Helper(); return b.do(http.MethodGet, to, nil) }

// get follows redirects as a browser does, signing in at the issuer as b.as.
func (b *browser) get(to string) page {
	b.w.t.Helper()
	return b.follow(b.once(to))
}

func (b *browser) follow(p page) page {
	b.w.t.Helper()
	for range 10 {
		if p.status != http.StatusSeeOther && p.status != http.StatusFound {
			return p
		}
		p = b.once(b.next(p))
	}
	b.w.t.Fatalf("redirects without end, last to %s", p.header.Get("Location"))
	return p
}

// next is where a redirect leads; at the issuer the person says who they are.
func (b *browser) next(p page) string {
	b.w.t.Helper()
	from, err1 := url.Parse(p.url)
	to, err2 := from.Parse(p.header.Get("Location"))
	if err1 != nil || err2 != nil {
		b.w.t.Fatal("redirect to nowhere")
	}
	if b.w.issuer != nil && b.w.issuer.url == to.Scheme+"://"+to.Host {
		q := to.Query()
		q.Set("as", b.as)
		to.RawQuery = q.Encode()
	}
	return to.String()
}

// post sends a form, with the page's token in it unless the form has one.
func (b *browser) post(to string, from page, kv ...string) page {
	b.w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		form.Add(kv[i], kv[i+1])
	}
	if !form.Has("csrf") {
		form.Set("csrf", from.field(b.w.t, "csrf"))
	}
	return b.do(http.MethodPost, to, strings.NewReader(form.Encode()))
}

var fieldValue = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// field is the value of the first hidden input of that name.
func (p page) field(t *testing.T, name string) string {
	t.Helper()
	for _, m := range fieldValue.FindAllStringSubmatch(p.body, -1) {
		if m[1] == name {
			return html.UnescapeString(m[2])
		}
	}
	t.Fatalf("no field %s on the page:\n%s", name, p.text())
	return ""
}

var (
	bold     = regexp.MustCompile(`</?(?:strong|bdi)[^>]*>`)
	anyTag   = regexp.MustCompile(`<[^>]*>`)
	unfilled = regexp.MustCompile(`\{[a-z_.]+\}`) // a message without words, or without a value
	blanks   = regexp.MustCompile(`\s+`)
	refresh  = regexp.MustCompile(`<meta http-equiv="refresh" content="\d+;url=([^"]*)">`)
)

// text is what a person reads.
func (p page) text() string {
	plain := anyTag.ReplaceAllString(bold.ReplaceAllString(p.body, ""), " ")
	return strings.TrimSpace(blanks.ReplaceAllString(html.UnescapeString(plain), " "))
}

// refresh is where the page moves on to.
func (p page) refresh(t *testing.T) *url.URL {
	t.Helper()
	m := refresh.FindStringSubmatch(p.body)
	if m == nil {
		t.Fatalf("the page does not move on:\n%s", p.text())
	}
	u, err := url.Parse(html.UnescapeString(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (p page) want(t *testing.T, status int, texts ...string) page {
	t.Helper()
	if p.status != status {
		t.Fatalf("%s answered %d, want %d:\n%s", p.url, p.status, status, p.text())
	}
	if gap := unfilled.FindString(p.text()); gap != "" {
		t.Errorf("%s shows %s:\n%s", p.url, gap, p.text())
	}
	for _, s := range texts {
		if !strings.Contains(p.text(), s) {
			t.Errorf("%s does not say %q:\n%s", p.url, s, p.text())
		}
	}
	return p
}

func (p page) without(t *testing.T, texts ...string) page {
	t.Helper()
	for _, s := range texts {
		if strings.Contains(p.body, s) || strings.Contains(p.text(), s) {
			t.Errorf("%s shows %q:\n%s", p.url, s, p.text())
		}
	}
	return p
}

func encode(kv ...string) string {
	v := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return v.Encode()
}

// allow opens a ticket's page, presses Allow and answers the page that moves on.
func (b *browser) allow(handle string) page {
	b.w.t.Helper()
	p := b.get("/consent/"+handle).want(b.w.t, http.StatusOK)
	return b.post("/consent/"+handle, p, "answer", "allow").want(b.w.t, http.StatusOK)
}

// callbackOf is the vendor's redirect for a page that moved on.
func callbackOf(t *testing.T, p page, kv ...string) string {
	t.Helper()
	return "/callback/google?" + encode(append([]string{"state", p.refresh(t).Query().Get("state"), "code", "vendor-code"}, kv...)...)
}

func port(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	_, p, err := net.SplitHostPort(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
