package fleet

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/grantry/grantry/vault"
)

// workerHeader tells the vendor which process sends a request.
const workerHeader = "Bench-Worker"

// signed puts the process's id on all requests, and says when a token endpoint has answered.
type signed struct {
	worker   string
	answered func()
}

// RoundTrip sends a request.
func (s *signed) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.Header.Set(workerHeader, s.worker)
	resp, err := http.DefaultTransport.RoundTrip(out)
	if r.Method == http.MethodPost {
		s.answered()
	}
	return resp, err
}

var errBroken = errors.New("the store takes no writes any more")

// brittle is a store that can stop taking writes between a vendor's answer and
// its commit: the moment at which that hurts most.
type brittle struct {
	vault.Store
	armed, broken atomic.Bool
}

func (b *brittle) answered() { b.broken.Store(b.armed.Load()) }

// Update fails once the store is broken.
func (b *brittle) Update(ctx context.Context, fn func(tx vault.Tx) error) error {
	if b.broken.Load() {
		return errBroken
	}
	return b.Store.Update(ctx, fn)
}

// Append fails once the store is broken.
func (b *brittle) Append(ctx context.Context, fn func(tx vault.Tx) error) error {
	if b.broken.Load() {
		return errBroken
	}
	return b.Store.Append(ctx, fn)
}

// Check fails once the store is broken.
func (b *brittle) Check(ctx context.Context) error {
	if b.broken.Load() {
		return errBroken
	}
	return b.Store.Check(ctx)
}
