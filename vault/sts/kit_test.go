package sts_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
	"github.com/grantry/grantry/vault/sts"
)

const (
	publicURL = "https://vault.example.com"
	idp       = "https://idp.example"
	secret    = "workload-secret-canary-6f1c"
	access    = "urn:ietf:params:oauth:token-type:access_token"
	refresh   = "urn:ietf:params:oauth:token-type:refresh_token"
	jwt       = "urn:ietf:params:oauth:token-type:jwt"
	federated = "http://auth0.com/oauth/token-type/federated-connection-access-token"
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

// log is where everything is logged to, safe for several goroutines.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// idpTokens stands for the verifier: what is in it is good.
type idpTokens struct {
	mu   sync.Mutex
	good map[string]sts.Subject
	err  error // instead of an answer
}

func (i *idpTokens) Verify(_ context.Context, raw string) (sts.Subject, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return sts.Subject{}, i.err
	}
	if s, ok := i.good[raw]; ok {
		return s, nil
	}
	return sts.Subject{}, &sts.TokenError{Check: "signature"}
}

// issue makes a good token for someone, addressed to the vault unless changed.
func (i *idpTokens) issue(subject string, change ...func(*sts.Subject)) string {
	s := sts.Subject{
		Person: vault.Person{Caller: vault.Caller{Issuer: idp, Subject: subject}, Email: subject + "@example.com", EmailVerified: true},
		ID:     "jti-" + subject, Client: "spa", Audience: []string{publicURL + "/"},
	}
	for _, f := range change {
		f(&s)
	}
	raw := "subject-canary-" + rand.Text()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.good[raw] = s
	return raw
}

// loginTokens stand for the refresh tokens of the built-in server: client and token → who.
type loginTokens map[[2]string]vault.Person

func (l loginTokens) Presented(_ context.Context, client, token string) (vault.Person, error) {
	if p, ok := l[[2]string{client, token}]; ok {
		return p, nil
	}
	return vault.Person{}, sts.ErrUnknownToken
}

// world is a vault on a new SQLite file with one vendor, connections "files" and
// "mail", and the token endpoint over it.
type world struct {
	*vault.Vault
	t      testing.TB
	vendor *vendor
	clock  *clock
	log    *log
	idp    *idpTokens
	logins loginTokens
	sts    *sts.Server
	cfg    sts.Config
	path   string
	keys   []seal.Key
}

func newWorld(t testing.TB, change ...func(*sts.Config)) *world {
	t.Helper()
	key, err := seal.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, vendor: newVendor(t), clock: &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}, log: new(log),
		idp: &idpTokens{good: map[string]sts.Subject{}}, logins: loginTokens{}, path: filepath.Join(t.TempDir(), "vault.db"), keys: []seal.Key{key},
	}
	w.Vault = w.open("p1")
	w.cfg = sts.Config{
		PublicURL: publicURL, Verifier: w.idp, Logins: w.logins, Issuers: []string{idp}, Now: w.clock.Now, Logger: w.logger(),
		Workloads: map[string]sts.Workload{
			"nightly": {Secret: provider.NewSecret(secret), Connections: map[string][]string{"files": {"files.all", "mail.read"}}, Audiences: []string{"https://api.example.com"}, SignsIn: true},
			"reports": {Secret: provider.NewSecret("another-" + secret), Connections: map[string][]string{"mail": {"mail.read"}}},
		},
	}
	for _, f := range change {
		f(&w.cfg)
	}
	w.sts = w.over(w.Vault)
	return w
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// open opens the database once more, as another process would.
func (w *world) open(instance string) *vault.Vault {
	w.t.Helper()
	store, err := sqlstore.Open(w.t.Context(), sqlstore.Config{Path: w.path})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = store.Close() })
	v, err := vault.Open(w.t.Context(), vault.Config{
		Store: store, Keys: w.keys, Instance: instance, Now: w.clock.Now, Logger: w.logger(), Limits: vault.Limits{OpenTickets: 3},
		Connections: []*provider.Connection{w.vendor.connection("files", w.clock.Now), w.vendor.connection("mail", w.clock.Now)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = v.Close() })
	return v
}

