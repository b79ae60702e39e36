package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/mcp/guard"
	"github.com/grantry/grantry/vault/sts"
)

const formType = "application/x-www-form-urlencoded"

// callback is an app that waits on this machine for its answers.
type callback struct {
	url string
	got chan url.Values
}

func newCallback(t *testing.T) *callback {
	t.Helper()
	c := &callback{got: make(chan url.Values, 10)}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { c.got <- q.URL.Query() }))
	t.Cleanup(srv.Close)
	c.url = srv.URL + "/cb"
	return c
}

// asking is an authorization request of that client, and the verifier of its code.
func asking(base, client, redirect string, change ...string) (at, verifier string) {
	verifier = strings.Repeat("v", 50)
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirect}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		q.Set(change[i], change[i+1])
	}
	return base + "/oauth/authorize?" + q.Encode(), verifier
}

// code has the person of b say yes to a client, and answers the code and its verifier.
func (b *browser) code(base, client string, to *callback, change ...string) (code, verifier string) {
	b.t.Helper()
	at, verifier := asking(base, client, to.url, change...)
	if b.get(at); !strings.Contains(b.url, "/consent/") {
		b.t.Fatalf("the request of %s leads to %s: %s", client, b.url, b.body)
	}
	b.get(base + b.post("answer", "allow"))
	select {
	case q := <-to.got:
		return q.Get("code"), verifier
	case <-time.After(time.Minute):
		b.t.Fatalf("%s had no answer; the browser is at %s: %s", client, b.url, b.body)
	}
	return "", ""
}

// token sends a form to the token endpoint.
func token(t *testing.T, base string, form url.Values, header ...string) answered {
	t.Helper()
	return send(t, http.MethodPost, base+"/oauth/token", formType, form.Encode(), header...)
}

var loginField = regexp.MustCompile(`name="login" value="(\w+)"`)

// TestLoginEndsOnThePage: a person finds a client that is logged in on /agents and ends
// it there; at once /mcp refuses its access token, and the token endpoint its refresh token.
func TestLoginEndsOnThePage(t *testing.T) {
	t.Parallel()
	r := startAlone(t, "clients:\n  desk: { redirect_uris: [http://127.0.0.1/cb] }\n")
	base := strings.TrimSuffix(r.MCP, "/mcp")
	b, to := signedIn(t, r), newCallback(t)
	code, verifier := b.code(base, "desk", to, "resource", r.MCP)
	tok := token(t, base, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {"desk"}, "code_verifier": {verifier}})
	if tok.status != http.StatusOK {
		t.Fatalf("%d %s", tok.status, tok.raw)
	}
	call := func() int {
		return send(t, http.MethodPost, r.MCP, "application/json", initialize, "Authorization", "Bearer "+tok.fields["access_token"].(string), "Accept", "application/json, text/event-stream").status
	}
	if got := call(); got != http.StatusOK {
		t.Fatalf("before the end /mcp answers %d", got)
	}
	b.get(base + "/agents")
	login := loginField.FindStringSubmatch(b.body)
	if login == nil || !strings.Contains(b.body, "Signed in since") || !strings.Contains(b.body, "desk") {
		t.Fatalf("the page says %s", b.body)
	}
	form := url.Values{"login": {login[1]}}
	for _, m := range hidden.FindAllStringSubmatch(b.body, -1) {
		if m[1] == "csrf" {
			form.Set("csrf", m[2])
		}
	}
	resp, err := b.client.PostForm(base+"/agents/login/end", form)
	if b.read(resp, err); !strings.Contains(b.body, "That login is over") || strings.Contains(b.body, "Signed in since") {
		t.Fatalf("after the end the page says %s", b.body)
	}
	if got := call(); got != http.StatusUnauthorized {
		t.Errorf("after the end /mcp answers %d", got)
	}
	again := token(t, base, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tok.fields["refresh_token"].(string)}, "client_id": {"desk"}})
	if again.fields["error"] != "invalid_grant" {
		t.Errorf("after the end a refresh answers %d %s", again.status, again.raw)
	}
}

