package provider_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/provider"
)

// TestRegistrationRefused: what cannot work is said before anything is sent.
func TestRegistrationRefused(t *testing.T) {
	t.Parallel()
	type reg = provider.Registration
	cases := []struct {
		vendor, field string
		change        func(*reg)
	}{
		{"google", "name", func(r *reg) { r.Name = "../x" }},
		{"google", "name", func(r *reg) { r.Name = "" }},
		{"google", "provider", func(r *reg) { r.Provider = nil }},
		{"google", "client_id", func(r *reg) { r.ClientID = "" }},
		{"google", "client_auth", func(r *reg) { r.Auth = "jwt" }},
		{"microsoft", "tenant", func(r *reg) { r.Tenant = "a/../b" }},
		{"google", "endpoints.token", func(r *reg) { r.Endpoints.Token = "http://vendor.example.com/token" }},
		{"google", "endpoints.token", func(r *reg) { r.Endpoints.Token = "http://127.0.0.1/token" }},
		{"google", "endpoints.token", func(r *reg) { r.Endpoints.Token = "http://vendor.example.com/"; r.LoopbackHTTP = true }},
		{"google", "endpoints.token", func(r *reg) { r.Endpoints.Token = "/token" }},
		{"google", "endpoints.api", func(r *reg) { r.Endpoints.API = "https://user@api.example.com" }},
		{"google", "endpoints.api", func(r *reg) { r.Endpoints.API = "https://api.example.com/?a=b" }},
		{"google", "endpoints.issuer", func(r *reg) { r.Endpoints.Issuer = "https://a.example/#x" }},
		{"oidc", "endpoints.issuer", func(r *reg) { r.Endpoints.Issuer = "" }},
		{"oauth2", "endpoints.token", func(r *reg) { r.Endpoints.Token = "" }},
		{"oauth2", "endpoints.authorization", func(r *reg) { r.Endpoints.Authorization = "" }},
		{"oauth2", "endpoints.userinfo", func(r *reg) { r.Endpoints.Userinfo = "" }},
		{"oidc", "api_hosts", func(r *reg) { r.APIHosts = []string{"*"} }},
		{"oidc", "api_hosts", func(r *reg) { r.APIHosts = []string{"*.com"} }},
		{"oidc", "api_hosts", func(r *reg) { r.APIHosts = []string{"https://api.example.com"} }},
		{"oidc", "api_hosts", func(r *reg) { r.APIHosts = []string{"a@b.example"} }},
		{"oidc", "api_hosts", func(r *reg) { r.APIHosts = []string{""} }},
	}
	for _, v := range cases {
		_, err := provider.NewConnection(registration(t, v.vendor, v.change), provider.Config{})
		var e *provider.ConfigError
		if !errors.As(err, &e) || e.Field != v.field {
			t.Errorf("%s: got %v, want a fault of %s", v.vendor, err, v.field)
		}
		clean(t, err)
	}
}

