package consent_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// fakeIssuer is an OpenID Connect issuer that signs in whom the browser's "as"
// parameter names, and lies on demand.
type fakeIssuer struct {
	url    string
	key    *ecdsa.PrivateKey
	now    func() time.Time
	mu     sync.Mutex
	codes  map[string]url.Values // code → the authorization request
	tokens int                   // requests at the token endpoint
	asked  []url.Values          // authorization requests

	// What a test may change before a sign-in.
	claims   func(c map[string]any) // of the ID token
	answer   func(q url.Values)     // parameters of the redirect back
	userinfo map[string]any         // nil = none is needed
	metadata func(m map[string]any)
	huge     bool // the token endpoint answers without end
	redirect string
}

func newFakeIssuer(t *testing.T, now func() time.Time) *fakeIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &fakeIssuer{key: key, now: now, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, i.userinfo) })
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	i.url = srv.URL
	return i
}

func (i *fakeIssuer) discovery(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{
		"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/jwks",
		"authorization_response_iss_parameter_supported": true, "id_token_signing_alg_values_supported": []string{"ES256"},
		"code_challenge_methods_supported": []string{"S256"}, "userinfo_endpoint": i.url + "/userinfo",
	}
	if i.metadata != nil {
		i.metadata(m)
	}
	writeJSON(w, m)
}

func (i *fakeIssuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = append(i.asked, q)
	code := "code-" + strconv.Itoa(len(i.asked))
	i.codes[code] = q
	back := url.Values{"state": {q.Get("state")}, "code": {code}, "iss": {i.url}}
	if i.answer != nil {
		i.answer(back)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (i *fakeIssuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tokens++
	switch {
	case i.redirect != "":
		http.Redirect(w, r, i.redirect, http.StatusTemporaryRedirect)
		return
	case i.huge:
		_, _ = w.Write([]byte(`{"id_token":"` + strings.Repeat("x", 3<<20) + `"}`))
		return
	}
	_ = r.ParseForm()
	id, secret, _ := r.BasicAuth()
	q, ok := i.codes[r.Form.Get("code")]
	delete(i.codes, r.Form.Get("code"))
	sum := sha256.Sum256([]byte(r.Form.Get("code_verifier")))
	switch {
	case id != "grantry" || secret != "issuer-secret":
		w.WriteHeader(http.StatusUnauthorized)
		writeJSON(w, map[string]any{"error": "invalid_client"})
	case !ok || q.Get("redirect_uri") != r.Form.Get("redirect_uri") || q.Get("code_challenge_method") != "S256" ||
		q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]):
		w.WriteHeader(http.StatusBadRequest)
		writeJSON(w, map[string]any{"error": "invalid_grant"})
	default:
		writeJSON(w, map[string]any{"access_token": "issuer-access", "token_type": "Bearer", "id_token": i.idToken(q)})
	}
}

func (i *fakeIssuer) idToken(q url.Values) string {
	who := q.Get("as")
	c := map[string]any{
		"iss": i.url, "sub": "sub-" + who, "aud": "grantry", "nonce": q.Get("nonce"), "iat": i.now().Unix(), "exp": i.now().Add(time.Hour).Unix(),
		"auth_time": i.now().Unix(), "email": who + "@example.com", "email_verified": true, "name": who,
	}
	if i.claims != nil {
		i.claims(c)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "k1"}}, nil)
	if err != nil {
		panic(err)
	}
	raw, err := jwt.Signed(s).Claims(c).Serialize()
	if err != nil {
		panic(err)
	}
	return raw
}

func (i *fakeIssuer) tokenRequests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.tokens
}

func (i *fakeIssuer) lastAsked(t *testing.T) url.Values {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.asked) == 0 {
		t.Fatal("nobody was sent to the issuer")
	}
	return i.asked[len(i.asked)-1]
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
