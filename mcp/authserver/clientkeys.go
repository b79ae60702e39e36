package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const keysAgain = time.Minute // an unknown key id has keys fetched again at most so often

// errKeys says that a key set holds nothing that proves a client.
var errKeys = errors.New("no public signing key")

// readKeySet takes the public keys of a set (RFC 7517 §5). A kind of key that we
// do not know must not hide the others; a private or a symmetric one is no proof of anybody.
func readKeySet(raw []byte) (keys givenKeys, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(raw, &set) != nil {
		return nil, errors.New("not a JWKS") // the cause may quote it
	}
	for _, one := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(one) == nil && usable(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errKeys
	}
	return keys, nil
}

// givenKeys stand in a client's metadata document.
type givenKeys []jose.JSONWebKey

// Keys answers all of them.
func (k givenKeys) Keys(context.Context, string) ([]jose.JSONWebKey, error) { return k, nil }

// fetchedKeys are key sets at addresses that documents name, by address.
type fetchedKeys struct {
	fetch func(ctx context.Context, address string) (http.Header, []byte, error)
	now   func() time.Time

	mu   sync.Mutex
	kept map[string]*keysAt
}

// at are the keys at one address.
func (f *fetchedKeys) at(address string) KeySource {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k, ok := f.kept[address]; ok {
		return k
	}
	if len(f.kept) >= maxDocuments {
		clear(f.kept)
	}
	k := &keysAt{all: f, address: address}
	f.kept[address] = k
	return k
}

// keysAt is one key set, kept as long as its headers say.
type keysAt struct {
	all     *fetchedKeys
	address string

	mu    sync.Mutex // held while fetching, so that there is one fetch at a time
	keys  givenKeys
	until time.Time
	tried time.Time
}

// Keys implements KeySource. An id that is not among the keys has them fetched again, at most once a minute.
func (k *keysAt) Keys(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.all.now()
	fresh, justTried := now.Before(k.until), !k.tried.IsZero() && now.Sub(k.tried) < keysAgain
	has := id == "" || slices.ContainsFunc(k.keys, func(key jose.JSONWebKey) bool { return key.KeyID == id })
	switch {
	case fresh && (has || justTried):
		return k.keys, nil
	case justTried:
		return nil, errors.New("fetching keys of client: they were just tried")
	}
	k.tried = now
	header, raw, err := k.all.fetch(context.WithoutCancel(ctx), k.address)
	var keys givenKeys
	if err == nil {
		keys, err = readKeySet(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("fetching keys of client: %w", err)
	}
	k.keys, k.until = keys, now.Add(max(freshFor(header, now), keysAgain))
	return k.keys, nil
}