// over makes the token endpoint of a vault.
func (w *world) over(v *vault.Vault) *sts.Server {
	w.t.Helper()
	cfg := w.cfg
	cfg.Vault, cfg.Records, cfg.Connection = v, v.Records(), v.Connection
	s, err := sts.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// reply is an answer of the endpoint.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (r reply) str(name string) string { s, _ := r.body[name].(string); return s }

func (r reply) String() string { return fmt.Sprintf("%d %s", r.status, r.raw) }

// sent is one request, which a test may change.
type sent struct {
	*http.Request
	form url.Values
}

// basic is a request that proves itself as nightly and exchanges a subject token of alice's.
func (w *world) send(change ...func(*sent)) reply {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, publicURL+sts.TokenPath, nil)
	r.RemoteAddr = "203.0.113.7:4444"
	s := &sent{Request: r, form: url.Values{
		"grant_type": {sts.GrantType}, "subject_token_type": {access}, "connection": {"files"}, "scope": {"files.read"},
		"client_id": {"nightly"}, "client_secret": {secret},
	}}
	for _, f := range change {
		f(s)
	}
	if !s.form.Has("subject_token") {
		s.form.Set("subject_token", w.idp.issue("alice"))
	}
	out := httptest.NewRecorder()
	w.sts.Exchange(out, s.Request, s.form)
	got := reply{status: out.Code, header: out.Header(), raw: out.Body.String()}
	if err := json.Unmarshal(out.Body.Bytes(), &got.body); err != nil {
		w.t.Fatalf("the answer is no JSON: %q", got.raw)
	}
	if out.Header().Get("Content-Type") != "application/json" || out.Header().Get("Cache-Control") != "no-store" {
		w.t.Errorf("headers %v", out.Header())
	}
	if out.Code != http.StatusOK && (got.str("error") == "" || got.str("error_description") == "") {
		w.t.Errorf("not an OAuth error: %s", got)
	}
	return got
}

// with sets parameters; "" takes one away.
func with(pairs ...string) func(*sent) {
	return func(s *sent) {
		for i := 0; i < len(pairs); i += 2 {
			if s.form.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
				s.form.Del(pairs[i])
			}
		}
	}
}

// auth0 sends it by Auth0's names.
func auth0(s *sent) {
	s.form.Set("grant_type", sts.Auth0GrantType)
	s.form.Set("requested_token_type", federated)
}

// follow goes the way behind consent_uri as its person, and connects an account with those scopes.
func (w *world) follow(r reply, subject, scopes string) {
	w.t.Helper()
	handle, ok := strings.CutPrefix(r.str("consent_uri"), publicURL+"/consent/")
	if !ok {
		w.t.Fatalf("no link: %s", r)
	}
	who := vault.Person{Caller: vault.Caller{Issuer: idp, Subject: subject}, Email: subject + "@vendor.example", EmailVerified: true}
	start, err := w.Allow(w.t.Context(), vault.Answer{Handle: handle, Person: who, RedirectURI: publicURL + "/callback/files", Session: "s-" + subject})
	if err != nil {
		w.t.Fatal(err)
	}
	if start.AuthURL == "" {
		return
	}
	u, err := url.Parse(start.AuthURL)
	if err != nil {
		w.t.Fatal(err)
	}
	_, _, err = w.Finish(w.t.Context(), vault.Callback{
		Connection: start.Ticket.Options[0].Connection, State: u.Query().Get("state"), Code: "code." + subject + "." + strings.ReplaceAll(scopes, " ", "+"), Cookie: start.Cookie,
		Session: "s-" + subject, Person: who,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// connect lets a person connect an account for nightly.
func (w *world) connect(subject, scopes string) {
	w.t.Helper()
	w.follow(w.send(with("subject_token", w.idp.issue(subject), "scope", scopes)), subject, scopes)
}

// audit is everything that the audit says, as text.
func (w *world) audit() string {
	w.t.Helper()
	var b strings.Builder
	for e, err := range w.AuditLog(w.t.Context(), vault.AuditQuery{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		line, err := json.Marshal(e)
		if err != nil {
			w.t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

// refused checks a refusal by status and code.
func refused(t *testing.T, what string, r reply, status int, code string) {
	t.Helper()
	if r.status != status || r.str("error") != code || r.str("access_token") != "" {
		t.Errorf("%s: %s, want %d %s", what, r, status, code)
	}
}
