package provider_test

import (
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/provider"
)

var update = flag.Bool("update", false, "write testdata/*/wire.golden anew: what goes over the wire to each vendor")

const (
	calendarReadonly = "https://www.googleapis.com/auth/calendar.readonly"
	driveReadonly    = "https://www.googleapis.com/auth/drive.readonly"
)

// vendorCase is what one vendor's fixtures must come to.
type vendorCase struct {
	name   string
	ask    []string
	routes map[string][]string // route: fixtures in turn

	scopes, scopes2   []string // granted, and after the refresh
	confirmed         bool
	life, life2       time.Duration // of the access token, 0 = no end named
	refreshLife       time.Duration // of the refresh token, 0 = no end named
	apiBase           string
	rotates, idTokens bool
	access2           string
	identity          provider.Identity
}

func vendorCases() []vendorCase { return append(openIDCases(), oauthCases()...) }

// alice is who she is at a vendor that tells her e-mail.
func alice(id string, verified bool) provider.Identity {
	return provider.Identity{ID: id, Email: "alice@example.com", EmailVerified: verified, Name: "Alice Doe"}
}

// of is an identity of an organization: the domain that the vendor vouches for, and its tenants.
func of(i provider.Identity, domain string, tenants ...string) provider.Identity {
	i.Domain, i.Tenants = domain, tenants
	return i
}

// openIDCases are the vendors with an id_token.
func openIDCases() []vendorCase {
	google := []string{calendarReadonly, driveReadonly, "https://www.googleapis.com/auth/userinfo.email", "openid"}
	microsoft := []string{"Calendars.Read", "User.Read", "email", "openid", "profile"}
	return []vendorCase{
		{
			name: "google", ask: []string{"calendar.readonly"}, scopes: google, scopes2: google, confirmed: true,
			life: 3599 * time.Second, life2: 3920 * time.Second, idTokens: true, access2: "ya29.access-2",
			identity: alice("110169484474386276334", true),
			routes: map[string][]string{
				"POST oauth2.googleapis.com/token":       {"google/token", "google/refresh"},
				"GET www.googleapis.com/oauth2/v3/certs": {"jwks"},
				"POST oauth2.googleapis.com/revoke":      {"google/revoke"},
			},
		},
		{
			name: "microsoft", ask: []string{"Calendars.Read"}, scopes: microsoft, scopes2: microsoft, confirmed: true,
			life: 3599 * time.Second, life2: 3599 * time.Second, rotates: true, idTokens: true, access2: "eyJ0.access-2",
			identity: of(alice("3aa0dd4c-5f4b-4a2e-9a3a-b5c2f0d3a111/00000000-0000-0000-66f3-3332eca7ea81", false), "", "3aa0dd4c-5f4b-4a2e-9a3a-b5c2f0d3a111"),
			routes: map[string][]string{
				"POST login.microsoftonline.com/common/oauth2/v2.0/token":  {"microsoft/token", "microsoft/refresh"},
				"GET login.microsoftonline.com/common/discovery/v2.0/keys": {"jwks"},
			},
		},
		{
			name: "oidc", ask: []string{"orders.read"}, confirmed: true, idTokens: true, rotates: true,
			scopes:  []string{"email", "offline_access", "openid", "orders.read"},
			scopes2: []string{"email", "offline_access", "openid", "orders.read"},
			life:    time.Hour, life2: time.Hour, access2: "op-access-2", identity: of(alice("alice", true), "example.com"),
			routes: map[string][]string{
				"GET idp.example.com/.well-known/openid-configuration": {"oidc/discovery"},
				"POST idp.example.com/token":                           {"oidc/token", "oidc/refresh"},
				"GET idp.example.com/jwks":                             {"jwks"},
				"GET idp.example.com/me":                               {"oidc/identity"},
				"POST idp.example.com/token/revocation":                {"oidc/revoke"},
			},
		},
	}
}