// site is an https server that publishes metadata documents, and counts who asks for what.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	pages map[string]http.HandlerFunc
	asked map[string]int
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{pages: map[string]http.HandlerFunc{}, asked: map[string]int{}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[r.URL.Path]++
		page := s.pages[r.URL.Path]
		s.mu.Unlock()
		if page == nil {
			http.NotFound(w, r)
			return
		}
		page(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// reached is how the program reaches the site: by the real fetch, which takes the site's
// certificate and, where exempt, dials loopback although that is not the public internet.
func (s *site) reached(exempt bool) func(*app.Options) {
	return func(o *app.Options) {
		pool := x509.NewCertPool()
		pool.AddCert(s.Certificate())
		o.Documents = guard.Config{RootCAs: pool}
		if exempt {
			o.Documents.Exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}
	}
}

func (s *site) put(path string, page http.HandlerFunc) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[path] = page
	return s.URL + path
}

func (s *site) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// document is a good one of that client; header is name, value, ….
func (s *site) document(path, redirect string, more map[string]any, header ...string) string {
	fields := map[string]any{"client_id": s.URL + path, "client_name": "Published app", "redirect_uris": []string{redirect}}
	maps.Copy(fields, more)
	return s.put(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		_ = json.NewEncoder(w).Encode(fields)
	})
}

// TestR52DocumentsOverHTTPS: a client whose id is the address of its document logs in at
// the real server, which fetches the document as it does any stranger's; what is a
// redirect, too large, not JSON or not there is refused, and fetched again the next time.
func TestR52DocumentsOverHTTPS(t *testing.T) {
	t.Parallel()
	s, to := newSite(t), newCallback(t)
	r := startAlone(t, "", s.reached(true))
	base, b := strings.TrimSuffix(r.MCP, "/mcp"), signedIn(t, r)
	meta := send(t, http.MethodGet, base+"/.well-known/oauth-authorization-server", "", "").fields
	if meta["client_id_metadata_document_supported"] != true {
		t.Fatalf("metadata says %v", meta)
	}
	id := s.document("/client.json", to.url, nil, "Cache-Control", "max-age=3600")
	code, verifier := b.code(base, id, to, "resource", r.MCP)
	tok := token(t, base, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {id}, "redirect_uri": {to.url}, "code_verifier": {verifier}})
	if tok.status != http.StatusOK {
		t.Fatalf("%d %s", tok.status, tok.raw)
	}
	b.code(base, id, to)
	if n := s.count("/client.json"); n != 1 {
		t.Errorf("a document that may be kept for an hour was fetched %d times", n)
	}
	never := s.document("/never.json", to.url, nil, "Cache-Control", "no-store")
	b.code(base, never, to)
	b.code(base, never, to)
	if n := s.count("/never.json"); n != 2 {
		t.Errorf("a document that may not be kept was fetched %d times for two requests", n)
	}
	s.put("/moved.json", func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, "/moved/to.json", http.StatusFound) })
	s.document("/moved/to.json", to.url, map[string]any{"client_id": s.URL + "/moved.json"})
	s.document("/large.json", to.url, map[string]any{"logo_uri": strings.Repeat("x", 5<<10)})
	s.document("/other.json", to.url, map[string]any{"client_id": id})
	s.put("/page.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	for _, path := range []string{"/moved.json", "/large.json", "/other.json", "/page.json", "/missing.json"} {
		for range 2 {
			at, _ := asking(base, s.URL+path, to.url)
			if b.get(at); !strings.Contains(b.body, "What that client says of itself cannot be used") || strings.Contains(b.url, "/consent/") {
				t.Errorf("%s leads to %s: %s", path, b.url, b.body)
			}
		}
		if n := s.count(path); n != 2 {
			t.Errorf("%s was fetched %d times for two requests", path, n)
		}
	}
	if s.count("/moved/to.json") != 0 {
		t.Error("a redirect was followed")
	}
}

// TestR65DocumentsOnLoopback: without the tests' exemption the same program dials no
// address of this machine, whatever the name says.
func TestR65DocumentsOnLoopback(t *testing.T) {
	t.Parallel()
	s, to := newSite(t), newCallback(t)
	r := startAlone(t, "", s.reached(false))
	base, b := strings.TrimSuffix(r.MCP, "/mcp"), signedIn(t, r)
	id := s.document("/client.json", to.url, nil)
	for _, id := range []string{id, strings.Replace(id, "127.0.0.1", "localhost", 1)} {
		at, _ := asking(base, id, to.url)
		if b.get(at); !strings.Contains(b.body, "What that client says of itself cannot be used") {
			t.Errorf("%s leads to %s: %s", id, b.url, b.body)
		}
	}
	if n := s.count("/client.json"); n != 0 {
		t.Errorf("the document was fetched %d times", n)
	}
}

