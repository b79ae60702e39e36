package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxMetadata  = 1 << 20          // bytes of discovery and of keys
	fetchTimeout = 10 * time.Second // for both together
	fetchEvery   = time.Minute      // at most, however many unknown key ids come (R41)
	keysFresh    = time.Hour        // then they are fetched again when a token comes
	keysKept     = 24 * time.Hour   // and this long they serve while the issuer is down
)

// keySet is an issuer's signing keys, found by discovery.
type keySet struct {
	issuer       string
	loopbackHTTP bool
	http         *http.Client
	now          func() time.Time

	given func(ctx context.Context, id string) ([]jose.JSONWebKey, error) // instead of fetching; nil = fetch

	mu      sync.Mutex // held while fetching, so that there is one fetch at a time
	keys    []jose.JSONWebKey
	asking  string    // where opaque tokens are asked about, "" = nowhere
	fetched time.Time // of keys
	tried   time.Time
}

func newKeySet(cfg VerifierConfig) (*keySet, error) {
	client := &http.Client{}
	if cfg.HTTP != nil {
		*client = *cfg.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	k := &keySet{issuer: cfg.Issuer, loopbackHTTP: cfg.LoopbackHTTP, http: client, now: cfg.Now, given: cfg.Keys}
	if err := k.mayFetch(cfg.Issuer); err != nil {
		return nil, err
	}
	return k, nil
}

// mayFetch refuses addresses that are not https, or http on loopback where that is allowed.
func (k *keySet) mayFetch(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("reading address of issuer: %q is not an address", raw)
	}
	if u.Scheme == "https" || u.Scheme == "http" && k.loopbackHTTP && loopbackURL(raw) {
		return nil
	}
	return fmt.Errorf("reading address of issuer: %q is not https", raw)
}

// verify checks the signature with the issuer's key of that id and answers the payload.
func (k *keySet) verify(ctx context.Context, jws *jose.JSONWebSignature, header jose.Header) ([]byte, error) {
	keys, err := k.get(ctx, header)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, &TokenError{"signature"}
}

// get answers the keys that may have made a signature; it fetches when there are none, or old ones.
func (k *keySet) get(ctx context.Context, header jose.Header) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.given != nil { // asked each time: nothing is fetched, and keys change without notice
		var err error
		if k.keys, err = k.given(ctx, header.KeyID); err != nil {
			return nil, fmt.Errorf("getting our own keys: %w", err)
		}
	} else if len(k.matching(header)) == 0 || k.now().Sub(k.fetched) > keysFresh {
		if err := k.refetch(ctx); err != nil {
			return nil, err
		}
	}
	if found := k.matching(header); len(found) > 0 {
		return found, nil
	}
	return nil, &TokenError{"key id"}
}

// refetch fetches, unless it was just tried. Its error says that there is nothing
// to go by: what was fetched before serves for a bounded time. Called with mu held.
func (k *keySet) refetch(ctx context.Context) error {
	now := k.now()
	err := errors.New("getting keys of issuer: it could not be reached")
	if k.tried.IsZero() || now.Sub(k.tried) >= fetchEvery {
		k.tried = now
		if err = k.fetch(ctx); err == nil {
			k.fetched = now
		}
	}
	if k.fetched.IsZero() || now.Sub(k.fetched) > keysKept {
		return err
	}
	return nil
}

// introspection is where opaque tokens are asked about.
func (k *keySet) introspection(ctx context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now().Sub(k.fetched) > keysFresh {
		if err := k.refetch(ctx); err != nil {
			return "", err
		}
	}
	if k.asking == "" {
		return "", &TokenError{"form or algorithm"} // the issuer has only tokens that can be read
	}
	return k.asking, nil
}

// matching are the public signing keys of that id and algorithm; without an id, all of the algorithm.
func (k *keySet) matching(header jose.Header) (out []jose.JSONWebKey) {
	for _, key := range k.keys {
		if !key.IsPublic() || !key.Valid() || key.Use == "enc" {
			continue
		}
		if header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		out = append(out, key)
	}
	return out
}

// fetch gets discovery (OpenID Connect Discovery §4, or RFC 8414) and the keys it names.
// A client that leaves does not stop it.
func (k *keySet) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	doc, err := k.discover(ctx)
	if err != nil {
		return err
	}
	keys, err := k.download(ctx, doc.JWKS)
	if err != nil {
		return err
	}
	k.keys, k.asking = keys, ""
	if k.mayFetch(doc.Introspection) == nil {
		k.asking = doc.Introspection
	}
	return nil
}

// discovered is what is read of an issuer's metadata.
type discovered struct {
	Issuer        string `json:"issuer"`
	JWKS          string `json:"jwks_uri"`
	Introspection string `json:"introspection_endpoint"`
}

func (k *keySet) discover(ctx context.Context) (doc discovered, err error) {
	err = getJSON(ctx, k, strings.TrimSuffix(k.issuer, "/")+"/.well-known/openid-configuration", &doc)
	if err != nil {
		at, perr := wellKnown(k.issuer)
		if perr != nil {
			return doc, perr
		}
		if second := getJSON(ctx, k, at, &doc); second != nil {
			return doc, fmt.Errorf("reading metadata of issuer: %w", err)
		}
	}
	if doc.Issuer != k.issuer {
		return doc, fmt.Errorf("reading metadata of issuer: it names the issuer %q, the configuration %q", doc.Issuer, k.issuer) // RFC 8414 §3.3
	}
	return doc, k.mayFetch(doc.JWKS)
}

func (k *keySet) download(ctx context.Context, address string) (keys []jose.JSONWebKey, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := getJSON(ctx, k, address, &set); err != nil {
		return nil, fmt.Errorf("reading keys of issuer: %w", err)
	}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil { // a kind of key that we do not know must not hide the others
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// wellKnown is RFC 8414 §3.1: the path of the issuer comes last.
func wellKnown(issuer string) (string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", fmt.Errorf("reading address of issuer: %w", err)
	}
	u.Path = "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.Path, "/")
	return u.String(), nil
}

func getJSON[T any](ctx context.Context, k *keySet, address string, into *T) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("making request: %w", err)
	}
	raw, err := k.do(req)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("getting %s: not the JSON that was expected", address)
	}
	return nil
}

// do asks the issuer, and answers a body of bounded size.
func (k *keySet) do(req *http.Request) ([]byte, error) {
	req.Header.Set("Accept", "application/json")
	resp, err := k.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("getting %s: %w", req.URL, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("getting %s: HTTP %d", req.URL, resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata+1))
	if err != nil {
		return nil, fmt.Errorf("getting %s: %w", req.URL, err)
	}
	if len(raw) > maxMetadata {
		return nil, fmt.Errorf("getting %s: more than %d bytes", req.URL, maxMetadata)
	}
	return raw, nil
}
