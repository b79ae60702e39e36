package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/grantry/grantry/vault/provider"
)

// TestDesign reads the configuration block of the design: all of it is known,
// but issuer and upstream exclude each other, and tls asks for https.
func TestDesign(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("grantry.yaml", read(t, "testdata/design.yaml"), options("/home/ann", nil))
	want := `grantry.yaml:2: public_url: must be https, because tls is set
grantry.yaml:21: identity.upstream: excludes identity.issuer: keep issuer to take its tokens, or upstream for the built-in server`
	if err == nil || err.Error() != want {
		t.Errorf("Parse: %v, want\n%s", err, want)
	}
}

// designWithout is the design's block without the lines that exclude others.
func designWithout(t *testing.T, keys ...string) string {
	t.Helper()
	var kept []string
	for line := range strings.Lines(string(read(t, "testdata/design.yaml"))) {
		drop := false
		for _, key := range keys {
			drop = drop || strings.HasPrefix(strings.TrimSpace(line), key+":")
		}
		if !drop {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func TestDesignValues(t *testing.T) {
	t.Parallel()
	got := parse(t, designWithout(t, "upstream", "public_url"))
	want := parse(t, "")
	want.File = "/etc/grantry/grantry.yaml"
	want.TLS = config.TLS{Cert: "/etc/grantry/cert.pem", Key: "/home/ann/tls/key.pem"}
	want.Identity.Issuer, want.Identity.ClientID = "https://login.example.com", "grantry"
	if diff := cmp.Diff(shown{
		Secrets: map[string]string{
			"connections.crm.client_secret":    "file:/run/secrets/sf",
			"connections.ghe.client_secret":    "exec:…",
			"connections.google.client_secret": "env:GOOGLE_SECRET",
			"identity.client_secret":           "env:OIDC_SECRET",
			"workloads.nightly.client_secret":  "env:NIGHTLY",
		},
		Connections: map[string]config.Connection{
			"google": {
				Provider: "google", ClientID: "g",
				Accounts: config.Accounts{Domains: []string{"example.com"}},
				Allow:    config.Allow{Claim: "groups", Any: []string{"staff"}},
			},
			"crm": {Provider: "salesforce", ClientID: "s"},
			"erp": {
				Provider: "oidc", ClientID: "e", Issuer: "https://erp.example.com",
				Scopes: []string{"orders.read"}, APIHosts: []string{"erp.example.com"},
			},
			"ghe": {Provider: "github", ClientID: "h", Endpoints: provider.Endpoints{
				Authorization: "https://ghe.example.com/login/oauth/authorize",
				Token:         "https://ghe.example.com/login/oauth/access_token",
				API:           "https://ghe.example.com/api/v3",
			}},
		},
		Ceilings: map[string][]string{"google": {"https://www.googleapis.com/auth/calendar.readonly"}},
	}, show(got), references()); diff != "" {
		t.Errorf("design (-want +got):\n%s", diff)
	}
	got.Connections, got.Workloads, got.Secrets, got.Identity.ClientSecret = want.Connections, want.Workloads, want.Secrets, want.Identity.ClientSecret
	if diff := cmp.Diff(want, got, references()); diff != "" {
		t.Errorf("everything else is a default (-want +got):\n%s", diff)
	}
	if got.Identity.MaxAge != 8*time.Hour || got.Access.DefaultTTL != 720*time.Hour {
		t.Errorf("durations: %v, %v", got.Identity.MaxAge, got.Access.DefaultTTL)
	}
}

// shown is what the design's block sets apart from defaults.
type shown struct {
	Secrets     map[string]string
	Connections map[string]config.Connection
	Ceilings    map[string][]string
}

func show(c *config.Config) shown {
	s := shown{Secrets: map[string]string{}, Connections: map[string]config.Connection{}, Ceilings: c.Workloads["nightly"].Connections}
	for _, named := range c.Secrets {
		s.Secrets[named.Path] = named.Ref.String()
	}
	for name, conn := range c.Connections {
		conn.ClientSecret = config.SecretRef{}
		s.Connections[name] = conn
	}
	return s
}

// TestBuiltInSignIn: the other half of the exclusion loads, too.
func TestBuiltInSignIn(t *testing.T) {
	t.Parallel()
	c := parse(t, "identity:\n  upstream: {issuer: https://up.example.com/, client_id: 42, client_secret: env:UP}\n  registration: false\n")
	up := c.Identity.Upstream
	if up.Issuer != "https://up.example.com/" || up.ClientID != "42" || up.ClientSecret.String() != "env:UP" || c.Identity.Registration {
		t.Errorf("identity: %+v", c.Identity)
	}
}

// TestClientIDs: vendors' ids may look like numbers; the digits stay.
func TestClientIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"1234567890.1234567890", "007", "1e10", "0x1F", "12_000", "'8'"} {
		c := parse(t, "connections: {a: {provider: github, client_id: "+id+"}}")
		if got, want := c.Connections["a"].ClientID, strings.Trim(id, "'"); got != want {
			t.Errorf("client_id: %s was read as %q", id, got)
		}
	}
}

// TestNormalized: addresses come out in the one form that is compared.
func TestNormalized(t *testing.T) {
	t.Parallel()
	c := parse(t, `
public_url: https://Grantry.Example.com:443/
allowed_hosts: [A.example.com, "B.example.com:8443", "[::1]"]
allowed_origins: ["https://App.example.com:443/", "http://127.0.0.1:3000"]
trusted_proxies: [10.1.2.3/8, "::ffff:10.0.0.1", "fd00::/8"]
identity: {issuer: https://login.example.com/, client_id: g}
clients: {https://client.example.com/meta: {}, 0oaAbC: {binding: app}}
notify: exec:notify-send Grantry
audit: {anchor: heads.log}
keys: {source: hashivault://grantry}
`)
	var proxies []string
	for _, p := range c.TrustedProxies {
		proxies = append(proxies, p.String())
	}
	if diff := cmp.Diff([][]string{
		{"https://grantry.example.com", "https://login.example.com/", "/etc/grantry/heads.log", "notify-send Grantry", "hashivault://grantry"},
		{"a.example.com", "b.example.com:8443", "[::1]"},
		{"https://app.example.com", "http://127.0.0.1:3000"},
		{"10.0.0.0/8", "10.0.0.1/32", "fd00::/8"},
		{"browser", "app"},
	}, [][]string{
		{c.PublicURL, c.Identity.Issuer, c.Audit.Anchor, c.Notify.Line(), c.Keys.Source.String()},
		c.AllowedHosts, c.AllowedOrigins, proxies,
		{c.Clients["https://client.example.com/meta"].Binding, c.Clients["0oaAbC"].Binding},
	}); diff != "" {
		t.Errorf("normalized (-want +got):\n%s", diff)
	}
}
