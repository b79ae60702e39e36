package vault_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

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

// bench is a vault on a new SQLite file with one vendor, connection "files".
type bench struct {
	*vault.Vault
	t      *testing.T
	vendor *vendor
	clock  *clock
	keys   []seal.Key
	path   string
	server string // URL of a PostgreSQL database, "" = the file at path
	log    *bytes.Buffer
	logger *slog.Logger // of all that open, into log
	store  vault.Store
	conns  []*provider.Connection
}

func newBench(t *testing.T, change ...func(*vault.Config)) *bench {
	t.Helper()
	return newBenchOn(t, "", change...)
}

// newBenchOn is newBench on a PostgreSQL database.
func newBenchOn(t *testing.T, server string, change ...func(*vault.Config)) *bench {
	t.Helper()
	key, err := seal.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	b := &bench{
		t: t, vendor: newVendor(t, c.Now), clock: c,
		keys: []seal.Key{key}, path: filepath.Join(t.TempDir(), "vault.db"), server: server, log: new(bytes.Buffer),
	}
	b.logger = slog.New(slog.NewTextHandler(&locked{w: b.log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.conns = []*provider.Connection{b.vendor.connection("files")}
	b.Vault = b.open("p1", change...)
	return b
}

// openStore opens the bench's database: a file, or the server that it names.
func (b *bench) openStore() vault.Store {
	b.t.Helper()
	var store vault.Store
	var err error
	if b.server != "" {
		store, err = sqlstore.OpenPostgres(b.t.Context(), sqlstore.PostgresConfig{URL: provider.NewSecret(b.server)})
	} else {
		store, err = sqlstore.Open(b.t.Context(), sqlstore.Config{Path: b.path})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return store
}

// open opens the same database once more, as another process would.
func (b *bench) open(instance string, change ...func(*vault.Config)) *vault.Vault {
	b.t.Helper()
	b.store = b.openStore()
	store := b.store
	b.t.Cleanup(func() { _ = store.Close() })
	cfg := vault.Config{
		Store: store, Keys: b.keys, Connections: b.conns, Instance: instance, Now: b.clock.Now,
		Logger: b.logger,
	}
	for _, f := range change {
		f(&cfg)
	}
	v, err := vault.Open(b.t.Context(), cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = v.Close() })
	return v
}

// locked makes a buffer safe for the log of several goroutines.
type locked struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

var (
	alice = vault.Person{Caller: vault.Caller{Issuer: "https://idp.example", Subject: "alice"}, Email: "alice@example.com", EmailVerified: true}
	bob   = vault.Person{Caller: vault.Caller{Issuer: "https://idp.example", Subject: "bob"}, Email: "bob@example.com", EmailVerified: true}
	agent = vault.Agent{Issuer: "https://idp.example", ID: "claude", Name: "Claude Code"}
	read  = provider.Need{Provider: "oauth2", Groups: [][]string{{"files.read"}}}
)

func request(p vault.Person, a vault.Agent, needs ...provider.Need) vault.Request {
	if len(needs) == 0 {
		needs = []provider.Need{read}
	}
	return vault.Request{Caller: p.Caller, Agent: a, Needs: needs, Tool: "files_list", Call: "call-1"}
}

// lack is the ConsentError of an exchange that must give none.
func (b *bench) lack(r vault.Request) *vault.ConsentError {
	b.t.Helper()
	tok, err := b.Exchange(b.t.Context(), r)
	var e *vault.ConsentError
	if !errors.As(err, &e) {
		b.t.Fatalf("exchange gave %v, %v; want a ConsentError", tok, err)
	}
	return e
}

func (b *bench) ticket(p vault.Person, a vault.Agent, need *vault.ConsentError) vault.Ticket {
	b.t.Helper()
	t, _, err := b.OpenTicket(b.t.Context(), vault.TicketRequest{Owner: p, Agent: a, Tool: "files_list", Need: need})
	if err != nil {
		b.t.Fatal(err)
	}
	return t
}

const redirect = "http://127.0.0.1:8787/callback/files"

func answer(b *bench, t vault.Ticket, p vault.Person) vault.Answer {
	return vault.Answer{Handle: b.Handle(t), Person: p, RedirectURI: redirect, Session: "session-" + p.Subject}
}

// allow presses Allow and answers the callback that the vendor would send.
func (b *bench) allow(t vault.Ticket, p vault.Person) vault.Callback {
	b.t.Helper()
	s, err := b.Allow(b.t.Context(), answer(b, t, p))
	if err != nil {
		b.t.Fatal(err)
	}
	return callback(b.t, s, p)
}

func callback(t *testing.T, s vault.Start, p vault.Person) vault.Callback {
	t.Helper()
	u, err := url.Parse(s.AuthURL)
	if err != nil || u.Query().Get("state") == "" {
		t.Fatalf("authorization URL %q: %v", s.AuthURL, err)
	}
	return vault.Callback{
		Connection: "files", State: u.Query().Get("state"), Code: "code-canary", Cookie: s.Cookie,
		Session: "session-" + p.Subject, Person: p,
	}
}

// connect goes the whole way for one agent, and answers the account.
func (b *bench) connect(p vault.Person, a vault.Agent) vault.Account {
	b.t.Helper()
	t := b.ticket(p, a, b.lack(request(p, a)))
	_, acc, err := b.Finish(b.t.Context(), b.allow(t, p))
	if err != nil {
		b.t.Fatal(err)
	}
	return acc
}

// token exchanges and must succeed.
func (b *bench) token(r vault.Request) *vault.Token {
	b.t.Helper()
	tok, err := b.Exchange(b.t.Context(), r)
	if err != nil {
		b.t.Fatalf("exchange: %v", err)
	}
	return tok
}

// failure is the FlowError of a callback that must not become a grant.
func (b *bench) failure(c vault.Callback) *vault.FlowError {
	b.t.Helper()
	_, acc, err := b.Finish(b.t.Context(), c)
	var e *vault.FlowError
	if !errors.As(err, &e) {
		b.t.Fatalf("finish gave %v, %v; want a FlowError", acc, err)
	}
	return e
}
