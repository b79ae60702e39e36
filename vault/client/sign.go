package client

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// Sign makes a compact JWT of these claims, a JSON object, with this typ in its header.
type Sign func(ctx context.Context, typ string, claims []byte) (string, error)

// Signer signs with a key: RSA (RS256), ECDSA on P-256 (ES256) or Ed25519 (EdDSA). Its public half stands
// under keyID in the workload's jwks. The key may be one that never leaves its hardware.
func Signer(key crypto.Signer, keyID string) (Sign, error) {
	var alg string
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		alg = "RS256"
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P256() {
			alg = "ES256"
		}
	case ed25519.PublicKey:
		alg = "EdDSA"
	}
	if alg == "" {
		return nil, errors.New("grantry: a key must be RSA, ECDSA on P-256, or Ed25519")
	}
	return func(_ context.Context, typ string, claims []byte) (string, error) {
		header, err := json.Marshal(map[string]string{"alg": alg, "kid": keyID, "typ": typ})
		if err != nil {
			return "", err
		}
		text := encode(header) + "." + encode(claims)
		signature, err := signature(key, alg, text)
		if err != nil {
			return "", fmt.Errorf("signing an assertion: %w", err)
		}
		return text + "." + encode(signature), nil
	}, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signature is that of RFC 7518 §3.3 and §3.4, or of RFC 8037.
func signature(key crypto.Signer, alg, text string) ([]byte, error) {
	if alg == "EdDSA" {
		return key.Sign(rand.Reader, []byte(text), crypto.Hash(0))
	}
	sum := sha256.Sum256([]byte(text))
	der, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil || alg != "ES256" {
		return der, err
	}
	var point struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &point); err != nil || len(rest) > 0 {
		return nil, errors.New("the key made no ECDSA signature")
	}
	out := make([]byte, 64)
	point.R.FillBytes(out[:32])
	point.S.FillBytes(out[32:])
	return out, nil
}
