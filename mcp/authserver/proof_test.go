package authserver_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/mcp/authserver"
)

// signer is a client's key.
type signer struct {
	id  string
	key *ecdsa.PrivateKey
}

func newSigner(t *testing.T, id string) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{id, key}
}

func (s *signer) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.key.Public(), KeyID: s.id, Algorithm: "ES256", Use: "sig"}
}

// Keys implements assertion.KeySource.
func (s *signer) Keys(context.Context, string) ([]jose.JSONWebKey, error) {
	return []jose.JSONWebKey{s.public()}, nil
}

// set is a JWKS of these keys.
func set(keys ...jose.JSONWebKey) map[string]any {
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		panic(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		panic(err)
	}
	return m
}

// sign makes an assertion, good but for what change says; nil leaves a claim out.
func (w *world) sign(s *signer, client string, change map[string]any) string {
	w.t.Helper()
	return w.signAs(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key, KeyID: s.id}}, "JWT", client, change)
}

func (w *world) signAs(key jose.SigningKey, typ, client string, change map[string]any) string {
	w.t.Helper()
	id := make([]byte, 12)
	if _, err := rand.Read(id); err != nil {
		w.t.Fatal(err)
	}
	now := w.clock.Now()
	c := map[string]any{"iss": client, "sub": client, "aud": w.cfg.PublicURL, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": string(jsonOf(id))}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		w.t.Fatal(err)
	}
	jws, err := signer.Sign(jsonOf(c))
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}

func jsonOf[T any](v T) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// asserting sends a form with an assertion.
func (w *world) asserting(form url.Values, assertion string, change ...string) answer {
	w.t.Helper()
	form.Set("client_assertion", assertion)
	form.Set("client_assertion_type", assertionType)
	return w.post("/oauth/token", with(form, change))
}

func codeForm(code, redirect string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}}
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

// TestPrivateKeyJWT: a workload with keys proves itself by an assertion that it signed,
// for this server, for a short time, once on all replicas; and by nothing else.
func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	s, stranger := newSigner(t, "one"), newSigner(t, "one")
	w := newWorld(t, withPortal, func(c *authserver.Config) {
		c.Workloads["signing"] = authserver.Workload{Keys: s, RedirectURIs: []string{portalRedirect}}
	})
	a := w.asserting(codeForm(w.code("signing", portalRedirect, "resource", "", "scope", "openid"), portalRedirect), w.sign(s, "signing", nil))
	if a.Status != http.StatusOK || a.ID == "" {
		t.Fatalf("%d %s", a.Status, a.raw)
	}
	for _, aud := range []any{w.base + "/", w.base + "/oauth/token", []string{w.base}} {
		if a = w.asserting(refreshForm(a.Refresh), w.sign(s, "signing", map[string]any{"aud": aud}), "client_id", "signing"); a.Status != http.StatusOK {
			t.Fatalf("for the audience %v: %d %s", aud, a.Status, a.raw)
		}
	}
	hmac := jose.SigningKey{Algorithm: jose.HS256, Key: []byte("0123456789abcdef0123456789abcdef")}
	own := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key, KeyID: "one"}}
	at := func(d time.Duration) int64 { return w.clock.Now().Add(d).Unix() }
	claim := func(name string, value any) func() string {
		return func() string { return w.sign(s, "signing", map[string]any{name: value}) }
	}
	for what, bad := range map[string]func() string{
		"a stranger's key":       func() string { return w.sign(stranger, "signing", nil) },
		"a shared key":           func() string { return w.signAs(hmac, "JWT", "signing", nil) },
		"an access token's type": func() string { return w.signAs(own, "at+jwt", "signing", nil) },
		"no signature":           func() string { return "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzaWduaW5nIn0." },
		"over":                   func() string { return w.sign(s, "signing", map[string]any{"exp": at(-time.Minute)}) },
		"an hour":                func() string { return w.sign(s, "signing", map[string]any{"exp": at(time.Hour)}) },
		"later":                  func() string { return w.sign(s, "signing", map[string]any{"nbf": at(time.Minute)}) },
		"another issuer":         claim("iss", portal),
		"another server":         claim("aud", "https://other.example"),
		"another one, too":       claim("aud", []string{w.base, "https://other.example"}),
		"no audience":            claim("aud", nil),
		"our /mcp":               claim("aud", w.base+"/mcp"),
		"no end":                 claim("exp", nil),
		"no id":                  claim("jti", nil),
		"an empty id":            claim("jti", ""),
		"nonsense":               func() string { return "x.y.z" },
	} {
		if r := w.asserting(refreshForm(a.Refresh), bad()); r.Status != http.StatusUnauthorized || r.Error != "invalid_client" {
			t.Errorf("%s: %d %s", what, r.Status, r.raw)
		}
		w.clock.add(16 * time.Second) // or the guesses are held back
	}
	once := w.sign(s, "signing", nil)
	if r := w.asserting(refreshForm(a.Refresh), once, "client_id", portal); r.Status != http.StatusUnauthorized {
		t.Errorf("for another client: %d %s", r.Status, r.raw)
	}
	if r := w.post("/oauth/token", refreshForm(a.Refresh), "signing", ""); r.Status != http.StatusUnauthorized {
		t.Errorf("without an assertion: %d %s", r.Status, r.raw)
	}
	if r := w.asserting(refreshForm(a.Refresh), w.sign(s, portal, nil)); r.Status != http.StatusUnauthorized {
		t.Errorf("from a client with a secret: %d %s", r.Status, r.raw)
	}
	other := w.start("second")
	if a = other.asserting(refreshForm(a.Refresh), once); a.Status != http.StatusOK {
		t.Fatalf("a fresh one: %d %s", a.Status, a.raw)
	}
	if r := w.asserting(refreshForm(a.Refresh), once); r.Status != http.StatusUnauthorized || !strings.Contains(r.raw, "used before") {
		t.Errorf("the same again, on the other replica: %d %s", r.Status, r.raw)
	}
}