// TestDocumentKeysOverHTTPS: a client whose document names a jwks_uri proves itself by a signature of a key there.
func TestDocumentKeysOverHTTPS(t *testing.T) {
	t.Parallel()
	s, to := newSite(t), newCallback(t)
	r := startAlone(t, "", s.reached(true))
	base, b := strings.TrimSuffix(r.MCP, "/mcp"), signedIn(t, r)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := s.put("/keys.json", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256"}}})
	})
	id := s.document("/client.json", to.url, map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": keys})
	code, verifier := b.code(base, id, to)
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {id}, "redirect_uri": {to.url}, "code_verifier": {verifier}}
	if a := token(t, base, form); a.status != http.StatusUnauthorized {
		t.Errorf("without an assertion: %d %s", a.status, a.raw)
	}
	form.Set("client_assertion", assertion(t, key, id, base))
	form.Set("client_assertion_type", assertionType)
	if a := token(t, base, form); a.status != http.StatusOK || a.fields["refresh_token"] == nil {
		t.Errorf("with one: %d %s", a.status, a.raw)
	}
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertion is a good one of that client, signed by its key of the id k.
func assertion(t *testing.T, key *ecdsa.PrivateKey, client, base string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{"iss": client, "sub": client, "aud": base, "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestAssertionCountsOnceAtBoth: the token endpoint has two halves, logins and exchanges; an
// assertion that was used at one is used at the other.
func TestAssertionCountsOnceAtBoth(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256"}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	r := startAlone(t, "workloads:\n  signing: { jwks: \"file:"+path+"\", redirect_uris: [\"https://portal.example/cb\"] }\n")
	base := strings.TrimSuffix(r.MCP, "/mcp")
	login := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}
	exchange := url.Values{
		"grant_type": {sts.GrantType}, "connection": {"files"}, "subject_token": {"x"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	}
	for what, order := range map[string][2]url.Values{"a login, then an exchange": {login, exchange}, "an exchange, then a login": {exchange, login}} {
		raw := assertion(t, key, "signing", base)
		for i, form := range order {
			form.Set("client_assertion", raw)
			form.Set("client_assertion_type", assertionType)
			a := token(t, base, form)
			if used := a.fields["error"] == "invalid_client"; used != (i == 1) {
				t.Errorf("%s: request %d is answered %d %s", what, i+1, a.status, a.raw)
			}
		}
	}
}

// TestWorkloadLogin: a workload of the config signs its person in at the real
// server, and gets a token for the connected accounts; neither is of use at /mcp.
func TestWorkloadLogin(t *testing.T) {
	t.Parallel()
	to := newCallback(t)
	r := startAlone(t, `workloads:
  portal: { client_secret: "exec:echo the-secret-of-the-portal", redirect_uris: ["`+to.url+`"] }
  silent: { client_secret: "exec:echo another-secret" }
`)
	base, b := strings.TrimSuffix(r.MCP, "/mcp"), signedIn(t, r)
	at, _ := asking(base, "silent", to.url, "scope", "openid")
	if b.get(at); !strings.Contains(b.body, "does not know that client") {
		t.Errorf("a workload that signs nobody in leads to %s", b.body)
	}
	code, verifier := b.code(base, "portal", to, "scope", "openid offline_access", "audience", base+"/")
	basic := []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("portal:the-secret-of-the-portal"))}
	tok := token(t, base, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {to.url}, "code_verifier": {verifier}}, basic...)
	if tok.status != http.StatusOK || tok.fields["id_token"] == nil {
		t.Fatalf("%d %s", tok.status, tok.raw)
	}
	me := token(t, base, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tok.fields["refresh_token"].(string)}, "audience": {base + "/me/"}}, basic...)
	if scope, _ := me.fields["scope"].(string); me.status != http.StatusOK || !strings.Contains(scope, "create:me:connected_accounts") {
		t.Fatalf("%d %s", me.status, me.raw)
	}
	for _, a := range []answered{tok, me} {
		got := send(t, http.MethodPost, r.MCP, "application/json", initialize, "Authorization", "Bearer "+a.fields["access_token"].(string))
		if got.status != http.StatusUnauthorized {
			t.Errorf("/mcp answers %d to a workload's token", got.status)
		}
	}
}
