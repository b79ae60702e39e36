package authserver

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	kindKeys = "authserver-keys"

	keyAge  = 30 * 24 * time.Hour // then another signs
	keyOver = 5 * time.Minute     // that a key is published longer than its tokens last
	keyLook = time.Minute         // how long the store is not looked at again
)

// storedKey is a signing key as it lies in the vault.
type storedKey struct {
	ID      string    `json:"id"`
	Private []byte    `json:"private"` // PKCS #8
	Made    time.Time `json:"made"`
	Retired time.Time `json:"retired,omitzero"`
}

// keyring are the keys that sign one kind of token: one that signs, and old ones
// until their tokens are over. They lie sealed in one record, so that all replicas have the same.
type keyring struct {
	records Records
	now     func() time.Time
	rand    io.Reader
	handle  string // of the record
	draw    func(io.Reader) (crypto.Signer, error)
	kept    time.Duration // how long an old key's tokens are good

	mu     sync.Mutex
	keys   []*signingKey // the newest last
	looked time.Time
}

func newKeyring(cfg Config, handle string, draw func(io.Reader) (crypto.Signer, error), life time.Duration) *keyring {
	return &keyring{records: cfg.Records, now: cfg.Now, rand: cfg.Rand, handle: handle, draw: draw, kept: life + keyOver}
}

func ecdsaKey(rand io.Reader) (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand) }

func rsaKey(rand io.Reader) (crypto.Signer, error) { return rsa.GenerateKey(rand, 2048) }

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
	err := k.records.Change(ctx, kindKeys, k.handle, func(old []byte) ([]byte, time.Duration, error) {
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
		stored = append(k.current(stored, now), next)
		raw, err := json.Marshal(stored)
		return raw, forever, err
	})
	if err != nil && !errors.Is(err, errKeep) {
		return nil, err
	}
	return readKeys(k.current(stored, now))
}

// current are the keys whose tokens may still be good; the one that signed until now is retired.
func (k *keyring) current(stored []storedKey, now time.Time) (out []storedKey) {
	for i, key := range stored {
		if key.Retired.IsZero() && (i < len(stored)-1 || now.Sub(key.Made) >= keyAge) {
			key.Retired = now
		}
		if key.Retired.IsZero() || now.Sub(key.Retired) < k.kept {
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
	private, err := k.draw(k.rand)
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
		private, ok := parsed.(crypto.Signer)
		if !ok {
			return nil, errors.New("not a signing key")
		}
		out = append(out, &signingKey{id: s.ID, private: private, made: s.Made})
	}
	return out, nil
}

// signingKey signs without randomness, by ES256 (as RFC 6979 says) or RS256: a
// token that is asked for twice is the same token.
type signingKey struct {
	id      string
	private crypto.Signer
	made    time.Time
}

var _ jose.OpaqueSigner = (*signingKey)(nil)

// Public is the key's public half, with its id.
func (k *signingKey) Public() *jose.JSONWebKey {
	return &jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: string(k.alg()), Use: "sig"}
}

func (k *signingKey) alg() jose.SignatureAlgorithm {
	if _, ok := k.private.(*rsa.PrivateKey); ok {
		return jose.RS256
	}
	return jose.ES256
}

// Algs is the one algorithm of this kind of key.
func (k *signingKey) Algs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{k.alg()} }

// SignPayload signs with SHA-256: PKCS #1 v1.5 (RFC 7518 §3.3), or R and S, 32 bytes each (§3.4).
func (k *signingKey) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	sum := sha256.Sum256(payload)
	out, err := k.private.Sign(nil, sum[:], crypto.SHA256)
	if err != nil || k.alg() == jose.RS256 {
		return out, err
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(out, &sig); err != nil {
		return nil, err
	}
	out = make([]byte, 64)
	sig.R.FillBytes(out[:32])
	sig.S.FillBytes(out[32:])
	return out, nil
}

// sign makes a JWT of that type.
func (k *signingKey) sign(typ string, payload []byte) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg(), Key: k}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return jws.CompactSerialize()
}

// publicKeys are the public halves of all signing keys.
func (s *Server) publicKeys(w http.ResponseWriter, r *http.Request) {
	keys, err := s.keys.verifying(r.Context(), "")
	if err == nil && len(s.cfg.Workloads) > 0 { // nobody else gets ID tokens
		var more []jose.JSONWebKey
		more, err = s.idKeys.verifying(r.Context(), "")
		keys = append(keys, more...)
	}
	if err != nil {
		s.cfg.Logger.ErrorContext(r.Context(), "authorization server", "error", err)
		oauthError(w, http.StatusInternalServerError, "server_error", "the vault cannot be used now; try again later")
		return
	}
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: keys})
}
