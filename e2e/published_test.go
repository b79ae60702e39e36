package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/storetest/port"
)

// ownAddress is an address of this machine that is not loopback, as a container has one.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if p, ok := a.(*net.IPNet); ok && !p.IP.IsLoopback() && p.IP.To4() != nil {
			return p.IP.String()
		}
	}
	return "127.0.0.2" // no network at all: another address of loopback, on Linux
}

// TestPublishedFromAContainer: listening on all addresses, as inside a container,
// with the address that is published outside as public_url: calls by that name pass,
// probes by the container's own address are answered, and pages and MCP are not.
func TestPublishedFromAContainer(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, issuerConfig{Clients: []map[string]any{confidential(pagesClient, "the-secret-of-the-pages", "https://127.0.0.1/signin/callback")}})
	for name, public := range map[string]string{"loopback": "http://127.0.0.1:%s", "public": "https://grantry.example.com"} {
		t.Run(name, func(t *testing.T) {
			_, at, _ := net.SplitHostPort(port.Get(t).Addr())
			if strings.Contains(public, "%s") {
				public = fmt.Sprintf(public, at)
			}
			issuer := i.URL
			if name == "public" {
				issuer = "https://login.example.com" // never asked: no token comes
			}
			h := newHome(t, "", "OIDC_SECRET=the-secret-of-the-pages")
			h.Config = filepath.Join(h.Dir, "grantry.yaml")
			writeFile(t, h.Config, fmt.Sprintf("listen: 0.0.0.0:%s\npublic_url: %s\ntrusted_proxies: [10.0.0.0/8]\nidentity: { issuer: %s, client_id: %s, client_secret: env:OIDC_SECRET }\n",
				at, public, issuer, pagesClient))
			s := h.serve(t)
			if s.MCP != public+"/mcp" {
				t.Errorf("serve prints %s", s.MCP)
			}
			inside := net.JoinHostPort(ownAddress(t), at)
			outside := strings.TrimPrefix(strings.TrimPrefix(public, "https://"), "http://")
			for _, c := range []struct {
				path, host string
				want       int
			}{
				{"/healthz", inside, 200},
				{"/readyz", inside, 200},
				{"/healthz", "localhost", 200},
				{"/mcp", inside, 403},
				{"/connections", inside, 403},
				{"/mcp", outside, 401},
				{"/.well-known/oauth-protected-resource/mcp", outside, 200},
			} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+inside+c.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = c.host
				req.Header.Set("X-Forwarded-Host", "grantry.example.com") // of nobody who is trusted
				req.Header.Set("X-Forwarded-For", "127.0.0.1")
				resp, err := http.DefaultTransport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != c.want {
					t.Errorf("%s for %s: HTTP %d, want %d", c.path, c.host, resp.StatusCode, c.want)
				}
			}
		})
	}
}
