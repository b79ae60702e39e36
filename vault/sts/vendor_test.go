package sts_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

// vendor is a small OAuth server that knows whose each of its tokens is. Of a
// code it takes the owner and the scopes: "code.alice.files.read+mail.read".
type vendor struct {
	t   testing.TB
	srv *httptest.Server

	mu      sync.Mutex
	life    int               // expires_in, 0 = none said
	down    bool              // the token endpoint answers 503
	dead    bool              // it answers invalid_grant to every refresh
	owner   map[string]string // of access tokens
	renewal map[string]string // refresh token → "owner.scopes"
	spends  int
	books
}

func newVendor(t testing.TB) *vendor {
	v := &vendor{t: t, life: 3600, owner: map[string]string{}, renewal: map[string]string{}, books: books{left: make(chan struct{}, 100)}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", v.token)
	mux.HandleFunc("POST /revoke", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, r *http.Request) {
		who := v.whose(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		_ = json.NewEncoder(w).Encode(map[string]any{"sub": "acc-" + who, "email": who + "@vendor.example", "email_verified": true})
	})
	mux.HandleFunc("/", v.api)
	v.srv = httptest.NewServer(mux)
	t.Cleanup(v.srv.Close)
	return v
}

// connection registers Grantry at the vendor under that name.
func (v *vendor) connection(name string, now func() time.Time) *provider.Connection {
	p, _ := provider.Catalog().Lookup("oauth2")
	p.Scope.Implies = map[string][]string{"files.all": {"files.read"}}
	if name == "files" {
		p.Token.APIBase = "instance_url"
	}
	at := v.srv.URL
	u, err := url.Parse(at)
	if err != nil {
		v.t.Fatal(err)
	}
	c, err := provider.NewConnection(provider.Registration{
		Name: name, Provider: p, ClientID: "grantry", ClientSecret: provider.NewSecret("vendor-secret-canary"), LoopbackHTTP: true, APIHosts: []string{u.Host},
		Endpoints: provider.Endpoints{Issuer: at, Authorization: at + "/authorize", Token: at + "/token", Userinfo: at + "/userinfo", Revocation: at + "/revoke"},
	}, provider.Config{Now: now, TokenTimeout: 5 * time.Second})
	if err != nil {
		v.t.Fatal(err)
	}
	return c
}

func (v *vendor) token(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	what, ok := strings.CutPrefix(r.FormValue("code"), "code.")
	if r.FormValue("grant_type") == "refresh_token" {
		v.spends++
		what, ok = v.renewal[r.FormValue("refresh_token")]
	}
	switch {
	case v.down:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case !ok || v.dead:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	owner, scopes, _ := strings.Cut(what, ".")
	access, refresh := "at-canary-"+rand.Text(), "rt-canary-"+rand.Text()
	v.owner[access], v.renewal[refresh] = owner, what
	out := map[string]any{
		"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "scope": strings.ReplaceAll(scopes, "+", " "),
		"instance_url": v.srv.URL + "/instance", // of "files" alone
	}
	if v.life > 0 {
		out["expires_in"] = v.life
	}
	_ = json.NewEncoder(w).Encode(out)
}

// whose answers whom an access token is for, "" for nobody.
func (v *vendor) whose(access string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.owner[access]
}

func (v *vendor) set(f func(*vendor)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f(v)
}
