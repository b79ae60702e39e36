package authserver

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/grantry/grantry/vault/assertion"
)

// fetchedKeys are key sets at addresses that documents name, by address.
type fetchedKeys struct {
	fetch func(ctx context.Context, address string) (http.Header, []byte, error)
	now   func() time.Time

	mu   sync.Mutex
	kept map[string]assertion.KeySource
}

// at are the keys at one address, kept as long as its headers say.
func (f *fetchedKeys) at(address string) assertion.KeySource {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k, ok := f.kept[address]; ok {
		return k
	}
	if len(f.kept) >= maxDocuments {
		clear(f.kept)
	}
	k := assertion.FetchedKeys(func(ctx context.Context) ([]byte, time.Duration, error) {
		header, set, err := f.fetch(ctx, address)
		return set, freshFor(header, f.now()), err
	}, f.now)
	f.kept[address] = k
	return k
}
