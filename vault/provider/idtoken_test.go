package provider_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/grantry/grantry/vault/provider"
)

// TestIDToken: what makes an id_token useless (OpenID Connect Core §3.1.3.7).
func TestIDToken(t *testing.T) {
	t.Parallel()
	const microsoft = "microsoft"
	cases := map[string]struct {
		vendor string
		claims map[string]any // over the fixture's; nil removes
		reason provider.IdentityReason
	}{
		"good":                   {"google", nil, ""},
		"short Google issuer":    {"google", map[string]any{"iss": "accounts.google.com"}, ""},
		"two audiences with azp": {"google", map[string]any{"aud": []string{"client-1", "other"}}, ""},
		"just expired":           {"google", map[string]any{"exp": noon().Add(-30 * time.Second).Unix()}, ""}, // within the leeway
		"expired":                {"google", map[string]any{"exp": noon().Add(-2 * time.Minute).Unix()}, provider.IdentityExpired},
		"other issuer":           {"google", map[string]any{"iss": "https://evil.example"}, provider.IdentityIssuer},
		"other audience":         {"google", map[string]any{"aud": "client-2"}, provider.IdentityToken},
		"two audiences":          {"google", map[string]any{"aud": []string{"client-1", "other"}, "azp": "other"}, provider.IdentityToken},
		"other nonce":            {"google", map[string]any{"nonce": "nonce-2"}, provider.IdentityNonce},
		"no nonce":               {"google", map[string]any{"nonce": nil}, provider.IdentityNonce},
		"no subject":             {"google", map[string]any{"sub": nil}, provider.IdentityNoID},
		"Microsoft":              {microsoft, nil, ""},
		"tenant and issuer":      {microsoft, map[string]any{"tid": "11111111-2222-3333-4444-555555555555"}, provider.IdentityIssuer},
		"tenant not an id":       {microsoft, map[string]any{"tid": "evil", "iss": "https://login.microsoftonline.com/evil/v2.0"}, provider.IdentityIssuer},
		"no tenant":              {microsoft, map[string]any{"tid": nil}, provider.IdentityIssuer},
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			n.on("GET www.googleapis.com/oauth2/v3/certs", n.jwks())
			n.on("GET login.microsoftonline.com/common/discovery/v2.0/keys", n.jwks())
			claims := n.claims(v.vendor)
			for k, c := range v.claims {
				if claims[k] = c; c == nil {
					delete(claims, k)
				}
			}
			wantReason(t, n.connection(v.vendor, nil), n.idToken(claims), v.reason)
		})
	}
}

func wantReason(t *testing.T, c *provider.Connection, idToken string, reason provider.IdentityReason) {
	t.Helper()
	id, err := c.Identify(t.Context(), &provider.Grant{Access: provider.NewSecret("access-1"), IDToken: provider.NewSecret(idToken)}, nonce)
	if reason == "" {
		if err != nil || id.ID == "" {
			t.Errorf("got %v, %v", id, err)
		}
		return
	}
	var e *provider.IdentityError
	if !errors.As(err, &e) || e.Reason != reason || id != nil {
		t.Errorf("got %v, want %q", err, reason)
	}
	clean(t, err)
}

// TestIDTokenSignature: only an asymmetric signature of the issuer's own key counts.
func TestIDTokenSignature(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on("GET www.googleapis.com/oauth2/v3/certs", n.jwks())
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := n.connection("google", nil)
	claims := n.claims("google")
	good := n.idToken(claims)
	header, rest, _ := strings.Cut(good, ".")
	payload, _, _ := strings.Cut(rest, ".")
	for name, token := range map[string]string{
		"another key": sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: other}, claims),
		"HS256":       sign(t, jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, claims),
		"none":        "eyJhbGciOiJub25lIn0." + payload + ".",
		"cut":         header + "." + payload,
		"not a token": "CANARY",
	} {
		t.Log(name)
		wantReason(t, c, token, provider.IdentityToken)
	}
	wantReason(t, c, good, "")
}