// TestDocumentWithKeys: a client whose document names keys is no public client: its
// code and tokens count with its assertion alone, and only they lead to a fetch.
func TestDocumentWithKeys(t *testing.T) {
	t.Parallel()
	const keysAt = "https://publisher.example/mcp/keys.json"
	for _, inline := range []bool{true, false} {
		w, s := newWorld(t), newSigner(t, "one")
		d := goodDocument()
		d["token_endpoint_auth_method"] = "private_key_jwt"
		w.docs.put(keysAt, set(s.public()))
		if d["jwks_uri"] = keysAt; inline {
			delete(d, "jwks_uri")
			d["jwks"] = set(s.public())
		}
		w.docs.put(publisher, d)
		code := w.code(publisher, webRedirect)
		before := w.docs.asked
		if r := w.asserting(codeForm("no-such-code", webRedirect), w.sign(s, publisher, nil)); r.Status != http.StatusUnauthorized || w.docs.asked != before {
			t.Errorf("somebody without a code had %d documents fetched, and got %d %s", w.docs.asked-before, r.Status, r.raw)
		}
		if r := w.redeem(code, publisher, webRedirect); r.Status != http.StatusUnauthorized {
			t.Errorf("the code without an assertion: %d %s", r.Status, r.raw)
		}
		if r := w.asserting(codeForm(code, webRedirect), w.sign(newSigner(t, "one"), publisher, nil)); r.Status != http.StatusUnauthorized {
			t.Errorf("the code with a stranger's assertion: %d %s", r.Status, r.raw)
		}
		a := w.asserting(codeForm(code, webRedirect), w.sign(s, publisher, nil), "client_id", publisher)
		if a.Status != http.StatusOK || !w.good(a.Access) {
			t.Fatalf("%d %s", a.Status, a.raw)
		}
		if r := w.refresh(a.Refresh, publisher); r.Status != http.StatusUnauthorized {
			t.Errorf("a refresh without an assertion: %d %s", r.Status, r.raw)
		}
		if r := w.post("/oauth/revoke", url.Values{"token": {a.Access}, "client_id": {publisher}}); r.Status != http.StatusUnauthorized || !w.good(a.Access) {
			t.Errorf("a revocation without an assertion: %d %s", r.Status, r.raw)
		}
		before = w.docs.asked
		for range 5 {
			w.asserting(refreshForm(a.Refresh), w.sign(newSigner(t, "unknown"), publisher, nil))
		}
		if n := w.docs.asked - before; n > 1 {
			t.Errorf("five unknown key ids within a minute led to %d fetches", n)
		}
		w.clock.add(2 * time.Minute)
		next := newSigner(t, "two")
		d["jwks"] = set(next.public())
		if !inline {
			delete(d, "jwks")
			w.docs.put(keysAt, set(next.public()))
		}
		w.docs.put(publisher, d)
		w.clock.add(6 * time.Minute)
		if r := w.asserting(refreshForm(a.Refresh), w.sign(s, publisher, nil)); r.Status != http.StatusUnauthorized {
			t.Errorf("with a key that the client has withdrawn: %d %s", r.Status, r.raw)
		}
		w.clock.add(2 * time.Minute)
		if a = w.asserting(refreshForm(a.Refresh), w.sign(next, publisher, nil)); a.Status != http.StatusOK {
			t.Errorf("with its new key: %d %s", a.Status, a.raw)
		}
		w.docs.docs[publisher] = doc{err: context.DeadlineExceeded}
		w.clock.add(6 * time.Minute)
		if r := w.asserting(refreshForm(a.Refresh), w.sign(next, publisher, nil)); r.Status != http.StatusServiceUnavailable || r.Error != "temporarily_unavailable" {
			t.Errorf("while its site is down: %d %s", r.Status, r.raw)
		}
	}
}

