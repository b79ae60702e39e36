package sts_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/assertion"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/sts"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// signer signs as a workload with keys does.
type signer struct {
	w    *world
	t    *testing.T
	key  *ecdsa.PrivateKey
	path string
}

// newSigner is a world in which the workload "worker" proves itself by the keys in a file.
func newSigner(t *testing.T) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{t: t, key: key, path: filepath.Join(t.TempDir(), "jwks.json")}
	s.publish(jose.JSONWebKey{Key: key.Public(), KeyID: "k1"})
	s.w = newWorld(t, func(c *sts.Config) {
		c.Workloads["worker"] = sts.Workload{
			Keys: assertion.FileKeys(s.path), Unattended: []string{"files"},
			Connections: map[string][]string{"files": {"files.all"}, "mail": {"mail.read"}},
		}
	})
	return s
}

func (s *signer) publish(keys ...jose.JSONWebKey) {
	s.t.Helper()
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err == nil {
		err = os.WriteFile(s.path, raw, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// draft is a JWT that a test changes.
type draft struct {
	typ    string
	alg    jose.SignatureAlgorithm
	key    any
	kid    string
	claims map[string]any // over the usual ones; nil takes one away
}

func (s *signer) sign(d draft, usual map[string]any) string {
	s.t.Helper()
	if d.key == nil {
		d.key, d.alg = s.key, jose.ES256
	}
	opts := (&jose.SignerOptions{}).WithHeader("kid", d.kid)
	if d.kid == "" {
		opts = (&jose.SignerOptions{}).WithHeader("kid", "k1")
	}
	if d.typ != "" {
		opts = opts.WithType(jose.ContentType(d.typ))
	}
	sign, err := jose.NewSigner(jose.SigningKey{Algorithm: d.alg, Key: d.key}, opts)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, v := range d.claims {
		if usual[name] = v; v == nil {
			delete(usual, name)
		}
	}
	payload, err := json.Marshal(usual)
	if err != nil {
		s.t.Fatal(err)
	}
	jws, err := sign.Sign(payload)
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return raw
}

// client is private_key_jwt.
func (s *signer) client(d draft) string {
	now := s.w.clock.Now().Unix()
	return s.sign(d, map[string]any{"iss": "worker", "sub": "worker", "aud": publicURL + "/oauth/token", "exp": now + 60, "iat": now, "jti": rand.Text()})
}

// worker is a worker's assertion about alice.
func (s *signer) worker(d draft) string {
	if d.typ == "" {
		d.typ = sts.WorkerType
	}
	return s.sign(d, map[string]any{"iss": "worker", "aud": publicURL + "/", "sub": "alice", "iat": s.w.clock.Now().Unix(), "jti": rand.Text(), "audit_context": "nightly sync of invoices"})
}

// as proves the client by an assertion.
func as(assertion string) func(*sent) {
	return with("client_id", "", "client_secret", "", "client_assertion_type", assertionType, "client_assertion", assertion)
}

// working presents a worker's assertion as the subject token.
func working(assertion string) func(*sent) {
	return with("subject_token_type", jwt, "subject_token", assertion)
}

// TestPrivateKeyJWT is RFC 7523: who, for whom, how long, and once.
func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	w := s.w
	w.follow(w.send(as(s.client(draft{}))), "alice", "files.read")
	now := w.clock.Now().Unix()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"k1"}`)) + "." + strings.Split(s.client(draft{}), ".")[1] + "."
	for name, raw := range map[string]string{
		"alg none":               none,
		"HS256 by public key":    s.client(draft{alg: jose.HS256, key: public}),
		"another key":            s.client(draft{alg: jose.RS256, key: rsaKey}),
		"another key id":         s.client(draft{kid: "k2"}),
		"another issuer":         s.client(draft{claims: map[string]any{"iss": "nightly"}}),
		"another subject":        s.client(draft{claims: map[string]any{"sub": "nightly"}}),
		"another audience":       s.client(draft{claims: map[string]any{"aud": "https://elsewhere.example"}}),
		"no audience":            s.client(draft{claims: map[string]any{"aud": nil}}),
		"no end":                 s.client(draft{claims: map[string]any{"exp": nil}}),
		"over":                   s.client(draft{claims: map[string]any{"exp": now - 60}}),
		"too long":               s.client(draft{claims: map[string]any{"exp": now + 3600}}),
		"not yet":                s.client(draft{claims: map[string]any{"nbf": now + 120}}),
		"from the future":        s.client(draft{claims: map[string]any{"iat": now + 120}}),
		"no jti":                 s.client(draft{claims: map[string]any{"jti": nil}}),
		"for another one, too":   s.client(draft{claims: map[string]any{"aud": []string{publicURL + "/", "https://other.example"}}}),
		"a claim of wrong kind":  s.client(draft{claims: map[string]any{"exp": "soon"}}),
		"a worker's assertion":   s.worker(draft{claims: map[string]any{"sub": "worker", "exp": now + 60}}),
		"not a JWT":              "garbage",
		"no signature":           strings.TrimRight(s.client(draft{}), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
		"of a workload by proof": s.sign(draft{}, map[string]any{"iss": "nightly", "sub": "nightly", "aud": publicURL, "exp": now + 60, "jti": "x"}),
	} {
		refused(t, name, w.send(as(raw), with("client_id", "worker")), http.StatusUnauthorized, "invalid_client")
		w.clock.add(40 * time.Second) // so that failures are not too many
	}
	for name, d := range map[string]draft{
		"the issuer":              {claims: map[string]any{"aud": publicURL}},
		"the issuer with a slash": {claims: map[string]any{"aud": []string{publicURL + "/"}}},
	} {
		if r := w.send(as(s.client(d))); r.status != http.StatusOK {
			t.Errorf("to %s: %s", name, r)
		}
	}
	once := s.client(draft{})
	if r := w.send(as(once)); r.status != http.StatusOK {
		t.Errorf("%s", r)
	}
	w.sts = w.over(w.open("p2")) // R63: also after a restart
	refused(t, "used twice", w.send(as(once)), http.StatusUnauthorized, "invalid_client")
	refused(t, "its secret", w.send(with("client_id", "worker")), http.StatusUnauthorized, "invalid_client")
	refused(t, "keys of who has a secret", w.send(as(s.sign(draft{}, map[string]any{"iss": "nightly", "sub": "nightly", "aud": publicURL, "exp": w.clock.Now().Unix() + 60, "jti": "y"}))), http.StatusUnauthorized, "invalid_client")
}

// TestKeyRotation: a file is read again when it changes, and the old key is worth nothing.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	s.w.follow(s.w.send(as(s.client(draft{}))), "alice", "files.read")
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s.publish(jose.JSONWebKey{Key: pub, KeyID: "k2"}, jose.JSONWebKey{Key: rsaKey.Public(), KeyID: "k3"}, jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "k4"})
	for name, d := range map[string]draft{
		"EdDSA": {alg: jose.EdDSA, key: priv, kid: "k2"},
		"PS256": {alg: jose.PS256, key: rsaKey, kid: "k3"},
		"RS256": {alg: jose.RS256, key: rsaKey, kid: "k3"},
	} {
		if r := s.w.send(as(s.client(d))); r.status != http.StatusOK {
			t.Errorf("%s: %s", name, r)
		}
	}
	refused(t, "the old key", s.w.send(as(s.client(draft{}))), http.StatusUnauthorized, "invalid_client")
	refused(t, "a symmetric key", s.w.send(as(s.client(draft{alg: jose.HS256, key: []byte("0123456789abcdef0123456789abcdef"), kid: "k4"}))), http.StatusUnauthorized, "invalid_client")
	if err := os.WriteFile(s.path, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, "no key at all", s.w.send(as(s.client(draft{}))), http.StatusServiceUnavailable, "temporarily_unavailable")
}

// TestWorkerAssertion: a workload's own signed request for one person, for the connections that its policy lists alone.
func TestWorkerAssertion(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	w := s.w
	send := func(assertion string, change ...func(*sent)) reply {
		t.Helper()
		return w.send(append([]func(*sent){as(s.client(draft{})), working(assertion)}, change...)...)
	}
	w.follow(send(s.worker(draft{})), "alice", "files.read")
	now := w.clock.Now().Unix()
	other := map[string]any{"format": "iss_sub", "iss": "https://other.example", "sub": "alice"}
	for name, d := range map[string]draft{
		"a client's typ":       {typ: "JWT"},
		"no typ of ours":       {typ: "at+jwt"},
		"another issuer":       {claims: map[string]any{"iss": "nightly"}},
		"another audience":     {claims: map[string]any{"aud": "https://elsewhere.example/"}},
		"the token endpoint":   {claims: map[string]any{"aud": publicURL + "/oauth/token"}},
		"no iat":               {claims: map[string]any{"iat": nil}},
		"old":                  {claims: map[string]any{"iat": now - 61}},
		"from the future":      {claims: map[string]any{"iat": now + 61}},
		"over":                 {claims: map[string]any{"exp": now - 31}},
		"no jti":               {claims: map[string]any{"jti": nil}},
		"no context":           {claims: map[string]any{"audit_context": nil}},
		"an empty context":     {claims: map[string]any{"audit_context": ""}},
		"a context of 257":     {claims: map[string]any{"audit_context": strings.Repeat("x", 257)}},
		"a context of 2 lines": {claims: map[string]any{"audit_context": "a\nb"}},
		"nobody":               {claims: map[string]any{"sub": nil}},
		"another's people":     {claims: map[string]any{"sub": nil, "sub_id": other}},
		"two people":           {claims: map[string]any{"sub": "bob", "sub_id": map[string]any{"format": "iss_sub", "iss": idp, "sub": "alice"}}},
		"an e-mail address":    {claims: map[string]any{"sub": nil, "sub_id": map[string]any{"format": "email", "email": "alice@example.com"}}},
	} {
		refused(t, name, send(s.worker(d)), http.StatusBadRequest, "invalid_request")
	}
	for name, d := range map[string]draft{
		"ours":            {},
		"Auth0's":         {typ: "token-vault-req+jwt"},
		"by sub_id":       {claims: map[string]any{"sub": nil, "sub_id": map[string]any{"format": "iss_sub", "iss": idp, "sub": "alice"}}},
		"59 seconds old":  {claims: map[string]any{"iat": now - 59}},
		"256 of context":  {claims: map[string]any{"audit_context": strings.Repeat("ü", 256)}},
		"to us, in a row": {claims: map[string]any{"aud": []string{publicURL}}},
	} {
		if r := send(s.worker(d)); r.status != http.StatusOK || w.vendor.whose(r.str("access_token")) != "alice" {
			t.Errorf("%s: %s", name, r)
		}
	}
	once := s.worker(draft{})
	if r := send(once, auth0, with("requested_token_type", "http://auth0.com/oauth/token-type/token-vault-access-token")); r.status != http.StatusOK || !strings.HasSuffix(r.str("issued_token_type"), "token-vault-access-token") {
		t.Errorf("by Auth0's names: %s", r)
	}
	w.sts = w.over(w.open("p2"))
	refused(t, "replayed after a restart (R63)", send(once), http.StatusBadRequest, "invalid_request")
	refused(t, "a connection that is not unattended", send(s.worker(draft{}), with("connection", "mail", "scope", "mail.read")), http.StatusBadRequest, "invalid_target")
	refused(t, "signed by nobody's key", send("e30.e30.e30"), http.StatusBadRequest, "invalid_request")
	refused(t, "by a workload without keys", w.send(working(s.worker(draft{}))), http.StatusBadRequest, "invalid_target")
	if log := w.audit(); !strings.Contains(log, "nightly sync of invoices") {
		t.Error("the audit does not say why")
	}
}

// TestBelowAPrefix: an assertion may be addressed to where it is sent, and to no other prefix.
func TestBelowAPrefix(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	s.w.follow(s.w.send(as(s.client(draft{})), working(s.worker(draft{}))), "alice", "files.read")
	to := func(aud string) draft { return draft{claims: map[string]any{"aud": aud}} }
	at := func(r *sent) { r.URL.Path = "/t/acme" + sts.TokenPath }
	for _, aud := range []string{publicURL + "/t/acme/", publicURL + "/t/acme", publicURL + "/"} {
		if r := s.w.send(at, as(s.client(to(aud))), working(s.worker(to(aud)))); r.status != http.StatusOK {
			t.Errorf("%s: %s", aud, r)
		}
	}
	refused(t, "another prefix", s.w.send(at, as(s.client(to(publicURL+"/t/other/")))), http.StatusUnauthorized, "invalid_client")
	refused(t, "another prefix", s.w.send(at, as(s.client(to(publicURL+"/t/acme/oauth/token"))), working(s.worker(to(publicURL+"/t/other/")))), http.StatusBadRequest, "invalid_request")
	refused(t, "a prefix at the root", s.w.send(as(s.client(to(publicURL+"/t/acme/")))), http.StatusUnauthorized, "invalid_client")
}

// TestSeveralIssuers: with more than one of them sub alone names nobody.
func TestSeveralIssuers(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	s.w.cfg.Issuers = []string{idp, "https://second.example"}
	s.w.sts = s.w.over(s.w.Vault)
	refused(t, "sub alone", s.w.send(as(s.client(draft{})), working(s.worker(draft{}))), http.StatusBadRequest, "invalid_request")
	r := s.w.send(as(s.client(draft{})), working(s.worker(draft{claims: map[string]any{"sub_id": map[string]any{"format": "iss_sub", "iss": "https://second.example", "sub": "alice"}}})))
	refused(t, "another alice", r, http.StatusBadRequest, "consent_required")
	ticket, err := s.w.Ticket(t.Context(), strings.TrimPrefix(r.str("consent_uri"), publicURL+"/consent/"))
	if err != nil || ticket.Owner.Caller != (vault.Caller{Issuer: "https://second.example", Subject: "alice"}) {
		t.Errorf("%+v %v", ticket.Owner, err)
	}
}

// TestNoUnprovableWorkload: a workload has a secret or keys, never neither and never both.
func TestNoUnprovableWorkload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, bad := range []sts.Workload{{}, {Secret: provider.NewSecret("x"), Keys: assertion.FileKeys("x")}} {
		cfg := w.cfg
		cfg.Vault, cfg.Records, cfg.Connection, cfg.Workloads = w.Vault, w.Records(), w.Connection, map[string]sts.Workload{"w": bad}
		if _, err := sts.New(cfg); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
