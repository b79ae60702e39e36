package mcp_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/mcp"
)

// issuer is an authorization server as far as a resource server sees it.
type issuer struct {
	t       testing.TB
	srv     *httptest.Server
	rsa     *rsa.PrivateKey
	now     atomic.Int64 // seconds since 1970
	fetches atomic.Int64 // of the keys

	mu     sync.Mutex
	keys   []map[string]any // of the set, as JSON
	down   bool
	claims string                    // issuer in the metadata, "" = its own
	pad    int                       // bytes of spaces behind the keys
	opaque map[string]map[string]any // tokens by what introspection says of them; nil = there is none
	asked  []string                  // about which tokens
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, rsa: key}
	i.now.Store(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).Unix())
	i.publish("k1", key.Public(), "")
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", i.metadata)
	mux.HandleFunc("/introspect", i.introspect)
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		i.fetches.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": i.keys})
		_, _ = fmt.Fprint(w, strings.Repeat(" ", i.pad))
	})
	i.srv = httptest.NewServer(mux)
	t.Cleanup(i.srv.Close)
	return i
}

func (i *issuer) metadata(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	name := i.claims
	if name == "" {
		name = i.srv.URL
	}
	doc := map[string]string{"issuer": name, "jwks_uri": i.srv.URL + "/jwks"}
	if i.opaque != nil {
		doc["introspection_endpoint"] = i.srv.URL + "/introspect"
	}
	_ = json.NewEncoder(w).Encode(doc)
}

// introspect is RFC 7662 for the client grantry.
func (i *issuer) introspect(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if id, secret, _ := r.BasicAuth(); i.down || id != "grantry" || secret != "s%25cret" || r.Method != http.MethodPost {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	token := r.FormValue("token")
	i.asked = append(i.asked, token)
	answer := map[string]any{"active": false}
	if claims, ok := i.opaque[token]; ok {
		answer = map[string]any{
			"active": true, "iss": i.srv.URL, "aud": resource, "sub": "alice", "client_id": "agent-1",
			"exp": i.now.Load() + 300, "scope": "tools:read openid",
		}
		maps.Copy(answer, claims)
		maps.DeleteFunc(answer, func(_ string, v any) bool { return v == nil })
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// publish adds a key to the set.
func (i *issuer) publish(kid string, key crypto.PublicKey, use string) {
	i.t.Helper()
	raw, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid, Use: use})
	if err != nil {
		i.t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, fields)
}

func (i *issuer) advance(d time.Duration) { i.now.Add(int64(d / time.Second)) }

const resource = publicURL + "/mcp"

func (i *issuer) verifier(change ...func(*mcp.VerifierConfig)) *mcp.Verifier {
	i.t.Helper()
	cfg := mcp.VerifierConfig{
		Issuer: i.srv.URL, Audiences: []string{resource}, OIDCClientIDs: []string{"grantry"},
		HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, LoopbackHTTP: true,
		Now: func() time.Time { return time.Unix(i.now.Load(), 0) },
	}
	for _, f := range change {
		f(&cfg)
	}
	v, err := mcp.NewVerifier(cfg)
	if err != nil {
		i.t.Fatal(err)
	}
	return v
}

// draft is a token to be signed; its zero value is a good one.
type draft struct {
	alg    jose.SignatureAlgorithm
	key    any
	kid    string
	typ    string
	header map[jose.HeaderKey]any
	claims map[string]any // over the good ones; nil values take a claim away
}

func (i *issuer) sign(d draft) string {
	i.t.Helper()
	if d.alg == "" {
		d.alg, d.key = jose.RS256, i.rsa
	}
	if d.kid == "" {
		d.kid = "k1"
	}
	if d.typ == "" {
		d.typ = "at+jwt"
	}
	opts := (&jose.SignerOptions{}).WithType(jose.ContentType(d.typ)).WithHeader("kid", d.kid)
	if d.typ == "none" {
		opts = (&jose.SignerOptions{}).WithHeader("kid", d.kid)
	}
	for k, v := range d.header {
		opts = opts.WithHeader(k, v)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: d.alg, Key: d.key}, opts)
	if err != nil {
		i.t.Fatal(err)
	}
	now := i.now.Load()
	claims := map[string]any{"iss": i.srv.URL, "aud": resource, "sub": "alice", "client_id": "agent-1", "iat": now, "exp": now + 300, "email": "alice@example.com"}
	maps.Copy(claims, d.claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	raw, err := json.Marshal(claims)
	if err != nil {
		i.t.Fatal(err)
	}
	jws, err := signer.Sign(raw)
	if err != nil {
		i.t.Fatal(err)
	}
	out, err := jws.CompactSerialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return out
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func edKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
