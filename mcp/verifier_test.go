package mcp_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

// TestGoodTokens are those that must pass.
func TestGoodTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	ec, ed := ecKey(t), edKey(t)
	i.publish("ec", ec.Public(), "sig")
	i.publish("ed", ed.Public(), "")
	i.mu.Lock()
	i.keys = append(i.keys, map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "kid": "new", "pub": "AAAA"}) // a kind that we do not know
	i.mu.Unlock()
	v := i.verifier()
	for name, d := range map[string]draft{
		"at+jwt":                 {},
		"application/at+jwt":     {typ: "application/at+jwt"},
		"AT+JWT":                 {typ: "AT+JWT"},
		"JWT for us":             {typ: "JWT"},
		"PS256":                  {alg: jose.PS256, key: i.rsa},
		"ES256":                  {alg: jose.ES256, key: ec, kid: "ec"},
		"EdDSA":                  {alg: jose.EdDSA, key: ed, kid: "ed"},
		"several audiences":      {claims: map[string]any{"aud": []string{"https://other.example.com", resource}}},
		"expired a moment ago":   {claims: map[string]any{"exp": i.now.Load() - 30}},
		"valid in a moment":      {claims: map[string]any{"nbf": i.now.Load() + 30}},
		"at+jwt for our OIDC id": {claims: map[string]any{"aud": []string{"grantry", resource}}},
	} {
		b, err := v.Verify(t.Context(), i.sign(d))
		p, a := b.Person, b.Agent
		if err != nil || p.Caller != (vault.Caller{Issuer: i.srv.URL, Subject: "alice"}) || p.Email != "alice@example.com" || p.EmailVerified ||
			a != (vault.Agent{Issuer: i.srv.URL, ID: "agent-1"}) {
			t.Errorf("%s: %+v %+v %v", name, p, a, err)
		}
	}
	if n := i.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// TestBadTokens is R32, R33 and R34.
func TestBadTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	other := newIssuer(t)
	v := i.verifier()
	der, err := x509.MarshalPKIXPublicKey(i.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	now := i.now.Load()
	good := i.sign(draft{})
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt","kid":"k1"}`))
	mine := ecKey(t)
	for name, raw := range map[string]string{
		"none":                   none + "." + parts[1] + ".",
		"none with a signature":  none + "." + parts[1] + "." + parts[2],
		"HS256 by public key":    i.sign(draft{alg: jose.HS256, key: public}),
		"other claims":           parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"bob"}`)) + "." + parts[2],
		"another issuer's key":   i.sign(draft{alg: jose.RS256, key: other.rsa}),
		"another issuer":         i.sign(draft{claims: map[string]any{"iss": "https://evil.example.com"}}),
		"issuer with a slash":    i.sign(draft{claims: map[string]any{"iss": i.srv.URL + "/"}}),
		"no issuer":              i.sign(draft{claims: map[string]any{"iss": nil}}),
		"a sibling's audience":   i.sign(draft{claims: map[string]any{"aud": publicURL + "/mcp2"}}),
		"the origin as audience": i.sign(draft{claims: map[string]any{"aud": publicURL + "/"}}),
		"no audience":            i.sign(draft{claims: map[string]any{"aud": nil}}),
		"audience by case":       i.sign(draft{claims: map[string]any{"aud": nil, "AUD": resource}}),
		"expired":                i.sign(draft{claims: map[string]any{"exp": now - 61}}),
		"no expiry":              i.sign(draft{claims: map[string]any{"exp": nil}}),
		"expiry as text":         i.sign(draft{claims: map[string]any{"exp": fmt.Sprint(now + 300)}}),
		"not yet valid":          i.sign(draft{claims: map[string]any{"nbf": now + 90}}),
		"an ID token":            i.sign(draft{typ: "JWT", claims: map[string]any{"aud": "grantry"}}),
		"an ID token, also ours": i.sign(draft{typ: "JWT", claims: map[string]any{"aud": []string{"grantry", resource}}}),
		"another type":           i.sign(draft{typ: "oauth-id-jag+jwt"}),
		"no type":                i.sign(draft{typ: "none"}),
		"embedded jwk":           i.sign(draft{alg: jose.ES256, key: mine, header: map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: mine.Public()}}}),
		"jku":                    i.sign(draft{alg: jose.RS256, key: other.rsa, header: map[jose.HeaderKey]any{"jku": other.srv.URL + "/jwks"}}),
		"unknown crit":           i.sign(draft{header: map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1}}),
		"no subject":             i.sign(draft{claims: map[string]any{"sub": nil}}),
		"no agent":               i.sign(draft{claims: map[string]any{"client_id": nil}}),
		"agent is no text":       i.sign(draft{claims: map[string]any{"client_id": 5}}),
		"garbage":                "x.y.z",
		"empty":                  "",
		"JSON serialization":     `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	} {
		_, err := v.Verify(t.Context(), raw)
		bad, ok := errors.AsType[*mcp.TokenError](err)
		if !ok {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if raw != "" && strings.Contains(bad.Error(), raw) {
			t.Errorf("%s: the error holds the token", name)
		}
	}
	if other.fetches.Load() != 0 {
		t.Error("a key was fetched from where the token said")
	}
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// TestAgentClaims: the first of the list that is there, with paths.
func TestAgentClaims(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	for want, claims := range map[string]map[string]any{
		"actor": {"act": map[string]any{"sub": "actor"}},
		"azp-1": {"client_id": nil, "azp": "azp-1", "cid": "cid-1"},
		"app-1": {"client_id": nil, "appid": "app-1"},
		"cid-1": {"client_id": nil, "cid": "cid-1", "act": "no object"},
		"dots":  {"client_id": nil, "act.sub": "dots"},
	} {
		if b, err := v.Verify(t.Context(), i.sign(draft{claims: claims})); err != nil || b.Agent.ID != want {
			t.Errorf("want %s: %+v %v", want, b, err)
		}
	}
}

// TestSubjectClaims: people are told apart by the claims of the config, never by e-mail (R04).
func TestSubjectClaims(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier(func(c *mcp.VerifierConfig) { c.SubjectClaims = []string{"tid", "oid"} })
	b, err := v.Verify(t.Context(), i.sign(draft{claims: map[string]any{"tid": "t", "oid": "o"}}))
	if subject := b.Person.Subject; err != nil || subject == "alice" || !strings.Contains(subject, "t") {
		t.Errorf("%+v %v", b, err)
	}
	if _, err := v.Verify(t.Context(), i.sign(draft{claims: map[string]any{"tid": "t"}})); err == nil {
		t.Error("a missing claim was guessed")
	}
	if _, err := mcp.NewVerifier(mcp.VerifierConfig{Issuer: "https://i.example.com", Audiences: []string{resource}, SubjectClaims: []string{"email"}}); err == nil {
		t.Error("e-mail as identity was taken")
	}
	for _, bad := range []string{"http://i.example.com", "https://", "ftp://i.example.com", "https://user@i.example.com", i.srv.URL} {
		if _, err := mcp.NewVerifier(mcp.VerifierConfig{Issuer: bad, Audiences: []string{resource}}); err == nil {
			t.Errorf("issuer %q was taken", bad)
		}
	}
}

// TestUnknownKeys is R41: however many unknown key ids come, the keys are
// fetched once a minute; a new key is found then.
func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	fresh := ecKey(t)
	token := i.sign(draft{alg: jose.ES256, key: fresh, kid: "k2"})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := v.Verify(t.Context(), token); err == nil {
				t.Error("a token of an unknown key passed")
			}
		})
	}
	all.Wait()
	if n := i.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	i.publish("k2", fresh.Public(), "")
	if _, err := v.Verify(t.Context(), token); err == nil {
		t.Error("fetched again within the minute")
	}
	i.advance(61 * time.Second)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("after a minute: %v", err)
	}
	if n := i.fetches.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

// TestIssuerOutage is R41: the keys at hand serve for a day, then nothing passes; and
// that nothing can be told is another error than a bad token.
func TestIssuerOutage(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	if _, err := v.Verify(t.Context(), i.sign(draft{})); err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	i.down = true
	i.mu.Unlock()
	i.advance(23 * time.Hour)
	if _, err := v.Verify(t.Context(), i.sign(draft{})); err != nil {
		t.Errorf("within a day: %v", err)
	}
	i.advance(2 * time.Hour)
	_, err := v.Verify(t.Context(), i.sign(draft{}))
	if _, bad := errors.AsType[*mcp.TokenError](err); err == nil || bad {
		t.Errorf("after a day: %v", err)
	}
	i.mu.Lock()
	i.down = false
	i.mu.Unlock()
	i.advance(2 * time.Minute)
	if _, err := v.Verify(t.Context(), i.sign(draft{})); err != nil {
		t.Errorf("when it is back: %v", err)
	}
}

// TestBadMetadata: metadata of another issuer (RFC 8414 §3.3) and keys without end are not used.
func TestBadMetadata(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*issuer){
		"another issuer": func(i *issuer) { i.claims = "https://evil.example.com" },
		"huge":           func(i *issuer) { i.pad = 2 << 20 },
	} {
		i := newIssuer(t)
		spoil(i)
		_, err := i.verifier().Verify(t.Context(), i.sign(draft{}))
		if _, bad := errors.AsType[*mcp.TokenError](err); err == nil || bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVerifiedIsRemembered: until it expires, and not a moment longer than its leeway.
func TestVerifiedIsRemembered(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	v := i.verifier()
	token := i.sign(draft{})
	for range 3 {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	i.advance(6*time.Minute + time.Second)
	if _, err := v.Verify(t.Context(), token); err == nil {
		t.Error("an expired token passed from memory")
	}
}
