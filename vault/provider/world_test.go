package provider_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/grantry/grantry/vault/provider"
)

// noon is what every clock in these tests says.
func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

const (
	state    = "state-1"
	nonce    = "nonce-1"
	verifier = "verifier-1-verifier-1-verifier-1-verifier-1"
	code     = "code-1"
)

// internet is one TLS server that is every host in the world. It records what
// it is sent and answers what the test says.
type internet struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	routes   map[string][]http.HandlerFunc
	requests []string
}

func newInternet(t *testing.T) *internet {
	t.Helper()
	n := &internet{t: t, routes: make(map[string][]http.HandlerFunc)}
	n.server = httptest.NewUnstartedServer(n)
	n.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	n.server.StartTLS()
	t.Cleanup(n.server.Close)
	return n
}

// on answers the next requests for "METHOD host/path" with the handlers in
// turn; the last one stays.
func (n *internet) on(route string, handlers ...http.HandlerFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.routes[route] = handlers
}

func (n *internet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	n.mu.Lock()
	n.requests = append(n.requests, dump(r, body))
	route := r.Method + " " + r.Host + r.URL.EscapedPath()
	handlers := n.routes[route]
	if len(handlers) > 1 {
		n.routes[route] = handlers[1:]
	}
	n.mu.Unlock()
	if len(handlers) == 0 {
		n.t.Errorf("nobody answers %s", route)
		http.NotFound(w, r)
		return
	}
	handlers[0](w, r)
}

// took is what was sent since the last call.
func (n *internet) took() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.requests
	n.requests = nil
	return out
}

// client reaches every host at the one server.
func (n *internet) client() *http.Client {
	t, _ := n.server.Client().Transport.(*http.Transport)
	t = t.Clone()
	t.Proxy = nil
	t.TLSClientConfig.ServerName = "example.com" // whom httptest's certificate is for
	t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", n.server.Listener.Addr().String())
	}
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	n.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

// connection registers a catalog provider on this internet.
func (n *internet) connection(name string, change func(*provider.Registration)) *provider.Connection {
	n.t.Helper()
	c, err := provider.NewConnection(registration(n.t, name, change), provider.Config{HTTP: n.client(), Now: noon})
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

func registration(t testing.TB, name string, change func(*provider.Registration)) provider.Registration {
	t.Helper()
	p, ok := provider.Catalog().Lookup(name)
	if !ok {
		t.Fatalf("no provider %q", name)
	}
	reg := provider.Registration{
		Name: name, Provider: p, ClientID: "client-1", ClientSecret: provider.NewSecret("secret/1 +"),
	}
	switch name {
	case "oidc":
		reg.Endpoints.Issuer = "https://idp.example.com"
		reg.Scopes = []string{"orders.read"}
		reg.APIHosts = []string{"api.example.com"}
	case "oauth2":
		reg.Endpoints = provider.Endpoints{
			Authorization: "https://vendor.example.com/authorize", Token: "https://vendor.example.com/token",
			Revocation: "https://vendor.example.com/revoke", Userinfo: "https://api.example.com/v1/whoami",
		}
		reg.Scopes = []string{"things.read"}
		reg.APIHosts = []string{"api.example.com"}
	}
	if change != nil {
		change(&reg)
	}
	return reg
}

// fixture answers testdata/path.http, a response as the vendor sends it.
func (n *internet) fixture(path string) http.HandlerFunc {
	raw, err := os.ReadFile(filepath.Join("testdata", path+".http"))
	if err != nil {
		n.t.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		body := raw
		if bytes.Contains(body, []byte("ID_TOKEN")) {
			vendor, _, _ := strings.Cut(path, "/")
			body = bytes.Replace(body, []byte("ID_TOKEN"), []byte(n.idToken(n.claims(vendor))), 1)
		}
		n.replay(w, r, body)
	}
}

func (n *internet) replay(w http.ResponseWriter, r *http.Request, raw []byte) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), r)
	if err != nil {
		n.t.Errorf("reading fixture: %v", err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// claims are the vendor's id_token claims, issued at noon.
func (n *internet) claims(vendor string) map[string]any {
	raw, err := os.ReadFile(filepath.Join("testdata", vendor, "claims.http"))
	if err != nil {
		n.t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(raw), "\n\n")
	var out map[string]any
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		n.t.Fatal(err)
	}
	out["iat"], out["exp"] = noon().Unix(), noon().Add(time.Hour).Unix()
	return out
}

// signingKey is the one key of every issuer, made once: under the race detector
// that takes a second.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// idToken signs claims with the signing key.
func (n *internet) idToken(claims map[string]any) string {
	return sign(n.t, jose.SigningKey{Algorithm: jose.RS256, Key: signingKey()}, claims)
}

func sign(t *testing.T, key jose.SigningKey, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithHeader("kid", "key-1"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// jwks answers the public half of the key.
func (n *internet) jwks() http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		key := signingKey()
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "key-1", Algorithm: "RS256"}}})
	}
}

// reply answers a status, a content type and a body.
func reply(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if kind != "" {
			w.Header().Set("Content-Type", kind)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func jsonReply(status int, body string) http.HandlerFunc {
	return reply(status, "application/json", body)
}

// dump is a request as text: headers sorted, a form one field a line.
func dump(r *http.Request, body []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s https://%s%s\n", r.Method, r.Host, r.URL.RequestURI())
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if name != "Content-Length" {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(r.Header[name], " | "))
		}
	}
	if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		form, _ := url.ParseQuery(string(body))
		b.WriteString(fields(form))
	} else if len(body) > 0 {
		fmt.Fprintf(&b, "\n%s\n", body)
	}
	return b.String()
}

func fields(form url.Values) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(form)) {
		fmt.Fprintf(&b, "  %s = %s\n", name, strings.Join(form[name], " | "))
	}
	return b.String()
}

// clean fails when an error says what it must not: a secret, or the vendor's words.
func clean(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for e := err; e != nil; {
		said := fmt.Sprintf("%v %+v %#v %q", e, e, e, e.Error())
		for _, secret := range []string{"CANARY", "secret/1", "secret%2F1", verifier, code, "refresh-1", "access-1", "access1", "refresh1"} {
			if strings.Contains(said, secret) {
				t.Errorf("the error says %q: %s", secret, said)
			}
		}
		u, ok := e.(interface{ Unwrap() error })
		if !ok {
			return
		}
		e = u.Unwrap()
	}
}