// oauthCases are the vendors with an identity endpoint alone.
func oauthCases() []vendorCase {
	return []vendorCase{
		{
			name: "slack", ask: []string{"chat:write", "channels:read"}, confirmed: true,
			scopes: []string{"channels:read", "chat:write"}, scopes2: []string{"channels:read", "chat:write"},
			life: 12 * time.Hour, life2: 12 * time.Hour, rotates: true, access2: "xoxe.xoxp-access-2",
			identity: of(provider.Identity{ID: "T9TK3CUKW/U1234", Name: "alice"}, "", "T9TK3CUKW"),
			routes: map[string][]string{
				"POST slack.com/api/oauth.v2.access": {"slack/token", "slack/refresh"},
				"POST slack.com/api/auth.test":       {"slack/identity"},
				"POST slack.com/api/auth.revoke":     {"slack/revoke"},
			},
		},
		{
			name: "github", ask: []string{"repo", "read:user"}, confirmed: true,
			scopes: []string{"read:user", "repo"}, scopes2: []string{"read:user", "repo"},
			life: 8 * time.Hour, life2: 8 * time.Hour, refreshLife: 184 * 24 * time.Hour, rotates: true, access2: "ghu_access2",
			identity: provider.Identity{ID: "583231", Name: "Alice Doe"},
			routes: map[string][]string{
				"POST github.com/login/oauth/access_token":          {"github/token", "github/refresh"},
				"GET api.github.com/user":                           {"github/identity"},
				"DELETE api.github.com/applications/client-1/grant": {"github/revoke"},
			},
		},
		{
			name: "box", ask: []string{"root_readonly"}, scopes: []string{"root_readonly"}, scopes2: []string{"root_readonly"},
			life: 4169 * time.Second, life2: time.Hour, rotates: true,
			access2:  "c3FIOG9vSGV4VHo4QzAyg5T1JvNnJoZ3ExaVNyQWw2WjRsanRKZG5lQk9qUE1BVQ",
			identity: alice("11446498", false),
			routes: map[string][]string{
				"POST api.box.com/oauth2/token":  {"box/token", "box/refresh"},
				"GET api.box.com/2.0/users/me":   {"box/identity"},
				"POST api.box.com/oauth2/revoke": {"box/revoke"},
			},
		},
		{
			name: "salesforce", ask: []string{"api"}, confirmed: true, apiBase: "https://acme.my.salesforce.com",
			scopes: []string{"api", "id", "refresh_token"}, scopes2: []string{"api", "id", "refresh_token"},
			access2:  "00D5e000000aBcD!AQ0AQ.access2",
			identity: of(alice("00D5e000000aBcDEAU/0055e000001XyZzAAK", true), "example.com", "00D5e000000aBcDEAU"),
			routes: map[string][]string{
				"POST login.salesforce.com/services/oauth2/token":     {"salesforce/token", "salesforce/refresh"},
				"GET acme.my.salesforce.com/services/oauth2/userinfo": {"salesforce/identity"},
				"POST login.salesforce.com/services/oauth2/revoke":    {"salesforce/revoke"},
			},
		},
		{
			name: "oauth2", ask: []string{"things.read"}, scopes: []string{"things.read"}, scopes2: []string{"things.read"},
			life: 2 * time.Hour, access2: "custom-access-2",
			identity: provider.Identity{ID: "42", Email: "alice@example.com", Name: "alice"},
			routes: map[string][]string{
				"POST vendor.example.com/token":  {"oauth2/token", "oauth2/refresh"},
				"GET api.example.com/v1/whoami":  {"oauth2/identity"},
				"POST vendor.example.com/revoke": {"oauth2/revoke"},
			},
		},
	}
}

// serve puts the case's fixtures where the vendor's own addresses are.
func (v vendorCase) serve(n *internet) {
	for route, fixtures := range v.routes {
		for _, f := range fixtures {
			h := n.jwks()
			if f != "jwks" {
				h = n.fixture(f)
			}
			n.mu.Lock()
			n.routes[route] = append(n.routes[route], h)
			n.mu.Unlock()
		}
	}
}

