package sts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxKeys    = 256 << 10       // bytes of a key set
	keysFresh  = 5 * time.Minute // then they are fetched again when an assertion comes
	keysKept   = 24 * time.Hour  // and this long they serve while their address is down
	fetchEvery = time.Minute     // at most, however many unknown key ids come
	fetchTime  = 10 * time.Second
)

// FileKeys are the public keys in a JWKS file, read again when it changes.
func FileKeys(path string) KeySource { return &fileKeys{path: path} }

type fileKeys struct {
	path string

	mu   sync.Mutex
	at   time.Time
	size int64
	keys []jose.JSONWebKey
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
	file, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	defer file.Close()
	keys, err := readKeys(file)
	if err != nil {
		return nil, err
	}
	f.at, f.size, f.keys = info.ModTime(), info.Size(), keys
	return keys, nil
}

// URLKeys are the public keys at an https address of the config. An id that is
// not among them has them fetched again, at most once a minute. Redirects are not followed.
func URLKeys(address string, client *http.Client, now func() time.Time) KeySource {
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &urlKeys{address: address, http: &c, now: now}
}

type urlKeys struct {
	address string
	http    *http.Client
	now     func() time.Time

	mu      sync.Mutex // held while fetching, so that there is one fetch at a time
	keys    []jose.JSONWebKey
	fetched time.Time
	tried   time.Time
}

// Keys answers those that were fetched last, after fetching them anew where they are old or do not have this id.
func (u *urlKeys) Keys(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.now()
	if now.Sub(u.fetched) < keysFresh && u.has(id) {
		return u.keys, nil
	}
	err := errors.New("fetching keys: they were just tried")
	if u.tried.IsZero() || now.Sub(u.tried) >= fetchEvery {
		u.tried = now
		var keys []jose.JSONWebKey
		if keys, err = u.fetch(ctx); err == nil {
			u.keys, u.fetched = keys, now
		}
	}
	if u.fetched.IsZero() || now.Sub(u.fetched) > keysKept {
		return nil, err
	}
	return u.keys, nil
}

func (u *urlKeys) has(id string) bool {
	for _, k := range u.keys {
		if id == "" || k.KeyID == id {
			return true
		}
	}
	return false
}

// fetch is not stopped by a client that leaves.
func (u *urlKeys) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.address, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	res, err := u.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching keys: status %d", res.StatusCode)
	}
	return readKeys(res.Body)
}

// readKeys takes the public signing keys of a set, and leaves all others alone: a symmetric one among them is no key.
func readKeys(from io.Reader) ([]jose.JSONWebKey, error) {
	raw, err := io.ReadAll(io.LimitReader(from, maxKeys+1))
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	if len(raw) > maxKeys {
		return nil, errors.New("reading keys: the set is larger than 256 KiB")
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("reading keys: not a JWKS") // the cause may quote it
	}
	out := []jose.JSONWebKey{}
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