// TestRedirectURI: each vendor's rule, the literal that it takes, and which
// rules no source confirms.
func TestRedirectURI(t *testing.T) {
	t.Parallel()
	const here, local, public = "http://127.0.0.1:8787", "http://localhost:8787", "https://grantry.example.com/sub/"
	cases := []struct {
		vendor, loopback string // "" = refused
		anyPort, known   bool
	}{
		{"google", here, false, false},
		{"microsoft", local, true, true},
		{"slack", "", false, false},
		{"github", here, true, true},
		{"box", local, false, false},
		{"salesforce", local, false, false},
		{"oidc", "as it is", false, false},
		{"oauth2", "as it is", false, false},
	}
	for _, v := range cases {
		c, err := provider.NewConnection(registration(t, v.vendor, nil), provider.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []string{here, local, "http://[::1]:8787"} {
			got, err := c.RedirectURI(from)
			want := v.loopback
			if want == "as it is" {
				want = from
			}
			var refused *provider.RedirectError
			switch {
			case v.loopback == "" && (!errors.As(err, &refused) || refused.Rule.Loopback != provider.HTTPSOnly):
				t.Errorf("%s from %s: got %q, %v", v.vendor, from, got, err)
			case v.loopback != "" && (err != nil || got != want+"/callback/"+v.vendor):
				t.Errorf("%s from %s: got %q, %v", v.vendor, from, got, err)
			}
		}
		if got, err := c.RedirectURI(public); err != nil || got != "https://grantry.example.com/sub/callback/"+v.vendor {
			t.Errorf("%s: got %q, %v", v.vendor, got, err)
		}
		if _, err := c.RedirectURI("http://grantry.example.com"); err == nil {
			t.Errorf("%s: plain http to the world", v.vendor)
		}
		if c.AnyPort() != v.anyPort || c.Provider().Redirect.Verified != v.known {
			t.Errorf("%s: any port %v, verified %v", v.vendor, c.AnyPort(), c.Provider().Redirect.Verified)
		}
	}
}

// TestRedirectURIOfAnotherServer: a vendor's rule says nothing about a server
// that stands in for it.
func TestRedirectURIOfAnotherServer(t *testing.T) {
	t.Parallel()
	c, err := provider.NewConnection(registration(t, "slack", func(r *provider.Registration) {
		r.Endpoints.Authorization = "https://fake.example.com/authorize"
	}), provider.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.RedirectURI("http://127.0.0.1:8787"); err != nil || got != "http://127.0.0.1:8787/callback/slack" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestCheckIss is R19: byte for byte, and there where it is due.
func TestCheckIss(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on(wellKnown, n.fixture("oidc/discovery"))
	for _, v := range []struct {
		vendor, iss string
		ok          bool
	}{
		{"oidc", "https://idp.example.com", true},
		{"oidc", "https://idp.example.com/", false},
		{"oidc", "https://IDP.example.com", false},
		{"oidc", "", false}, // its document says that it is sent
		{"google", "", true},
		{"google", "https://accounts.google.com", true},
		{"google", "https://accounts.google.com.evil.example", false},
		{"microsoft", "https://login.microsoftonline.com/3aa0dd4c-5f4b-4a2e-9a3a-b5c2f0d3a111/v2.0", true},
		{"microsoft", "https://login.microsoftonline.com/evil/v2.0", false},
		{"microsoft", "https://login.microsoftonline.com//v2.0", false},
		{"slack", "", true},
		{"slack", "https://slack.com", true},
	} {
		err := n.connection(v.vendor, nil).CheckIss(v.iss)
		var e *provider.IssuerError
		if (err == nil) != v.ok || !v.ok && (!errors.As(err, &e) || strings.Contains(e.Error(), "evil") || e.Missing != (v.iss == "")) {
			t.Errorf("%s %q: got %v", v.vendor, v.iss, err)
		}
	}
}

// TestDestination: it changes with everything that moves tokens, and with nothing else.
func TestDestination(t *testing.T) {
	t.Parallel()
	digest := func(change func(*provider.Registration)) []byte {
		c, err := provider.NewConnection(registration(t, "google", change), provider.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return c.Destination()
	}
	base := digest(nil)
	if len(base) != 32 {
		t.Fatalf("%d bytes", len(base))
	}
	type reg = provider.Registration
	for name, change := range map[string]func(*reg){
		"issuer":     func(r *reg) { r.Endpoints.Issuer = "https://x.example" },
		"token":      func(r *reg) { r.Endpoints.Token = "https://x.example" },
		"revocation": func(r *reg) { r.Endpoints.Revocation = "https://x.example" },
		"api":        func(r *reg) { r.Endpoints.API = "https://x.example" },
		"api host":   func(r *reg) { r.APIHosts = []string{"x.example"} },
		"client":     func(r *reg) { r.ClientID = "client-2" },
	} {
		if bytes.Equal(digest(change), base) {
			t.Errorf("%s does not change it", name)
		}
	}
	for name, change := range map[string]func(*reg){
		"secret": func(r *reg) { r.ClientSecret = provider.NewSecret("x") },
		"name":   func(r *reg) { r.Name = "other" },
		"scopes": func(r *reg) { r.Scopes = []string{"x"} },
		"same":   func(r *reg) { r.Endpoints.Token = "https://oauth2.googleapis.com/token" },
	} {
		if !bytes.Equal(digest(change), base) {
			t.Errorf("%s changes it", name)
		}
	}
}

// TestTokenEndpointMoved: once it is another server's, no derived address leads
// the tokens back to the vendor.
func TestTokenEndpointMoved(t *testing.T) {
	t.Parallel()
	for vendor, revocation := range map[string]string{
		"google": "POST own.example.com/revoke", "salesforce": "POST own.example.com/services/oauth2/revoke",
		"github": "", "slack": "POST own.example.com/api/auth.revoke", "box": "POST own.example.com/oauth2/revoke",
	} {
		n := newInternet(t)
		if revocation != "" {
			n.on(revocation, jsonReply(200, `{"ok":true}`))
		}
		c := n.connection(vendor, func(r *provider.Registration) { r.Endpoints.Token = "https://own.example.com/t" })
		if err := c.Revoke(t.Context(), provider.NewSecret("access-1"), provider.NewSecret("refresh-1")); err != nil {
			t.Errorf("%s: %v", vendor, err)
		}
		if sent := n.took(); (len(sent) > 0) != (revocation != "") || c.CanRevoke(t.Context()) != (revocation != "") {
			t.Errorf("%s: sent %q", vendor, sent)
		}
	}
}

// TestRevoke: what counts as done.
func TestRevoke(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]struct {
		vendor, route string
		answer        http.HandlerFunc
		status        int // of the error, 0 = done, -1 = an error without one
		sent          int // requests; Slack ends one token at a time
	}{
		"already gone":        {"google", "POST oauth2.googleapis.com/revoke", jsonReply(400, `{"error":"invalid_token"}`), 0, 1},
		"refused":             {"google", "POST oauth2.googleapis.com/revoke", jsonReply(400, `{"error":"invalid_request","error_description":"CANARY"}`), 400, 1},
		"busy":                {"salesforce", "POST login.salesforce.com/services/oauth2/revoke", reply(503, "", "CANARY"), 503, 1},
		"redirect":            {"google", "POST oauth2.googleapis.com/revoke", moved(307, "https://evil.example/"), 307, 1},
		"reset":               {"google", "POST oauth2.googleapis.com/revoke", hangUp, -1, 1},
		"Slack, already gone": {"slack", "POST slack.com/api/auth.revoke", jsonReply(200, `{"ok":false,"error":"token_revoked"}`), 0, 2},
		"Slack, not ok":       {"slack", "POST slack.com/api/auth.revoke", jsonReply(200, `{"ok":false,"error":"fatal_error"}`), 200, 1},
		"GitHub, unknown":     {"github", "DELETE api.github.com/applications/client-1/grant", jsonReply(404, `{"message":"CANARY"}`), 404, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			n.on(v.route, v.answer)
			err := n.connection(v.vendor, nil).Revoke(t.Context(), provider.NewSecret("access-1"), provider.NewSecret("refresh-1"))
			var e *provider.RevokeError
			if (err != nil) != (v.status != 0) || err != nil && (!errors.As(err, &e) || e.Status != max(v.status, 0)) {
				t.Errorf("got %v", err)
			}
			clean(t, err)
			if sent := n.took(); len(sent) != v.sent {
				t.Errorf("sent %q", sent)
			}
		})
	}
}

// TestClientAuth: as configured, and without a secret a public client.
func TestClientAuth(t *testing.T) {
	t.Parallel()
	basic := "Authorization: Basic Y2xpZW50LTE6c2VjcmV0JTJGMSslMkI=" // client-1:secret%2F1+%2B
	for name, v := range map[string]struct {
		change   func(*provider.Registration)
		has, not string
	}{
		"basic":     {nil, basic, "client_id"},
		"post":      {func(r *provider.Registration) { r.Auth = provider.AuthPost }, "client_secret = secret/1 +", "Authorization"},
		"none":      {func(r *provider.Registration) { r.Auth = provider.AuthNone }, "client_id = client-1", "secret"},
		"no secret": {func(r *provider.Registration) { r.ClientSecret = provider.Secret{} }, "client_id = client-1", "Authorization"},
	} {
		n := newInternet(t)
		n.on(vendorToken, jsonReply(200, `{"access_token":"a"}`))
		if _, err := n.connection("oauth2", v.change).Redeem(t.Context(), redemption()); err != nil {
			t.Error(err)
		}
		if sent := n.took(); len(sent) != 1 || !strings.Contains(sent[0], v.has) || strings.Contains(sent[0], v.not) {
			t.Errorf("%s: sent %q", name, sent)
		}
	}
}

// TestAsks: what the provider always needs comes first, each scope once.
func TestAsks(t *testing.T) {
	t.Parallel()
	c, err := provider.NewConnection(registration(t, "google", nil), provider.Config{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"openid", "email", calendarReadonly}
	if diff := cmp.Diff(want, c.Asks([]string{"calendar.readonly", "https://www.googleapis.com/auth/userinfo.email", calendarReadonly, ""})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, r := range map[string]provider.AuthRequest{
		"state":        {RedirectURI: "https://x.example", Verifier: provider.NewSecret(verifier)},
		"redirect URI": {State: state, Verifier: provider.NewSecret(verifier)},
		"verifier":     {State: state, RedirectURI: "https://x.example", Verifier: provider.NewSecret("short")},
	} {
		var e *provider.ConfigError
		if _, err := c.AuthCodeURL(t.Context(), r); !errors.As(err, &e) || e.Field != name {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// TestSharesGrants: which clients a revocation at one of them reaches, too.
func TestSharesGrants(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	at := func(vendor, client string) *provider.Connection {
		return n.connection(vendor, func(r *provider.Registration) { r.ClientID = client })
	}
	const google = ".apps.googleusercontent.com"
	for _, test := range []struct {
		a, b *provider.Connection
		want bool
	}{
		{at("google", "1234-a"+google), at("google", "1234-b"+google), true},
		{at("google", "1234-a"+google), at("google", "12345-a"+google), false},
		{at("google", "own-a"), at("google", "own-b"), false},
		{at("github", "x"), at("github", "x"), true},
		{at("github", "x"), at("github", "y"), false},
		{at("slack", "x"), at("slack", "x"), false},
		{at("github", "x"), at("google", "x"), false},
	} {
		if got := test.a.SharesGrants(test.b); got != test.want {
			t.Errorf("%s %t", test.a.Name(), got)
		}
	}
}
