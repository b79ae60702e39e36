package assertion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// MaxKeys is how large a key set may be, in bytes.
	MaxKeys = 256 << 10

	keysKept   = 24 * time.Hour // keys serve so long while their address is down
	fetchEvery = time.Minute    // at most, however many unknown key ids come
)

// KeySource answers the public keys of a client; id is the one that is looked for, "" = any.
type KeySource interface {
	Keys(ctx context.Context, id string) ([]jose.JSONWebKey, error)
}

// Given are keys that are at hand.
type Given []jose.JSONWebKey

// Keys answers all of them.
func (k Given) Keys(context.Context, string) ([]jose.JSONWebKey, error) { return k, nil }

// ReadKeys takes the public signing keys of a set (RFC 7517 §5). A kind of key that is
// not known must not hide the others; a private or a symmetric one is no proof of anybody.
func ReadKeys(raw []byte) (Given, error) {
	if len(raw) > MaxKeys {
		return nil, errors.New("reading keys: the set is larger than 256 KiB")
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("reading keys: not a JWKS") // the cause may quote it
	}
	var out Given
	for _, one := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(one) == nil && key.Valid() && key.IsPublic() && key.Use != "enc" {
			out = append(out, key)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("reading keys: no public signing key is in the set")
	}
	return out, nil
}

// FileKeys are the public keys in a JWKS file, read again when it changes.
func FileKeys(path string) KeySource { return &fileKeys{path: path} }

type fileKeys struct {
	path string

	mu   sync.Mutex
	at   time.Time
	size int64
	keys Given
}

// Keys answers those of the file as it is now.
func (f *fileKeys) Keys(context.Context, string) ([]jose.JSONWebKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	if f.keys != nil && info.ModTime().Equal(f.at) && info.Size() == f.size {
		return f.keys, nil
	}
	if info.Size() > MaxKeys {
		return nil, errors.New("reading keys: the set is larger than 256 KiB")
	}
	raw, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	keys, err := ReadKeys(raw)
	if err != nil {
		return nil, err
	}
	f.at, f.size, f.keys = info.ModTime(), info.Size(), keys
	return keys, nil
}

// Fetch answers a key set as it is at its address, and how long it may be used without another look.
type Fetch func(ctx context.Context) (set []byte, fresh time.Duration, err error)

// FetchedKeys are the public keys at an address. An id that is not among them has
// them fetched again, at most once a minute, whatever becomes of who asked. While
// the address is down those serve that were there last, for a day at most.
func FetchedKeys(fetch Fetch, now func() time.Time) KeySource {
	return &fetchedKeys{fetch: fetch, now: now}
}

type fetchedKeys struct {
	fetch Fetch
	now   func() time.Time

	mu      sync.Mutex // held while fetching, so that there is one fetch at a time
	keys    Given
	fetched time.Time
	until   time.Time
	tried   time.Time
}

// Keys answers those that were fetched last, after fetching them anew where they are old or do not have this id.
func (f *fetchedKeys) Keys(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if now.Before(f.until) && f.has(id) {
		return f.keys, nil
	}
	err := errors.New("fetching keys: they were just tried")
	if f.tried.IsZero() || now.Sub(f.tried) >= fetchEvery {
		f.tried = now
		var keys Given
		var fresh time.Duration
		if keys, fresh, err = f.get(ctx); err == nil {
			f.keys, f.fetched, f.until = keys, now, now.Add(max(fresh, fetchEvery))
		}
	}
	if f.fetched.IsZero() || now.Sub(f.fetched) > keysKept {
		return nil, err
	}
	return f.keys, nil
}

func (f *fetchedKeys) get(ctx context.Context) (Given, time.Duration, error) {
	set, fresh, err := f.fetch(context.WithoutCancel(ctx))
	if err != nil {
		return nil, 0, fmt.Errorf("fetching keys: %w", err)
	}
	keys, err := ReadKeys(set)
	return keys, fresh, err
}

func (f *fetchedKeys) has(id string) bool {
	return slices.ContainsFunc(f.keys, func(k jose.JSONWebKey) bool { return id == "" || k.KeyID == id })
}

const (
	urlFresh  = 5 * time.Minute // then keys of the config's addresses are fetched again when an assertion comes
	fetchTime = 10 * time.Second
)

// URLKeys are FetchedKeys at an address that the operator names. Redirects are not followed.
func URLKeys(address string, client *http.Client, now func() time.Time) KeySource {
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return FetchedKeys(func(ctx context.Context) ([]byte, time.Duration, error) {
		set, err := get(ctx, &c, address)
		return set, urlFresh, err
	}, now)
}

func get(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, MaxKeys+1))
}
