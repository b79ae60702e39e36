package tooltest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault/provider"
)

// Token is the access token that a [Source] gives out first; Fresh is the one
// after a renewal. Neither may ever be seen in a result, an error or a handler.
const (
	Token = "canary-token-4f1d"
	Fresh = "canary-fresh-9b27"
)

// Source gives out a token for a vendor that the test plays.
type Source struct {
	Bear     provider.Bearer
	Err      error // instead of a bearer
	RenewErr error // instead of a fresh one

	mu       sync.Mutex
	asked    int
	renewed  int
	accounts []string
}

// NewSource starts a server with handler, as the API of the named vendor under
// /api, and answers a source for it. The server ends with the test.
func NewSource(t *testing.T, vendor string, handler http.Handler) *Source {
	t.Helper()
	srv := httptest.NewServer(http.StripPrefix("/api", handler))
	t.Cleanup(srv.Close)
	return NewSourceAt(t, vendor, srv.URL+"/api")
}

// NewSourceAt answers a source for a vendor whose API is at this address.
func NewSourceAt(t *testing.T, vendor, api string) *Source {
	t.Helper()
	p, ok := provider.Catalog().Lookup(vendor)
	if !ok {
		t.Fatalf("no provider %s", vendor)
	}
	conn, err := provider.NewConnection(provider.Registration{
		Name: "test-" + vendor, Provider: p, ClientID: "client", ClientSecret: provider.NewSecret("secret"),
		Endpoints: provider.Endpoints{API: api}, LoopbackHTTP: true,
	}, provider.Config{HTTP: http.DefaultClient, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return &Source{Bear: provider.Bearer{
		Token: provider.NewSecret(Token), Connection: conn, Account: "alice@example.com", Grant: "grant-1", Generation: 1,
	}}
}

// Bearer implements tools.Source.
func (s *Source) Bearer(_ context.Context, _ []provider.Need, account string) (provider.Bearer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	s.accounts = append(s.accounts, account)
	return s.Bear, s.Err
}

// Renew implements tools.Source.
func (s *Source) Renew(_ context.Context, stale provider.Bearer) (provider.Bearer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewed++
	if s.RenewErr != nil {
		return provider.Bearer{}, s.RenewErr
	}
	stale.Token, stale.Generation = provider.NewSecret(Fresh), stale.Generation+1
	return stale, nil
}

// Asked is how often a bearer was asked for.
func (s *Source) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Renewed is how often a fresh bearer was asked for.
func (s *Source) Renewed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewed
}

// Accounts are the account arguments that calls came with, "" for none.
func (s *Source) Accounts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.accounts)
}

// ForbiddenSource fails the test when it is asked for anything: arguments that
// cannot work must be refused before.
type ForbiddenSource struct{ T *testing.T }

var _, _ tools.Source = (*Source)(nil), ForbiddenSource{}

var errForbidden = errors.New("asked for a token")

// Bearer implements tools.Source.
func (s ForbiddenSource) Bearer(context.Context, []provider.Need, string) (provider.Bearer, error) {
	s.T.Error("a token was asked for")
	return provider.Bearer{}, errForbidden
}

// Renew implements tools.Source.
func (s ForbiddenSource) Renew(context.Context, provider.Bearer) (provider.Bearer, error) {
	s.T.Error("a fresh token was asked for")
	return provider.Bearer{}, errForbidden
}
