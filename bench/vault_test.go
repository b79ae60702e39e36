package bench_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

const callers = 16

// newVendor answers every code and refresh token with a token of the same person.
func newVendor(b *testing.B, spent *atomic.Int64) *httptest.Server {
	var n atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("refresh_token") != "" {
			spent.Add(1)
		}
		who, _, _ := strings.Cut(r.FormValue("code")+r.FormValue("refresh_token"), "~")
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"access_token": fmt.Sprintf("%s~a%d", who, n.Add(1)), "refresh_token": fmt.Sprintf("%s~r%d", who, n.Add(1)),
			"expires_in": 3600, "token_type": "Bearer",
		})
	})
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, r *http.Request) {
		who, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "~")
		_ = json.NewEncoder(w).Encode(map[string]any{"sub": who})
	})
	srv := httptest.NewServer(mux)
	b.Cleanup(srv.Close)
	return srv
}

// world is a vault with one connected account per caller.
type world struct {
	*vault.Vault
	cfg   vault.Config
	store vault.Store
	conn  *provider.Connection
	key   seal.Key
	ahead atomic.Int64 // of the clock, in nanoseconds
	spent atomic.Int64 // refresh tokens
}

var agent = vault.Agent{ID: "stdio:bench"}

func caller(i int) vault.Person {
	return vault.Person{Caller: vault.Caller{Issuer: "local:bench", Subject: fmt.Sprintf("user%d", i)}}
}

func request(i int) vault.Request {
	need := provider.Need{Provider: "oauth2", Groups: [][]string{{"files.read"}}}
	return vault.Request{Caller: caller(i).Caller, Agent: agent, Needs: []provider.Need{need}, Tool: "files_list", Call: "call"}
}

func newWorld(b *testing.B, change ...func(*vault.Config)) *world {
	b.Helper()
	key, err := seal.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	return newWorldAt(b, filepath.Join(b.TempDir(), "vault.db"), []seal.Key{key}, change...)
}

func newWorldAt(b *testing.B, path string, keys []seal.Key, change ...func(*vault.Config)) *world {
	b.Helper()
	w := new(world)
	now := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	srv := newVendor(b, &w.spent)
	host, _ := url.Parse(srv.URL)
	p, _ := provider.Catalog().Lookup("oauth2")
	conn, err := provider.NewConnection(provider.Registration{
		Name: "files", Provider: p, ClientID: "bench", ClientSecret: provider.NewSecret("secret"), LoopbackHTTP: true, APIHosts: []string{host.Host},
		Endpoints: provider.Endpoints{Authorization: srv.URL + "/authorize", Token: srv.URL + "/token", Userinfo: srv.URL + "/userinfo"},
	}, provider.Config{Now: now})
	if err != nil {
		b.Fatal(err)
	}
	store, err := sqlstore.Open(b.Context(), sqlstore.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	w.store, w.conn, w.key = store, conn, keys[0]
	cfg := vault.Config{
		Store: store, Keys: keys, Connections: []*provider.Connection{conn}, Instance: "bench", Now: now, AccessTTL: 1e6 * time.Hour,
	}
	for _, f := range change {
		f(&cfg)
	}
	w.cfg = cfg
	w.open(b, cfg)
	b.Cleanup(func() { _ = w.Close() })
	for i := range callers {
		w.connect(b, i)
	}
	return w
}

func (w *world) open(b *testing.B, cfg vault.Config) {
	b.Helper()
	var err error
	if w.Vault, err = vault.Open(b.Context(), cfg); err != nil {
		b.Fatal(err)
	}
}

func (w *world) connect(b *testing.B, i int) {
	b.Helper()
	p := caller(i)
	need := &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{{Connection: "files", Scopes: []string{"files.read"}, VendorNeeded: true}}}
	t, _, err := w.OpenTicket(b.Context(), vault.TicketRequest{Owner: p, Agent: agent, Need: need})
	if err != nil {
		b.Fatal(err)
	}
	const redirect = "http://127.0.0.1:8787/callback/files"
	s, err := w.Allow(b.Context(), vault.Answer{Handle: w.Handle(t), Person: p, RedirectURI: redirect, Session: "s"})
	if err != nil {
		b.Fatal(err)
	}
	u, err := url.Parse(s.AuthURL)
	if err != nil {
		b.Fatal(err)
	}
	_, _, err = w.Finish(b.Context(), vault.Callback{
		Connection: "files", State: u.Query().Get("state"), Code: p.Subject + "~code", Cookie: s.Cookie, Session: "s", Person: p,
	})
	if err != nil {
		b.Fatal(err)
	}
}

// run has each caller do op until together they have done b.N, and reports the percentiles.
func run(b *testing.B, op func(i int) error) {
	b.Helper()
	b.ResetTimer()
	took := measure(b, b.N, op)
	b.StopTimer()
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "op/s")
	b.ReportMetric(float64(percentile(took, 50).Microseconds()), "p50-µs")
	b.ReportMetric(float64(percentile(took, 99).Microseconds()), "p99-µs")
}

// measure has each caller do op until together they have done n, and answers how long each took.
func measure(b *testing.B, n int, op func(i int) error) []time.Duration {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	took := make([][]time.Duration, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				start := time.Now()
				if err := op(i); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	return slices.Concat(took...)
}

// BenchmarkExchange releases fresh tokens to 16 callers: every check, and an audit entry that is committed before the token leaves and synced soon after.
func BenchmarkExchange(b *testing.B) {
	w := newWorld(b)
	run(b, func(i int) error { _, err := w.Exchange(b.Context(), request(i)); return err })
}

// BenchmarkCheck is the part of an exchange that only reads: pick, prove, open.
func BenchmarkCheck(b *testing.B) {
	w := newWorld(b)
	run(b, func(i int) error { return w.Check(b.Context(), request(i)) })
}

// BenchmarkRefresh has every exchange spend a refresh token first: intent, one
// POST on loopback, store, release. One at a time, for they share the clock.
func BenchmarkRefresh(b *testing.B) {
	w := newWorld(b)
	var mu sync.Mutex
	run(b, func(i int) error {
		mu.Lock()
		defer mu.Unlock()
		w.ahead.Add(int64(2 * time.Hour))
		_, err := w.Exchange(b.Context(), request(i))
		return err
	})
}

// BenchmarkAudit is the entry alone.
func BenchmarkAudit(b *testing.B) {
	w := newWorld(b)
	run(b, func(i int) error {
		return w.Audit(b.Context(), vault.Entry{Kind: "bench", Caller: caller(i).Caller, Agent: agent})
	})
}
