package sts_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/sts"
)

// TestR62NoForeignToken: 200 users in parallel, each of whose accounts echoes its owner; no answer is ever another's.
func TestR62NoForeignToken(t *testing.T) {
	t.Parallel()
	const users, rounds = 200, 5
	w := newWorld(t)
	var connected sync.WaitGroup
	gate := make(chan struct{}, 8)
	for i := range users {
		connected.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			w.connect(fmt.Sprintf("user-%d", i), "files.read")
		})
	}
	connected.Wait()
	w.clock.add(59 * time.Minute) // some are refreshed on the way
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range users {
		who := fmt.Sprintf("user-%d", i)
		subject := w.idp.issue(who)
		all.Go(func() {
			<-start
			for range rounds {
				if r := w.send(with("subject_token", subject)); r.status != http.StatusOK || w.vendor.whose(r.str("access_token")) != who {
					t.Errorf("%s got %d and the token of %q: %s", who, r.status, w.vendor.whose(r.str("access_token")), r.str("error"))
				}
			}
		})
	}
	close(start)
	all.Wait()
}

// TestGuessing: who fails too often waits, by address and client; another is not held up.
func TestGuessing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("alice", "files.read")
	for range 10 {
		refused(t, "a guess", w.send(with("client_secret", "guessed")), http.StatusUnauthorized, "invalid_client")
	}
	r := w.send()
	refused(t, "after ten of them", r, http.StatusTooManyRequests, "too_many_requests")
	if n, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || n < 1 || n > 30 {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
	if r := w.send(func(s *sent) { s.RemoteAddr = "203.0.113.8:1" }); r.status != http.StatusOK {
		t.Errorf("from another address: %s", r)
	}
	if r := w.send(with("client_id", "reports", "client_secret", "another-"+secret, "connection", "mail", "scope", "")); r.status != http.StatusBadRequest {
		t.Errorf("another client: %s", r)
	}
	w.clock.add(31 * time.Second)
	if r := w.send(); r.status != http.StatusOK {
		t.Errorf("later: %s", r)
	}
}

// TestCallsPerMinute: one workload for one person; another person is not held up.
func TestCallsPerMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *sts.Config) { c.CallsPerMinute = 3 })
	w.connect("alice", "files.read")
	w.connect("bob", "files.read")
	w.clock.add(time.Minute)
	for range 3 {
		if r := w.send(); r.status != http.StatusOK {
			t.Fatalf("%s", r)
		}
	}
	for _, form := range []func(*sent){with(), auth0} {
		r := w.send(form)
		refused(t, "the fourth", r, http.StatusTooManyRequests, "too_many_requests")
		if r.header.Get("Retry-After") != "20" {
			t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
		}
	}
	if r := w.send(with("subject_token", w.idp.issue("bob"))); r.status != http.StatusOK {
		t.Errorf("bob: %s", r)
	}
}

// TestNoNewQuestion: where the vault's limits or the person's no stand in the way there is no link, and it is said why.
func TestNoNewQuestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.send()
	if _, err := w.Decline(t.Context(), strings.TrimPrefix(r.str("consent_uri"), publicURL+"/consent/"), vault.Person{Caller: alice}); err != nil {
		t.Fatal(err)
	}
	r = w.send()
	refused(t, "declined", r, http.StatusBadRequest, "consent_required")
	if r.str("consent_uri") != "" || !strings.Contains(r.str("error_description"), "declined") {
		t.Errorf("%s", r)
	}
	w.clock.add(time.Hour)
	for _, scope := range []string{"files.read", "mail.read", "files.all"} {
		if r := w.send(with("scope", scope)); r.str("consent_uri") == "" {
			t.Fatalf("%s", r)
		}
	}
	r = w.send(with("scope", "files.read mail.read"))
	refused(t, "too many open questions", r, http.StatusTooManyRequests, "too_many_requests")
	if r.str("consent_uri") != "" || r.header.Get("Retry-After") == "" || r.str("error_reason") != "not_connected" {
		t.Errorf("%s", r)
	}
}

// TestStopped: a person who has stopped the workload is not asked by it.
func TestStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("alice", "files.read")
	if _, err := w.Stop(t.Context(), alice, vault.StopScope{}); err != nil {
		t.Fatal(err)
	}
	r := w.send()
	refused(t, "stopped", r, http.StatusForbidden, "access_denied")
	if r.str("consent_uri") != "" || !strings.Contains(r.str("error_description"), "stopped") {
		t.Errorf("%s", r)
	}
}

// TestNeverBare: what breaks on the way is answered in OAuth's form, too, and says nothing of what broke.
func TestNeverBare(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *sts.Config) {
		c.Verifier = nil
		c.Workloads["broken"] = sts.Workload{Secret: provider.NewSecret(secret), Connections: map[string][]string{"files": nil}}
	})
	w.cfg.Connection = nil
	refused(t, "no verifier", w.send(), http.StatusBadRequest, "invalid_request")
	s, err := sts.New(sts.Config{
		Vault: w.Vault, Records: w.Records(), PublicURL: publicURL, Workloads: w.cfg.Workloads, Now: w.clock.Now, Logger: w.logger(),
		Connection: func(string) (*provider.Connection, bool) { panic("canary") },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.sts = s
	r := w.send()
	refused(t, "a panic", r, http.StatusInternalServerError, "server_error")
	if strings.Contains(r.raw, "canary") || strings.Contains(w.log.String(), "canary") {
		t.Errorf("%s", r)
	}
}
