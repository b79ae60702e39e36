package authserver

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	kindKeys   = "authserver-keys"
	keysHandle = "signing"

	keyAge  = 30 * 24 * time.Hour       // then another signs
	keyKept = accessTTL + 5*time.Minute // and this long the old one's tokens are good
	keyLook = time.Minute               // how long the store is not looked at again
)

// storedKey is a signing key as it lies in the vault.
type storedKey struct {
	ID      string    `json:"id"`
	Private []byte    `json:"private"` // PKCS #8
	Made    time.Time `json:"made"`
	Retired time.Time `json:"retired,omitzero"`
}

// keyring are the keys that sign access tokens: one that signs, and old ones
// until their tokens are over. They lie sealed in one record, so that all replicas have the same.
type keyring struct {
	records Records
	now     func() time.Time
	rand    io.Reader

	mu     sync.Mutex
	keys   []*signingKey // the newest last
	looked time.Time
}

// signing is the key that signs now.
func (k *keyring) signing(ctx context.Context) (*signingKey, error) {
	keys, err := k.get(ctx)
	if err != nil {
		return nil, err
	}
	return keys[len(keys)-1], nil
}

// verifying are the keys that tokens may be signed with. An id that is not among
// them may be of a key that another replica has just made: the store is looked at again.
func (k *keyring) verifying(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	unknown := id != "" && !slices.ContainsFunc(k.keys, func(key *signingKey) bool { return key.id == id })
	if unknown && k.now().Sub(k.looked) >= time.Second {
		k.looked = time.Time{}
	}
	k.mu.Unlock()
	keys, err := k.get(ctx)
	var out []jose.JSONWebKey
	for _, key := range keys {
		out = append(out, *key.Public())
	}
	return out, err
}

func (k *keyring) get(ctx context.Context) ([]*signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if len(k.keys) > 0 && now.Sub(k.looked) < keyLook && now.Sub(k.keys[len(k.keys)-1].made) < keyAge {
		return k.keys, nil
	}
	keys, err := k.look(ctx, now.UTC())
	if err != nil {
		return nil, fmt.Errorf("reading signing keys: %w", err)
	}
	k.keys, k.looked = keys, now
	return keys, nil
}

// errKeep says that the stored keys are good as they are.
var errKeep = errors.New("nothing to change")

// look reads the keys and makes the next one when it is time: one, however many replicas look.
func (k *keyring) look(ctx context.Context, now time.Time) ([]*signingKey, error) {
	var stored []storedKey
	err := k.records.Change(ctx, kindKeys, keysHandle, func(old []byte) ([]byte, time.Duration, error) {
		stored = nil
		if old != nil {
			if err := json.Unmarshal(old, &stored); err != nil {
				return nil, 0, err
			}
		}
		n := len(stored)
		if n > 0 && now.Sub(stored[n-1].Made) < keyAge {
			return nil, 0, errKeep
		}
		next, err := k.make(now)
		if err != nil {
			return nil, 0, err
		}
		stored = append(current(stored, now), next)
		raw, err := json.Marshal(stored)
		return raw, forever, err
	})
	if err != nil && !errors.Is(err, errKeep) {
		return nil, err
	}
	return readKeys(current(stored, now))
}

// current are the keys whose tokens may still be good; the one that signed until now is retired.
func current(stored []storedKey, now time.Time) (out []storedKey) {
	for i, key := range stored {
		if key.Retired.IsZero() && (i < len(stored)-1 || now.Sub(key.Made) >= keyAge) {
			key.Retired = now
		}
		if key.Retired.IsZero() || now.Sub(key.Retired) < keyKept {
			out = append(out, key)
		}
	}
	return out
}

func (k *keyring) make(now time.Time) (storedKey, error) {
	id, err := drawID(k.rand)
	if err != nil {
		return storedKey{}, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), k.rand)
	if err != nil {
		return storedKey{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	return storedKey{ID: id[:16], Private: der, Made: now}, err
}

func readKeys(stored []storedKey) (out []*signingKey, err error) {
	for _, s := range stored {
		parsed, err := x509.ParsePKCS8PrivateKey(s.Private)
		if err != nil {
			return nil, err
		}
		private, ok := parsed.(*ecdsa.PrivateKey)
		if !ok {
			return nil, errors.New("not an ECDSA key")
		}
		out = append(out, &signingKey{id: s.ID, private: private, made: s.Made})
	}
	return out, nil
}

// signingKey signs as RFC 6979 says, without randomness: a token that is asked
// for twice is the same token.
type signingKey struct {
	id      string
	private *ecdsa.PrivateKey
	made    time.Time
}

var _ jose.OpaqueSigner = (*signingKey)(nil)

// Public is the key's public half, with its id.
func (k *signingKey) Public() *jose.JSONWebKey {
	return &jose.JSONWebKey{Key: &k.private.PublicKey, KeyID: k.id, Algorithm: string(jose.ES256), Use: "sig"}
}

// Algs is ES256 alone.
func (k *signingKey) Algs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{jose.ES256} }

// SignPayload signs with SHA-256 and answers R and S, 32 bytes each (RFC 7518 §3.4).
func (k *signingKey) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	sum := sha256.Sum256(payload)
	der, err := k.private.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, err
	}
	out := make([]byte, 64)
	sig.R.FillBytes(out[:32])
	sig.S.FillBytes(out[32:])
	return out, nil
}
