package sandbox

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func newES256() (*jose.JSONWebKey, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return asJWK(k, jose.ES256)
}

func newRS256() (*jose.JSONWebKey, error) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return asJWK(k, jose.RS256)
}

// asJWK names the key by its thumbprint (RFC 7638), so that a new sandbox is never taken for an old one.
func asJWK(k any, alg jose.SignatureAlgorithm) (*jose.JSONWebKey, error) {
	jwk := &jose.JSONWebKey{Key: k, Algorithm: string(alg), Use: "sig"}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	return jwk, nil
}

// vendorKey is the RSA key with which Google and Salesforce sign, made when one first has to.
func (s *Sandbox) vendorKey() (*jose.JSONWebKey, error) {
	var key *jose.JSONWebKey
	var err error
	s.view(func(st *state) { key = st.VendorKey })
	if key != nil {
		return key, nil
	}
	s.update(func(st *state) {
		if st.VendorKey == nil {
			st.VendorKey, err = newRS256()
		}
		key = st.VendorKey
	})
	return key, err
}

func sign(key *jose.JSONWebKey, typ jose.ContentType, claims reply) (string, error) {
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key},
		(&jose.SignerOptions{}).WithType(typ),
	)
	if err != nil {
		return "", fmt.Errorf("preparing the signature: %w", err)
	}
	return jwt.Signed(signer).Claims(map[string]any(claims)).Serialize()
}

// accessJWT is an access token of the issuer in the form of RFC 9068.
func (s *Sandbox) accessJWT(p person, clientID string, aud, scopes []string, life time.Duration) (string, error) {
	now := s.cfg.Now()
	claims := reply{
		"iss": s.issuerURL(), "sub": p.subject, "client_id": clientID, "email": p.email,
		"iat": now.Unix(), "exp": now.Add(life).Unix(), "jti": s.random(), "scope": strings.Join(scopes, " "),
	}
	claims["aud"] = aud
	if len(aud) == 1 {
		claims["aud"] = aud[0]
	}
	return sign(s.state.IssuerKey, "at+jwt", claims)
}

// idToken signs an ID token as OIDC Core section 2 has it; claims are the vendor's own on top.
func (s *Sandbox) idToken(key *jose.JSONWebKey, iss, sub string, c *code, access string, claims reply) (string, error) {
	now := s.cfg.Now()
	claims["iss"], claims["sub"], claims["aud"] = iss, sub, c.Client
	claims["iat"], claims["exp"] = now.Unix(), now.Add(time.Hour).Unix()
	sum := sha256.Sum256([]byte(access))
	claims["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:16])
	if c.Nonce != "" {
		claims["nonce"] = c.Nonce
	}
	return sign(key, "JWT", claims)
}

func publicKeys(key *jose.JSONWebKey) jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}
}
