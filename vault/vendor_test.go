package vault_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/vault/provider"
)

// vendor is a small strict OAuth server that holds the truth: which refresh
// token lives, and how often each was sent.
type vendor struct {
	t   *testing.T
	now func() time.Time
	srv *httptest.Server

	mu       sync.Mutex
	account  string // whose account the next consent is
	email    string
	scopes   string // granted, "" = none said
	life     int    // expires_in, 0 = none said
	length   int    // of access tokens, at least
	live     string // refresh token
	sent     map[string]int
	tokens   int // POSTs to the token endpoint
	revoked  []string
	noRT     bool
	status   int // answer the next token requests so, 0 = properly
	cut      bool
	delay    time.Duration
	verifier string
	redirect string
	onToken  func()
	idToken  string // sent along
	subject  string // of an id_token that is signed and sent along, "" = none
	keysDown bool
	grace    bool   // the token before the living one is taken, too
	before   string // that one
	refuse   string // answer the next token requests with 401 and this code
	retry    string // Retry-After of failures
	key      *rsa.PrivateKey
	active   int    // token requests under way
	parallel int    // most of them at once
	asked    int    // requests to userinfo
	rtLife   int    // refresh_token_expires_in, 0 = none said
	tenant   string // in userinfo
	noRevoke int    // status of the answer to a revocation, 0 = properly
	narrow   string // what a refresh with "scope" gets: "honest" a token of it, "silent" the same unsaid, "wide" one of all, "refuse" invalid_scope; "" = scope is not looked at
	narrowed []string
	can      map[string]string // by access token, what it really can do
	of       map[string]string // by access token, whose account it is
	many     map[string]string // by living refresh token, whose account it is; nil = only one lives
}

func newVendor(t *testing.T, now func() time.Time) *vendor {
	v := &vendor{t: t, now: now, account: "acc-1", email: "alice@example.com", life: 3600, sent: map[string]int{}, can: map[string]string{}, of: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", v.token)
	mux.HandleFunc("GET /userinfo", v.userinfo)
	mux.HandleFunc("GET /jwks", v.jwks)
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.noRevoke != 0 {
			w.WriteHeader(v.noRevoke)
			return
		}
		v.revoked = append(v.revoked, r.FormValue("token"))
	})
	v.srv = httptest.NewServer(mux)
	t.Cleanup(v.srv.Close)
	return v
}

func (v *vendor) connection(name string, change ...func(*provider.Provider)) *provider.Connection {
	c, err := connectionAt(v.srv.URL, name, v.now, change...)
	if err != nil {
		v.t.Fatal(err)
	}
	return c
}

// connectionAt is the connection to a vendor of any process.
func connectionAt(address, name string, now func() time.Time, change ...func(*provider.Provider)) (*provider.Connection, error) {
	p, _ := provider.Catalog().Lookup("oauth2")
	p.Scope.Implies = map[string][]string{"files.all": {"files.read"}}
	p.Identity.IDToken = true
	for _, f := range change {
		f(p)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return provider.NewConnection(provider.Registration{
		Name: name, Provider: p, ClientID: "grantry", ClientSecret: provider.NewSecret("client-secret-canary"), LoopbackHTTP: true,
		APIHosts: []string{u.Host},
		Endpoints: provider.Endpoints{
			Issuer: address, JWKS: address + "/jwks", Authorization: address + "/authorize", Token: address + "/token", Userinfo: address + "/userinfo", Revocation: address + "/revoke",
		},
	}, provider.Config{Now: now, TokenTimeout: 5 * time.Second})
}

func draw(prefix string) string { return prefix + "-canary-" + rand.Text() }

func (v *vendor) token(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	v.tokens++
	v.active++
	v.parallel = max(v.parallel, v.active)
	hook, delay := v.onToken, v.delay
	v.mu.Unlock()
	defer v.set(func(v *vendor) { v.active-- })
	if hook != nil {
		hook()
	}
	time.Sleep(delay)
	v.reply(w, r)
}

func (v *vendor) reply(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if v.refuse != "" {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": v.refuse})
		return
	}
	if v.status != 0 {
		if v.retry != "" {
			w.Header().Set("Retry-After", v.retry)
		}
		w.WriteHeader(v.status)
		_, _ = w.Write([]byte(`{"error":"server_error","error_description":"` + r.FormValue("refresh_token") + `"}`))
		return
	}
	if scope := r.FormValue("scope"); scope != "" {
		v.narrowed = append(v.narrowed, scope)
		if v.narrow == "refuse" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_scope"}`))
			return
		}
	}
	if r.FormValue("grant_type") == "refresh_token" {
		rt := r.FormValue("refresh_token")
		v.sent[rt]++
		if account, lives := v.many[rt]; lives {
			v.account, v.live = account, rt
			delete(v.many, rt)
		}
		if rt != v.live && (!v.grace || rt != v.before) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
			return
		}
	} else {
		v.verifier, v.redirect = r.FormValue("code_verifier"), r.FormValue("redirect_uri")
	}
	v.answer(w, r.FormValue("scope"))
}

// answer issues a token set; the refresh token before is dead from now on.
func (v *vendor) answer(w http.ResponseWriter, asked string) {
	at, can, said := draw("at")+strings.Repeat("t", v.length), v.scopes, v.scopes
	if asked != "" && v.narrow != "" && v.narrow != "wide" {
		can, said = asked, asked
	}
	if asked != "" && v.narrow == "silent" {
		said = ""
	}
	v.can[at], v.of[at] = can, v.account
	out := map[string]any{"access_token": at, "token_type": "Bearer"}
	if v.life > 0 {
		out["expires_in"] = v.life
	}
	if !v.noRT {
		v.before, v.live = v.live, draw("rt")
		out["refresh_token"] = v.live
		if v.many != nil {
			v.many[v.live] = v.account
		}
	}
	if v.rtLife > 0 {
		out["refresh_token_expires_in"] = v.rtLife
	}
	if said != "" {
		out["scope"] = said
	}
	if v.subject != "" {
		v.idToken = v.sign(v.subject)
	}
	if v.idToken != "" {
		out["id_token"] = v.idToken
	}
	b, _ := json.Marshal(out)
	if v.cut {
		b = b[:len(b)/2]
	}
	_, _ = w.Write(b)
}

// sign makes an id_token of a refresh; its key is drawn at the first.
func (v *vendor) sign(subject string) string {
	if v.key == nil {
		var err error
		if v.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			v.t.Error(err)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: v.key}, nil)
	if err != nil {
		v.t.Error(err)
		return ""
	}
	claims, _ := json.Marshal(map[string]any{"iss": v.srv.URL, "aud": "grantry", "sub": subject, "iat": v.now().Unix(), "exp": v.now().Add(time.Hour).Unix()})
	signed, err := signer.Sign(claims)
	if err != nil {
		v.t.Error(err)
		return ""
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		v.t.Error(err)
	}
	return token
}

func (v *vendor) jwks(w http.ResponseWriter, _ *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keysDown || v.key == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: v.key.Public(), Algorithm: "RS256", Use: "sig"}}})
}

func (v *vendor) userinfo(w http.ResponseWriter, _ *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
	_ = json.NewEncoder(w).Encode(map[string]any{"sub": v.account, "email": v.email, "email_verified": true, "name": strings.ToUpper(v.account), "tenant": v.tenant})
}

func (v *vendor) set(f func(*vendor)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f(v)
}

func (v *vendor) requests() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.tokens
}

// worstSpend is how often the refresh token was sent that was sent most.
func (v *vendor) worstSpend() (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.sent {
		n = max(n, c)
	}
	return n
}
