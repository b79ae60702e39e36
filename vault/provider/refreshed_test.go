package provider_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/grantry/grantry/vault/provider"
)

// TestSameAccount is G5's check: what an id_token of a refresh must be (OpenID
// Connect Core §12.2), and that unreachable keys prove nothing.
func TestSameAccount(t *testing.T) {
	t.Parallel()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		claims map[string]any // over the fixture's
		key    *rsa.PrivateKey
		keys   int // status of the key set
		reason provider.IdentityReason
	}{
		"good":            {nil, nil, 200, ""},
		"another nonce":   {map[string]any{"nonce": "of the first authorization"}, nil, 200, ""},
		"the first one":   {map[string]any{"exp": noon().Add(-time.Hour).Unix()}, nil, 200, ""},
		"another person":  {map[string]any{"sub": "mallory"}, nil, 200, provider.IdentitySubject},
		"another client":  {map[string]any{"aud": "client-2"}, nil, 200, provider.IdentityToken},
		"another issuer":  {map[string]any{"iss": "https://evil.example"}, nil, 200, provider.IdentityIssuer},
		"another's key":   {nil, other, 200, provider.IdentityToken},
		"keys are down":   {nil, nil, 503, provider.IdentityKeys},
		"no subject":      {map[string]any{"sub": nil}, nil, 200, provider.IdentityNoID},
		"several clients": {map[string]any{"aud": []string{"client-1", "x"}, "azp": "x"}, nil, 200, provider.IdentityToken},
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			certs := n.jwks()
			if v.keys != 200 {
				certs = reply(v.keys, "text/plain", "CANARY")
			}
			n.on("GET www.googleapis.com/oauth2/v3/certs", certs)
			claims := n.claims("google")
			account, _ := claims["sub"].(string)
			for k, c := range v.claims {
				if claims[k] = c; c == nil {
					delete(claims, k)
				}
			}
			token := n.idToken(claims)
			if v.key != nil {
				token = sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: v.key}, claims)
			}
			err := n.connection("google", nil).SameAccount(t.Context(), provider.NewSecret(token), account)
			if v.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *provider.IdentityError
			if !errors.As(err, &e) || e.Reason != v.reason || e.Unproven() != (v.keys != 200) {
				t.Errorf("got %v, want %q", err, v.reason)
			}
			clean(t, err)
		})
	}
}

// TestUnread: a 2xx that cannot be read comes back for recovery, cut at 64 KiB and in no message; other answers do not.
func TestUnread(t *testing.T) {
	t.Parallel()
	cut := `{"access_token":"CANARY-1","refresh_to`
	for name, v := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"cut short": {200, cut, cut},
		"no token":  {201, `{"refresh":"CANARY-2"}`, `{"refresh":"CANARY-2"}`},
		"long":      {200, strings.Repeat("x", 100<<10), strings.Repeat("x", 64<<10)},
		"500":       {500, "CANARY", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			n.on(vendorToken, jsonReply(v.status, v.body))
			_, err := n.connection("oauth2", nil).Refresh(t.Context(), provider.NewSecret("refresh-1"), nil)
			var e *provider.TokenError
			if !errors.As(err, &e) || e.Class != provider.Ambiguous || e.Unread.Reveal() != v.want {
				t.Errorf("got %v with %d bytes, want %d", err, len(e.Unread.Reveal()), len(v.want))
			}
			clean(t, err)
		})
	}
}

// TestNarrow: fewer scopes are asked for in the vendor's spelling, and nothing else changes in the request.
func TestNarrow(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	var scope []string
	n.on(tokenRoute("google"), func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		scope = append(scope, r.PostForm["scope"]...)
		if r.PostForm.Get("grant_type") != "refresh_token" || r.PostForm.Get("refresh_token") != "r1" {
			t.Errorf("form %q", r.PostForm)
		}
		jsonReply(http.StatusOK, `{"access_token":"a2","token_type":"Bearer","scope":"`+calendarReadonly+` openid"}`)(w, r)
	})
	c := n.connection("google", nil)
	g, err := c.Narrow(t.Context(), provider.NewSecret("r1"), []string{"calendar.readonly", calendarReadonly, "openid"})
	if err != nil || !g.Confirmed || !slices.Equal(g.Scopes, []string{calendarReadonly, "openid"}) {
		t.Errorf("grant = %+v, %v", g, err)
	}
	if _, err := c.Refresh(t.Context(), provider.NewSecret("r1"), []string{calendarReadonly}); err != nil {
		t.Error(err)
	}
	if !slices.Equal(scope, []string{calendarReadonly + " openid"}) {
		t.Errorf("asked for %q", scope)
	}
}

// TestWhoNarrows: only of an OpenID Connect server is it known, by the standard, and it must say what it gave.
func TestWhoNarrows(t *testing.T) {
	t.Parallel()
	for _, name := range provider.Catalog().Names() {
		want := provider.NarrowsNot
		if name == "oidc" {
			want = provider.NarrowsListed
		}
		if got := lookup(t, name).Refresh.Narrows; got != want {
			t.Errorf("%s narrows: %q, want %q", name, got, want)
		}
	}
}

// TestKeepsAlive: with these alone a token can do nothing, and without them there may be no further refresh.
func TestKeepsAlive(t *testing.T) {
	t.Parallel()
	for name, granted := range map[string][]string{"salesforce": {"api", "id", "refresh_token"}, "oidc": {"orders.read", "openid", "offline_access"}, "google": {calendarReadonly}} {
		p := lookup(t, name)
		kept := p.KeepsAlive(granted)
		if want := name != "google"; len(kept) == 1 != want {
			t.Errorf("%s: %q", name, kept)
		}
		for _, s := range kept {
			if !p.IdentityOnly(s) {
				t.Errorf("%s: %q counts", name, s)
			}
		}
	}
}