// TestKeys: they come from endpoints.jwks, else from the overridden issuer's
// discovery, and never from more than 512 KiB.
func TestKeys(t *testing.T) {
	t.Parallel()
	override := func(jwks string) func(*provider.Registration) {
		return func(r *provider.Registration) {
			r.Endpoints.Issuer, r.Endpoints.JWKS = "https://idp.example.com", jwks
		}
	}
	n := newInternet(t)
	n.on(wellKnown, jsonReply(200, document(t, nil)))
	n.on("GET idp.example.com/jwks", n.jwks())
	n.on("GET keys.example.com/all", n.jwks())
	n.on("GET keys.example.com/huge", jsonReply(200, `{"keys":[],"x":"`+strings.Repeat("x", 600<<10)+`"}`))
	n.on("GET keys.example.com/down", reply(500, "text/plain", "CANARY"))
	claims := n.claims("google")
	claims["iss"] = "https://idp.example.com"
	token := n.idToken(claims)
	wantReason(t, n.connection("google", override("")), token, "")
	if sent := strings.Join(n.took(), "\n"); strings.Contains(sent, "googleapis") || !strings.Contains(sent, "idp.example.com/jwks") {
		t.Errorf("sent %s", sent)
	}
	wantReason(t, n.connection("google", override("https://keys.example.com/all")), token, "")
	wantReason(t, n.connection("google", override("https://keys.example.com/huge")), token, provider.IdentityKeys)
	wantReason(t, n.connection("google", override("https://keys.example.com/down")), token, provider.IdentityKeys)
	n.took()
	c := n.connection("google", override("https://keys.example.com/all"))
	for range 3 {
		wantReason(t, c, token, "")
	}
	if sent := n.took(); len(sent) != 1 {
		t.Errorf("fetched the keys %d times", len(sent))
	}
}

// TestMicrosoftTenant: a registration for one tenant takes only its issuer.
func TestMicrosoftTenant(t *testing.T) {
	t.Parallel()
	const other = "11111111-2222-3333-4444-555555555555"
	n := newInternet(t)
	n.on("GET login.microsoftonline.com/"+other+"/discovery/v2.0/keys", n.jwks())
	c := n.connection("microsoft", func(r *provider.Registration) { r.Tenant = other })
	wantReason(t, c, n.idToken(n.claims("microsoft")), provider.IdentityIssuer)
	claims := n.claims("microsoft")
	claims["tid"], claims["iss"] = other, "https://login.microsoftonline.com/"+other+"/v2.0"
	wantReason(t, c, n.idToken(claims), "")
}

// TestIdentityEndpoint: what makes its answer useless.
func TestIdentityEndpoint(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		vendor, route string
		answer        http.HandlerFunc
		reason        provider.IdentityReason
	}{
		"redirect":     {"github", "GET api.github.com/user", moved(302, "https://evil.example/user"), provider.IdentityRefused},
		"401":          {"github", "GET api.github.com/user", jsonReply(401, `{"message":"CANARY"}`), provider.IdentityRefused},
		"no JSON":      {"github", "GET api.github.com/user", reply(200, "text/html", "CANARY"), provider.IdentityUnreadable},
		"no id":        {"github", "GET api.github.com/user", jsonReply(200, `{"id":null,"login":"octocat"}`), provider.IdentityNoID},
		"long id":      {"box", "GET api.box.com/2.0/users/me", jsonReply(200, `{"id":"`+strings.Repeat("1", 300)+`"}`), provider.IdentityNoID},
		"300 KiB":      {"box", "GET api.box.com/2.0/users/me", jsonReply(200, `{"id":"1","x":"`+strings.Repeat("x", 300<<10)+`"}`), provider.IdentityUnreadable},
		"reset":        {"box", "GET api.box.com/2.0/users/me", hangUp, provider.IdentityUnreachable},
		"Slack not ok": {"slack", "POST slack.com/api/auth.test", jsonReply(200, `{"ok":false,"error":"invalid_auth"}`), provider.IdentityRefused},
		"no id_token":  {"microsoft", "GET unused", nil, provider.IdentityNoSource},
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			n.on(v.route, v.answer)
			wantReason(t, n.connection(v.vendor, nil), "", v.reason)
			if sent := n.took(); v.answer != nil && len(sent) != 1 {
				t.Errorf("sent %q", sent)
			}
		})
	}
}

// TestUserinfoOfAnother: userinfo must be of the id_token's subject (OpenID Connect Core §5.3.2).
func TestUserinfoOfAnother(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on(wellKnown, jsonReply(200, document(t, nil)))
	n.on("GET idp.example.com/jwks", n.jwks())
	n.on("GET idp.example.com/me", jsonReply(200, `{"sub":"mallory","email":"m@example.com"}`), jsonReply(500, ""))
	c := n.connection("oidc", nil)
	token := n.idToken(n.claims("oidc"))
	wantReason(t, c, token, provider.IdentitySubject)
	wantReason(t, c, token, "") // without userinfo the subject is known all the same
}
