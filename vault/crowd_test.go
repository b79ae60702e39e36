package vault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// crowdVendor gives every person tokens that bear their name; refresh tokens are for one use.
func crowdVendor(t *testing.T) *httptest.Server {
	var mu sync.Mutex
	n, spent := 0, map[string]bool{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		given := r.FormValue("code") + r.FormValue("refresh_token")
		if spent[given] {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
			return
		}
		n++
		spent[given] = true
		who, _, _ := strings.Cut(given, "~")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"access_token": fmt.Sprintf("%s~at%d", who, n), "refresh_token": fmt.Sprintf("%s~rt%d", who, n), "expires_in": 3600, "token_type": "Bearer",
		})
	})
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, r *http.Request) {
		who, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "~")
		_ = json.NewEncoder(w).Encode(map[string]any{"sub": who, "email": who + "@example.com", "email_verified": true})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

// R62: many people connect, call, are refused and refresh at the same time, in
// two processes; no call ever gets another person's token.
func TestNobodyGetsAnothersToken(t *testing.T) {
	t.Parallel()
	const people, calls = 60, 12
	srv := crowdVendor(t)
	b := newBench(t)
	b.vendor.srv.Config.Handler = srv.Config.Handler // the same addresses, another vendor
	vaults := []*vault.Vault{b.Vault, b.open("p2")}
	var wg, connected sync.WaitGroup
	connected.Add(people) // the clock jumps only when nobody is at the vendor's page any more
	for i := range people {
		wg.Go(func() {
			name := fmt.Sprintf("user-%d", i)
			p := vault.Person{Caller: vault.Caller{Issuer: "https://idp.example", Subject: name}, Email: name + "@example.com"}
			need := &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{{Connection: "files", Scopes: []string{"files.read"}, VendorNeeded: true}}}
			c := b.allow(b.ticket(p, agent, need), p)
			c.Code = name + "~code"
			_, _, err := vaults[i%2].Finish(t.Context(), c)
			connected.Done()
			if err != nil {
				t.Error(err)
				return
			}
			connected.Wait()
			var stale *provider.Bearer
			for n := range calls {
				r := request(p, agent)
				if r.Stale = stale; n == calls/2 && i%7 == 0 {
					b.clock.add(61 * time.Minute) // everybody's runs out
				}
				tok, err := vaults[(i+n)%2].Exchange(t.Context(), r)
				if err != nil {
					t.Errorf("%s: %v (%v)", name, err, errors.Unwrap(err))
					return
				}
				if who, _, _ := strings.Cut(tok.Token.Reveal(), "~"); who != name || tok.Account != p.Email {
					t.Errorf("%s got the token of %s", name, who)
				}
				if stale = nil; n%5 == 1 {
					stale = &tok.Bearer
				}
			}
		})
	}
	wg.Wait()
	b.audited("token.released")
}
