package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/grantry/grantry/vault/client"
)

// refusal is an answer, and what it means.
type refusal struct {
	status int
	body   any // a string is sent as it is
	retry  string
	want   error
}

func refusals() map[string]refusal {
	type body = map[string]any
	return map[string]refusal{
		"not connected": {
			http.StatusBadRequest,
			body{"error": "consent_required", "error_description": "lead them", "error_reason": "not_connected", "missing_scopes": []string{"cal"}, "consent_uri": "https://g.example/consent/h"},
			"",
			&client.ConsentRequired{Connection: "google", Reason: client.NotConnected, Missing: []string{"cal"}, URI: "https://g.example/consent/h", Description: "lead them"},
		},
		"under-scoped": {
			http.StatusBadRequest,
			body{"error": "invalid_scope", "error_reason": "under_scoped", "missing_scopes": []string{"cal"}, "consent_uri": "https://g.example/consent/h"},
			"",
			&client.ConsentRequired{Connection: "google", Reason: client.UnderScoped, Missing: []string{"cal"}, URI: "https://g.example/consent/h"},
		},
		"declined lately": {
			http.StatusBadRequest,
			body{"error": "consent_required", "error_reason": "revoked", "error_description": "they declined"},
			"",
			&client.ConsentRequired{Connection: "google", Reason: client.Revoked, Description: "they declined"},
		},
		"a link that is none": {
			http.StatusBadRequest,
			body{"error": "consent_required", "error_reason": "expired", "consent_uri": "javascript:alert(1)"},
			"",
			&client.ConsentRequired{Connection: "google", Reason: client.Expired},
		},
		"above the ceiling": {
			http.StatusBadRequest,
			body{"error": "invalid_scope", "missing_scopes": []string{"drive"}},
			"",
			&client.Error{Status: 400, Code: "invalid_scope", Missing: []string{"drive"}},
		},
		"several accounts": {
			http.StatusBadRequest,
			body{"error": "invalid_request", "error_reason": "account_ambiguous", "accounts": []string{"work", "home"}},
			"",
			&client.Error{Status: 400, Code: "invalid_request", Reason: client.AccountAmbiguous, Accounts: []string{"work", "home"}},
		},
		"the vendor is down": {
			http.StatusServiceUnavailable,
			body{"error": "temporarily_unavailable", "error_reason": "provider_unreachable"},
			"7",
			&client.Error{Status: 503, Code: "temporarily_unavailable", Reason: client.VendorUnreachable, RetryAfter: 7 * time.Second},
		},
		"asked too often": {
			http.StatusTooManyRequests,
			body{"error": "too_many_requests", "error_reason": "not_connected"},
			"60",
			&client.Error{Status: 429, Code: "too_many_requests", Reason: client.NotConnected, RetryAfter: time.Minute},
		},
		"stopped":      {http.StatusForbidden, body{"error": "access_denied", "error_reason": "agent_not_allowed"}, "", &client.Error{Status: 403, Code: "access_denied", Reason: client.AgentNotAllowed}},
		"wrong secret": {http.StatusUnauthorized, body{"error": "invalid_client"}, "", &client.Error{Status: 401, Code: "invalid_client"}},
		"a proxy":      {http.StatusBadGateway, "<h1>subject-canary</h1>", "", &client.Error{Status: 502}},
		"it quotes": {
			http.StatusBadRequest,
			body{"error": "invalid_request", "error_description": "what is subject-canary?"},
			"",
			&client.Error{Status: 400, Code: "invalid_request"},
		},
		"two lines": {http.StatusBadRequest, body{"error": "invalid_request", "error_description": "a\nlevel=ERROR"}, "", &client.Error{Status: 400, Code: "invalid_request"}},
		"long": {
			http.StatusBadRequest,
			body{"error": "invalid_request", "error_description": strings.Repeat("x", 1000)},
			"",
			&client.Error{Status: 400, Code: "invalid_request", Description: strings.Repeat("x", 500) + "…"},
		},
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range refusals() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGrantry(t)
			g.answer = func(w http.ResponseWriter, _ url.Values) bool {
				if w.Header().Set("Retry-After", tc.retry); tc.retry == "" {
					w.Header().Del("Retry-After")
				}
				if text, ok := tc.body.(string); ok {
					w.WriteHeader(tc.status)
					_, _ = w.Write([]byte(text))
					return true
				}
				reply(w, tc.status, tc.body)
				return true
			}
			s := g.client(t).TokenSource(client.AccessToken("subject-canary"), "google", client.Options{})
			_, err := s.Token(t.Context())
			var consent *client.ConsentRequired
			var plain *client.Error
			if !errors.As(err, &plain) {
				t.Fatalf("it answers %v", err)
			}
			got := error(plain)
			if errors.As(err, &consent) {
				got = consent
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreUnexported(client.ConsentRequired{})); diff != "" {
				t.Errorf("the error differs (-want +got):\n%s", diff)
			}
			if text := err.Error(); strings.Contains(text, "canary") || strings.Contains(text, "/consent/") || text == "" {
				t.Errorf("it says %q", text)
			}
			if want := tc.status == 429 || tc.status >= 500; plain.Temporary() != want {
				t.Errorf("temporary: %t", plain.Temporary())
			}
			if _, err := s.Token(t.Context()); err == nil || len(g.seen()) != 2 {
				t.Errorf("the second time it answers %v after %d exchanges", err, len(g.seen()))
			}
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no JSON": `vendor-canary`, "no token": `{"token_type":"Bearer"}`, "bound to a key": `{"access_token":"vendor-canary","token_type":"DPoP"}`,
		"too large": `{"access_token":"vendor-canary","token_type":"Bearer","x":"` + strings.Repeat("x", 70<<10) + `"}`,
	} {
		g := newGrantry(t)
		g.answer = func(w http.ResponseWriter, _ url.Values) bool { _, _ = w.Write([]byte(text)); return true }
		_, err := g.client(t).TokenSource(client.AccessToken("x"), "google", client.Options{}).Token(t.Context())
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoRedirectIsFollowed: the form has the user's token and the secret in its company.
func TestNoRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	g := newGrantry(t)
	g.answer = func(w http.ResponseWriter, _ url.Values) bool {
		w.Header().Set("Location", elsewhere.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	}
	c := g.client(t, func(c *client.Config) {
		c.HTTP = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	})
	_, err := c.TokenSource(client.AccessToken("x"), "google", client.Options{}).Token(t.Context())
	var e *client.Error
	if !errors.As(err, &e) || e.Status != http.StatusTemporaryRedirect {
		t.Errorf("it answers %v", err)
	}
}