// TestVendors connects, identifies, refreshes and revokes at each vendor's real
// addresses, with answers of the shape that the vendor sends, and compares all
// that went over the wire with wire.golden.
func TestVendors(t *testing.T) {
	t.Parallel()
	for _, v := range vendorCases() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			v.serve(n)
			c := n.connection(v.name, nil)
			at, err := c.AuthCodeURL(t.Context(), provider.AuthRequest{
				State: state, Nonce: nonce, Verifier: provider.NewSecret(verifier), RedirectURI: "https://grantry.example.com/callback/" + v.name,
				Scopes: v.ask, LoginHint: "alice@example.com", Reconnect: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			wire := []string{"-- authorize --\n" + address(t, at)}
			step := func(name string) { wire = append(wire, "-- "+name+" --\n"+strings.Join(n.took(), "\n")) }
			step("before")
			g := v.redeem(t, c)
			step("redeem")
			v.identify(t, c, g)
			step("identify")
			g2 := v.refresh(t, c, g)
			step("refresh")
			if err := c.Revoke(t.Context(), g2.Access, g.Refresh); err != nil {
				t.Errorf("revoking: %v", err)
			}
			step("revoke")
			golden(t, filepath.Join("testdata", v.name, "wire.golden"), strings.Join(wire, ""))
		})
	}
}

func (v vendorCase) redeem(t *testing.T, c *provider.Connection) *provider.Grant {
	t.Helper()
	g, err := c.Redeem(t.Context(), provider.Redemption{
		Code: provider.NewSecret(code), Verifier: provider.NewSecret(verifier),
		RedirectURI: "https://grantry.example.com/callback/" + v.name, Asked: v.ask,
	})
	if err != nil {
		t.Fatal(err)
	}
	if g.Refresh.IsZero() || g.IDToken.IsZero() == v.idTokens {
		t.Errorf("refresh token %v, id_token %v", !g.Refresh.IsZero(), !g.IDToken.IsZero())
	}
	want := provider.Grant{Access: g.Access, Refresh: g.Refresh, IDToken: g.IDToken, Scopes: v.scopes, Confirmed: v.confirmed, APIBase: v.apiBase, Expiry: end(v.life), RefreshEnd: end(v.refreshLife)}
	if diff := cmp.Diff(want, *g); diff != "" {
		t.Errorf("grant (-want +got):\n%s", diff)
	}
	return g
}

func (v vendorCase) identify(t *testing.T, c *provider.Connection, g *provider.Grant) {
	t.Helper()
	id, err := c.Identify(t.Context(), g, nonce)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v.identity, *id); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
}

func (v vendorCase) refresh(t *testing.T, c *provider.Connection, g *provider.Grant) *provider.Grant {
	t.Helper()
	g2, err := c.Refresh(t.Context(), g.Refresh, g.Scopes)
	if err != nil {
		t.Fatal(err)
	}
	if g2.Refresh.IsZero() == v.rotates || g2.Access.Reveal() != v.access2 || g2.Refresh == g.Refresh {
		t.Errorf("refreshed to %q, refresh token %q", g2.Access.Reveal(), g2.Refresh.Reveal())
	}
	want := provider.Grant{Access: g2.Access, Refresh: g2.Refresh, IDToken: g2.IDToken, Scopes: v.scopes2, Confirmed: v.confirmed, APIBase: v.apiBase, Expiry: end(v.life2), RefreshEnd: end(v.refreshLife)}
	if diff := cmp.Diff(want, *g2); diff != "" {
		t.Errorf("refreshed grant (-want +got):\n%s", diff)
	}
	return g2
}

func end(life time.Duration) time.Time {
	if life == 0 {
		return time.Time{}
	}
	return noon().Add(life)
}

// address is a URL with one query field a line.
func address(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	u.RawQuery = ""
	return u.String() + "\n" + fields(q)
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
