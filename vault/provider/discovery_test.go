package provider_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/grantry/grantry/vault/provider"
)

const wellKnown = "GET idp.example.com/.well-known/openid-configuration"

func authRequest() provider.AuthRequest {
	return provider.AuthRequest{
		State: state, Nonce: nonce, Verifier: provider.NewSecret(verifier), RedirectURI: "https://grantry.example.com/callback/oidc",
	}
}

// document is the fixture with some of its members replaced or removed (nil).
func document(t *testing.T, change map[string]string) string {
	t.Helper()
	doc := map[string]string{
		"issuer": `"https://idp.example.com"`, "authorization_endpoint": `"https://idp.example.com/auth"`, "token_endpoint": `"https://idp.example.com/token"`,
		"userinfo_endpoint": `"https://idp.example.com/me"`, "jwks_uri": `"https://idp.example.com/jwks"`,
	}
	for k, v := range change {
		doc[k] = v
	}
	var parts []string
	for k, v := range doc {
		if v != "" {
			parts = append(parts, `"`+k+`":`+v)
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// TestDiscoveryRefused is R18, R21 and the caps: what makes a document useless.
func TestDiscoveryRefused(t *testing.T) {
	t.Parallel()
	with := func(k, v string) http.HandlerFunc { return jsonReply(200, document(t, map[string]string{k: v})) }
	cases := map[string]struct {
		answer http.HandlerFunc
		want   provider.DiscoveryError
	}{
		"other issuer":       {with("issuer", `"https://idp.example.com/"`), provider.DiscoveryError{Reason: provider.DiscoveryIssuer, Field: "issuer"}},
		"no issuer":          {with("issuer", ""), provider.DiscoveryError{Reason: provider.DiscoveryIssuer, Field: "issuer"}},
		"plain only":         {with("code_challenge_methods_supported", `["plain"]`), provider.DiscoveryError{Reason: provider.DiscoveryNoS256, Field: "code_challenge_methods_supported"}},
		"token elsewhere":    {with("token_endpoint", `"https://thief.example.com/token"`), provider.DiscoveryError{Reason: provider.DiscoveryElsewhere, Field: "token_endpoint", Host: "thief.example.com"}},
		"other port":         {with("token_endpoint", `"https://idp.example.com:8443/token"`), provider.DiscoveryError{Reason: provider.DiscoveryElsewhere, Field: "token_endpoint", Host: "idp.example.com:8443"}},
		"page elsewhere":     {with("authorization_endpoint", `"https://honest.example.com/auth"`), provider.DiscoveryError{Reason: provider.DiscoveryElsewhere, Field: "authorization_endpoint", Host: "honest.example.com"}},
		"userinfo elsewhere": {with("userinfo_endpoint", `"https://thief.example.com/me"`), provider.DiscoveryError{Reason: provider.DiscoveryElsewhere, Field: "userinfo_endpoint", Host: "thief.example.com"}},
		"plain http":         {with("token_endpoint", `"http://idp.example.com/token"`), provider.DiscoveryError{Reason: provider.DiscoveryInsecure, Field: "token_endpoint"}},
		"script":             {with("authorization_endpoint", `"javascript:alert(1)"`), provider.DiscoveryError{Reason: provider.DiscoveryInsecure, Field: "authorization_endpoint"}},
		"no token endpoint":  {with("token_endpoint", ""), provider.DiscoveryError{Reason: provider.DiscoveryMissing, Field: "token_endpoint"}},
		"client auth":        {with("token_endpoint_auth_methods_supported", `["private_key_jwt"]`), provider.DiscoveryError{Reason: provider.DiscoveryClientAuth, Field: "token_endpoint_auth_methods_supported"}},
		"no JSON":            {reply(200, "text/html", "CANARY"), provider.DiscoveryError{Reason: provider.DiscoveryUnreadable, Status: 200}},
		"two issuers":        {jsonReply(200, `{"issuer":"https://idp.example.com","issuer":"x"}`), provider.DiscoveryError{Reason: provider.DiscoveryUnreadable, Status: 200}},
		"300 KiB":            {with("x", `"`+strings.Repeat("x", 300<<10)+`"`), provider.DiscoveryError{Reason: provider.DiscoveryUnreadable, Status: 200}},
		"404":                {reply(404, "", "CANARY"), provider.DiscoveryError{Reason: provider.DiscoveryUnreachable, Status: 404}},
		"redirect":           {moved(302, "https://idp.example.com/other"), provider.DiscoveryError{Reason: provider.DiscoveryUnreachable, Status: 302}},
		"reset":              {hangUp, provider.DiscoveryError{Reason: provider.DiscoveryUnreachable}},
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			n.on(wellKnown, v.answer)
			c := n.connection("oidc", nil)
			_, err := c.AuthCodeURL(t.Context(), authRequest())
			v.want.Connection, v.want.Issuer = "oidc", "https://idp.example.com"
			var got *provider.DiscoveryError
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(v.want, *got, cmpopts.IgnoreFields(provider.DiscoveryError{}, "Err")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			clean(t, err)
			_, err = c.Redeem(t.Context(), redemption())
			wantToken(t, err, provider.Clean, "")
			for _, sent := range n.took() {
				if strings.HasPrefix(sent, "POST") {
					t.Errorf("sent %q", sent)
				}
			}
		})
	}
}

// TestDiscoveryTaken: what the configuration names itself is not held to the
// issuer's host, and the document's other words count.
func TestDiscoveryTaken(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on(wellKnown, jsonReply(200, document(t, map[string]string{
		"token_endpoint": `"https://tokens.example.com/token"`, "revocation_endpoint": `"https://tokens.example.com/revoke"`,
		"token_endpoint_auth_methods_supported": `["client_secret_post"]`, "scopes_supported": `["openid","profile"]`,
	})))
	n.on("POST tokens.example.com/t", jsonReply(200, `{"access_token":"a"}`))
	c := n.connection("oidc", func(r *provider.Registration) {
		r.Endpoints.Token, r.Endpoints.Revocation = "https://tokens.example.com/t", "https://tokens.example.com/r"
	})
	at, err := c.AuthCodeURL(t.Context(), authRequest())
	if err != nil || !strings.Contains(address(t, at), "scope = openid profile orders.read\n") {
		t.Errorf("%s, %v", at, err)
	}
	g, err := c.Redeem(t.Context(), redemption())
	if err != nil || !cmp.Equal(g.Scopes, []string{"asked", "openid", "profile"}) {
		t.Errorf("%v, %v", g, err)
	}
	sent := n.took()
	if len(sent) != 2 || !strings.Contains(sent[1], "client_secret = secret/1 +") || strings.Contains(sent[1], "Authorization") {
		t.Errorf("sent %q", sent)
	}
}

// TestDiscoveryIsKept for an hour, and longer while a new document cannot be had.
func TestDiscoveryIsKept(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on(wellKnown, reply(503, "", ""), jsonReply(200, document(t, nil)), reply(503, "", ""))
	now := noon()
	c, err := provider.NewConnection(registration(t, "oidc", nil), provider.Config{HTTP: n.client(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if host := c.AuthorizationHost(t.Context()); host != "" {
		t.Errorf("host %q without a document", host)
	}
	for range 3 {
		if host := c.AuthorizationHost(t.Context()); host != "idp.example.com" {
			t.Errorf("host %q", host)
		}
	}
	if sent := n.took(); len(sent) != 2 {
		t.Errorf("sent %d requests, want 2: a failure is not kept, a document is", len(sent))
	}
	now = now.Add(2 * time.Hour)
	if host := c.AuthorizationHost(t.Context()); host != "idp.example.com" || len(n.took()) != 1 {
		t.Errorf("host %q after the issuer went away", host)
	}
}

// TestNoDiscovery: with both addresses in the configuration nothing is looked up.
func TestNoDiscovery(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	c := n.connection("oidc", func(r *provider.Registration) {
		r.Endpoints = provider.Endpoints{Authorization: "https://a.example.com/a", Token: "https://a.example.com/t"}
	})
	if _, err := c.AuthCodeURL(t.Context(), authRequest()); err != nil || c.Issuer() != "https://a.example.com" {
		t.Errorf("%v, issuer %q", err, c.Issuer())
	}
	if sent := n.took(); len(sent) != 0 {
		t.Errorf("sent %q", sent)
	}
}