// TestDocumentKeysRefused: a document that promises keys has some that prove it, in one place.
func TestDocumentKeysRefused(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSigner(t, "one")
	b := w.browser("alice")
	good := set(s.public())
	private := set(jose.JSONWebKey{Key: crypto.PrivateKey(s.key), KeyID: "one"})
	for what, fields := range map[string]map[string]any{
		"no keys": {}, "both": {"jwks": good, "jwks_uri": "https://publisher.example/keys"}, "a private key": {"jwks": private},
		"a shared key": {"jwks": map[string]any{"keys": []any{map[string]any{"kty": "oct", "k": "c2VjcmV0"}}}}, "none in it": {"jwks": map[string]any{"keys": []any{}}},
		"plain http": {"jwks_uri": "http://publisher.example/keys"}, "not a text": {"jwks_uri": 7}, "a secret": {"jwks": good, "client_secret": "x"},
	} {
		d := goodDocument()
		d["token_endpoint_auth_method"] = "private_key_jwt"
		maps.Copy(d, fields)
		w.docs.put(publisher, d)
		if p := b.open(w.asking(publisher, webRedirect)); p.status != http.StatusBadRequest || strings.TrimSpace(p.body) != "document" {
			t.Errorf("%s: %d %s", what, p.status, p.body)
		}
	}
}

// TestRedirectMayBeLeftOut at the token endpoint, as OAuth 2.1 has it (§10.2); one that is there must be the one of the request.
func TestRedirectMayBeLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code("desk", localRedirect)
	for _, bad := range []string{"http://127.0.0.1:1/oauth/callback", "null", "-"} {
		if a := w.redeem(code, "desk", localRedirect, "redirect_uri", bad); a.Error != "invalid_grant" {
			t.Errorf("%q: %d %s", bad, a.Status, a.raw)
		}
	}
	form := codeForm(code, "")
	form.Set("client_id", "desk")
	if a := w.post("/oauth/token", form); a.Status != http.StatusBadRequest {
		t.Errorf("an empty one: %d %s", a.Status, a.raw)
	}
	form.Del("redirect_uri")
	form.Set("code_verifier", verifier+"x")
	if a := w.post("/oauth/token", form); a.Error != "invalid_grant" {
		t.Errorf("none, and another verifier: %d %s", a.Status, a.raw)
	}
	form.Set("code_verifier", verifier)
	if a := w.post("/oauth/token", form); a.Status != http.StatusOK {
		t.Errorf("none: %d %s", a.Status, a.raw)
	}
}

