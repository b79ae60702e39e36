package provider_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/provider"
)

// TestVendorErrors redeems and refreshes against each vendor's own refusals.
func TestVendorErrors(t *testing.T) {
	t.Parallel()
	const clean, rejected = provider.Clean, provider.Rejected
	cases := []struct {
		vendor                string
		redeem, refresh, auth string // codes
	}{
		{"google", "invalid_grant", "invalid_grant", "invalid_client"},
		{"microsoft", "invalid_grant", "interaction_required", "invalid_client"},
		{"slack", "invalid_code", "invalid_refresh_token", "bad_client_secret"},
		{"github", "bad_verification_code", "bad_refresh_token", "incorrect_client_credentials"},
		{"box", "invalid_grant", "invalid_grant", "invalid_client"},
		{"salesforce", "invalid_grant", "invalid_grant", "invalid_client_id"},
		{"oidc", "invalid_grant", "invalid_grant", "invalid_client"},
		{"oauth2", "invalid_grant", "invalid_grant", "unauthorized_client"},
	}
	for _, v := range cases {
		t.Run(v.vendor, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			n.on("GET idp.example.com/.well-known/openid-configuration", n.fixture("oidc/discovery"))
			n.on(tokenRoute(v.vendor), n.fixture(v.vendor+"/token_error"), n.fixture(v.vendor+"/refresh_error"), n.fixture(v.vendor+"/client_error"))
			c := n.connection(v.vendor, nil)
			_, err := c.Redeem(t.Context(), redemption())
			wantToken(t, err, rejected, v.redeem)
			_, err = c.Refresh(t.Context(), provider.NewSecret("refresh-1"), nil)
			wantToken(t, err, rejected, v.refresh)
			_, err = c.Refresh(t.Context(), provider.NewSecret("refresh-1"), nil)
			wantToken(t, err, clean, v.auth)
		})
	}
}

func redemption() provider.Redemption {
	return provider.Redemption{
		Code: provider.NewSecret(code), Verifier: provider.NewSecret(verifier),
		RedirectURI: "https://grantry.example.com/callback/x", Asked: []string{"asked"},
	}
}

// tokenRoute is the vendor's token endpoint, as the catalog has it.
func tokenRoute(vendor string) string {
	for _, v := range vendorCases() {
		for route, fixtures := range v.routes {
			if v.name == vendor && slices.Contains(fixtures, vendor+"/token") {
				return route
			}
		}
	}
	return ""
}

func wantToken(t *testing.T, err error, class provider.Class, code string) *provider.TokenError {
	t.Helper()
	var e *provider.TokenError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a TokenError", err)
	}
	if e.Class != class || e.Code != code {
		t.Errorf("got %s %q, want %s %q (%v)", e.Class, e.Code, class, code, err)
	}
	clean(t, err)
	return e
}

// apiHost is where each vendor's API is.
func apiHost(vendor string) string {
	return map[string]string{
		"google": "www.googleapis.com", "microsoft": "graph.microsoft.com", "slack": "slack.com", "github": "api.github.com",
		"box": "api.box.com", "salesforce": "acme.my.salesforce.com", "oidc": "api.example.com", "oauth2": "api.example.com",
	}[vendor]
}

// TestAPIErrors calls each vendor's API and gets its own answers for a missing
// scope, a dead token and too many calls.
func TestAPIErrors(t *testing.T) {
	t.Parallel()
	scopes := map[string][]string{
		"google/api_scope":    {"https://www.googleapis.com/auth/calendar.events.readonly"}, // any of three: the narrowest
		"microsoft/api_scope": nil,
		"slack/api_scope":     {"chat:write"},
		"github/api_scope":    {"public_repo"},
		"box/api_scope":       nil,
		"oidc/api_scope":      {"orders.read"}, // unheard.of is in no catalog
		"oauth2/api_scope":    {"things.read"},
	}
	files, err := filepath.Glob("testdata/*/api_*.http")
	if err != nil || len(files) < 20 {
		t.Fatalf("fixtures: %v, %v", files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".http")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vendor, kind, _ := strings.Cut(name, "/")
			n := newInternet(t)
			n.on("GET "+apiHost(vendor)+"/thing", n.fixture(name))
			renewed := 0
			client := bearer(n.connection(vendor, nil), "access-1").Client(n.client().Transport, func(_ context.Context, stale provider.Bearer) (provider.Bearer, error) {
				renewed++
				stale.Token = provider.NewSecret("access-2")
				return stale, nil
			})
			resp, err := client.Get("https://" + apiHost(vendor) + "/thing")
			requests := n.took()
			switch {
			case kind == "api_scope":
				var missing *provider.ScopeError
				if !errors.As(err, &missing) || renewed != 0 || len(requests) != 1 {
					t.Fatalf("got %v after %d renewals and %d requests, want a ScopeError", err, renewed, len(requests))
				}
				if diff := cmp.Diff(&provider.ScopeError{Provider: vendor, Scopes: scopes[name]}, missing); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				clean(t, missing)
				return
			case err != nil:
				t.Fatal(err)
			case strings.HasPrefix(kind, "api_dead") && (renewed != 1 || len(requests) != 2 || !strings.Contains(requests[1], "Bearer access-2")):
				t.Errorf("%d renewals and requests %q, want one and two", renewed, requests)
			case kind == "api_throttled" && (renewed != 0 || len(requests) != 1):
				t.Errorf("%d renewals and %d requests, want none and one", renewed, len(requests))
			}
			same(t, file, resp)
		})
	}
}

// same compares an answer's body with the fixture's.
func same(t *testing.T, file string, resp *http.Response) {
	t.Helper()
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, want, _ := strings.Cut(string(raw), "\n\n"); want != string(got) {
		t.Errorf("body %q, want %q", got, want)
	}
}

func bearer(c *provider.Connection, token string) provider.Bearer {
	return provider.Bearer{Token: provider.NewSecret(token), Connection: c, Account: "alice", Grant: "grant-1", Generation: 1}
}
