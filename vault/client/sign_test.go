package client_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/vault/client"
)

func keys(t *testing.T) map[jose.SignatureAlgorithm]crypto.Signer {
	t.Helper()
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rs, err2 := rsa.GenerateKey(rand.Reader, 2048)
	_, ed, err3 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return map[jose.SignatureAlgorithm]crypto.Signer{jose.ES256: ec, jose.RS256: rs, jose.EdDSA: ed}
}

// claimsOf has a library that nobody here wrote verify a JWT.
func claimsOf(t *testing.T, raw string, alg jose.SignatureAlgorithm, public crypto.PublicKey, typ string) (out map[string]any) {
	t.Helper()
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{alg})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify(public)
	if err != nil {
		t.Fatal(err)
	}
	if h := jws.Signatures[0].Protected; h.KeyID != "k1" || h.ExtraHeaders[jose.HeaderType] != typ {
		t.Errorf("the header says %+v", h)
	}
	if err := json.Unmarshal(payload, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSigned: a client with a key sends no secret; each proof is for this endpoint, short, and another one every time.
func TestSigned(t *testing.T) {
	t.Parallel()
	for alg, key := range keys(t) {
		g := newGrantry(t)
		sign, err := client.Signer(key, "k1")
		if err != nil {
			t.Fatal(err)
		}
		c := g.client(t, func(c *client.Config) { c.Secret, c.Sign = nil, sign })
		for range 4 {
			s := c.TokenSource(client.Unattended("https://idp.example", "alice", "the nightly report"), "google", client.Options{})
			token(t, s)
			s.Forget()
		}
		ids := map[any]bool{}
		for _, ask := range g.seen() {
			if ask.Header.Get("Authorization") != "" || ask.Form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || ask.Form.Get("client_id") != "nightly" {
				t.Errorf("%s: %v %v", alg, ask.Form, ask.Header)
			}
			proof := claimsOf(t, ask.Form.Get("client_assertion"), alg, key.Public(), "JWT")
			worker := claimsOf(t, ask.Form.Get("subject_token"), alg, key.Public(), "grantry-worker+jwt")
			id, _ := worker["sub_id"].(map[string]any)
			if proof["iss"] != "nightly" || proof["sub"] != "nightly" || proof["aud"] != g.URL+"/oauth/token" {
				t.Errorf("%s: the proof says %v", alg, proof)
			}
			if worker["iss"] != "nightly" || worker["aud"] != g.URL+"/" || worker["audit_context"] != "the nightly report" || id["format"] != "iss_sub" || id["iss"] != "https://idp.example" || id["sub"] != "alice" {
				t.Errorf("%s: for its user it says %v", alg, worker)
			}
			for _, c := range []map[string]any{proof, worker} {
				if life := c["exp"].(float64) - float64(g.clock.Now().Unix()); life <= 0 || life > time.Minute.Seconds() {
					t.Errorf("%s: an assertion lives for %v seconds", alg, life)
				}
				ids[c["jti"]] = true
			}
		}
		if len(ids) != 8 {
			t.Errorf("%s: %d different ids", alg, len(ids))
		}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Signer(p384, "k1"); err == nil {
		t.Error("a key that Grantry does not take is taken")
	}
}

// short signs with numbers that begin with zeros, as one ECDSA signature in 128 does.
type short struct{ public *ecdsa.PublicKey }

// Public implements crypto.Signer.
func (s short) Public() crypto.PublicKey { return s.public }

// Sign implements crypto.Signer.
func (short) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return asn1.Marshal(struct{ R, S *big.Int }{big.NewInt(0x0102), big.NewInt(0x03)})
}

// TestShortSignature: both numbers of an ES256 signature take 32 bytes, however small they are (RFC 7518 §3.4).
func TestShortSignature(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign, err := client.Signer(short{&key.PublicKey}, "k1")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := sign(t.Context(), "JWT", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	want := append(append(make([]byte, 30), 1, 2), append(make([]byte, 31), 3)...)
	if got := raw[strings.LastIndexByte(raw, '.')+1:]; got != base64.RawURLEncoding.EncodeToString(want) {
		t.Errorf("the signature is %s", got)
	}
}

// TestProofsThatFail: what the application itself cannot give is an error of its own, and nothing is sent.
func TestProofsThatFail(t *testing.T) {
	t.Parallel()
	g := newGrantry(t)
	gone := errors.New("the file is gone")
	fails := func(context.Context) (client.Secret, error) { return client.Secret{}, gone }
	for name, s := range map[string]*client.Source{
		"secret":  g.client(t, func(c *client.Config) { c.Secret = fails }).TokenSource(client.AccessToken("x"), "google", client.Options{}),
		"subject": g.client(t).TokenSource(client.AccessTokens("u", fails), "google", client.Options{}),
		"key": g.client(t, func(c *client.Config) {
			c.Secret, c.Sign = nil, func(context.Context, string, []byte) (string, error) { return "", gone }
		}).TokenSource(client.AccessToken("x"), "google", client.Options{}),
	} {
		if _, err := s.Token(t.Context()); !errors.Is(err, gone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := g.client(t).TokenSource(client.Unattended("i", "alice", "why"), "google", client.Options{}).Token(t.Context())
	if err == nil || !strings.Contains(err.Error(), "Config.Sign") {
		t.Errorf("a worker without a key: %v", err)
	}
	if n := len(g.seen()); n != 0 {
		t.Errorf("%d exchanges were sent", n)
	}
}