// from sends a form to the token endpoint from an address.
func (w *world) from(peer string, form url.Values) (status int, wait time.Duration, body string) {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = peer
	rec := httptest.NewRecorder()
	w.Token().ServeHTTP(rec, r)
	if rec.Code == http.StatusTooManyRequests {
		n, err := strconv.Atoi(rec.Header().Get("Retry-After"))
		if err != nil || n < 1 || rec.Header().Get("Content-Type") != "application/json" {
			w.t.Errorf("429 with the headers %v", rec.Header())
		}
		wait = time.Duration(n) * time.Second
	}
	return rec.Code, wait, rec.Body.String()
}

// TestTokenEndpointIsLimited: one client at one address has its measure, who fails
// much less of it; others go on, and who waits as long as it was told may go on, too.
func TestTokenEndpointIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authserver.Config) { c.CallsPerMinute = 30 })
	const here, there = "192.0.2.1:1000", "192.0.2.2:1000"
	a := w.redeem(w.code("desk", localRedirect), "desk", localRedirect)
	good := refreshForm(a.Refresh)
	good.Set("client_id", "desk")
	for i := range 30 {
		if status, _, body := w.from(here, good); status != http.StatusOK { // the same answer within ten seconds
			t.Fatalf("call %d: %d %s", i+1, status, body)
		}
	}
	status, wait, body := w.from(here, good)
	if status != http.StatusTooManyRequests || !strings.Contains(body, `"error"`) {
		t.Fatalf("one more: %d %s", status, body)
	}
	if status, _, body := w.from(there, good); status != http.StatusOK {
		t.Errorf("from another address: %d %s", status, body)
	}
	w.clock.add(wait)
	if status, _, body := w.from(here, good); status != http.StatusOK {
		t.Errorf("after the wait: %d %s", status, body)
	}
}

// TestGuessingIsLimited: failed proofs, codes and refresh tokens cost more than good ones.
func TestGuessingIsLimited(t *testing.T) {
	t.Parallel()
	for what, form := range map[string]url.Values{
		"secrets": {"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {confidentialClient}, "client_secret": {"guessed"}},
		"codes":   {"grant_type": {"authorization_code"}, "code": {"guessed"}, "client_id": {"desk"}, "redirect_uri": {localRedirect}, "code_verifier": {verifier}},
		"tokens":  {"grant_type": {"refresh_token"}, "refresh_token": {"guessed"}, "client_id": {"desk"}},
	} {
		w := newWorld(t)
		failing := 0
		var wait time.Duration
		for status := 0; status != http.StatusTooManyRequests && failing < 1000; failing++ {
			status, wait, _ = w.from("192.0.2.1:1", form)
		}
		if failing != 21 {
			t.Errorf("%s could be guessed %d times", what, failing-1)
		}
		if status, _, _ := w.from("192.0.2.2:1", form); status == http.StatusTooManyRequests {
			t.Errorf("%s: another address is held back", what)
		}
		w.clock.add(wait)
		if status, _, _ := w.from("192.0.2.1:1", form); status == http.StatusTooManyRequests {
			t.Errorf("%s: after the wait there is still a wait", what)
		}
	}
	w := newWorld(t)
	n := 0
	for status := 0; status != http.StatusTooManyRequests && n < 1000; n++ {
		status, _, _ = w.from("192.0.2.1:1", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {"dcr_" + strconv.Itoa(n)}})
	}
	if n != 101 {
		t.Errorf("under ever new names %d guesses went through", n-1)
	}
	if status, _, _ := w.from("192.0.2.1:1", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {"desk"}}); status != http.StatusTooManyRequests {
		t.Errorf("and one more under a known name: %d", status)
	}
}
