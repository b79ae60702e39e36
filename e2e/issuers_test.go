package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSeveralIssuers: access tokens of a second issuer, which cannot be read, are
// good beside the first one's; the same subject at both is two people; and with
// identity.require_scopes a token is held to the scopes that it carries.
func TestSeveralIssuers(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	resource := v.base + "/mcp"
	scopes := []string{"email", "profile", "tools:read", "tools:write", "connections:manage"}
	one := startIssuer(t, issuerConfig{
		Clients: []map[string]any{confidential(pagesClient, "the-secret-of-the-pages", v.base+"/signin/callback"), public(mcpClient)},
		Scopes:  scopes, Resources: []string{resource},
	})
	two := startIssuer(t, issuerConfig{
		Clients: []map[string]any{confidential("grantry-asks", "the-secret-of-the-second", "https://127.0.0.1/unused"), public(mcpClient)},
		Scopes:  scopes, Resources: []string{resource, "http://other.example/mcp"}, Opaque: []string{resource, "http://other.example/mcp"},
	})
	h := newHome(t, v.yaml(fmt.Sprintf(`identity:
  issuer: %s
  client_id: %s
  client_secret: env:OIDC_SECRET
  require_scopes: true
  also:
    - { issuer: %s, client_id: grantry-asks, client_secret: env:SECOND_SECRET }
`, one.URL, pagesClient, two.URL)), append(v.secrets(), "OIDC_SECRET=the-secret-of-the-pages", "SECOND_SECRET=the-secret-of-the-second")...)
	s := h.serve(t)
	wantServers(t, s, one.URL, two.URL)
	token := func(i *issuer, of string, scopes ...string) string {
		return issuerToken(t, i, "alice", mcpClient, of, scopes...)["access_token"].(string)
	}
	reads, opaque := token(one, resource, "tools:read"), token(two, resource, "tools:read")
	if strings.Count(opaque, ".") == 2 {
		t.Fatalf("the second issuer's token can be read: %s", opaque)
	}

	c := connect(t, clientConfig{SDK: "v2", Era: "modern", Elicitation: "none", URL: s.MCP, Token: reads})
	if done := newBrowser(t).consent(c.call(t, "calendar_list_events", map[string]any{}).link(t), "alice"); done.Status != http.StatusOK {
		t.Fatalf("the visit ended with %d:\n%s", done.Status, done.text())
	}
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
	names := func(token string) (out []string) {
		for _, tool := range connect(t, clientConfig{SDK: "v2", Era: "modern", Elicitation: "none", URL: s.MCP, Token: token}).list(t) {
			out = append(out, tool.Name)
		}
		return out
	}
	if got := names(opaque); !slices.Contains(got, "calendar_list_events") || slices.Contains(got, "chat_post_message") {
		t.Errorf("a token that may read sees %v", got)
	}
	// The second issuer's alice is somebody else: the first one's account is not hers.
	newRaw(t, s.MCP, opaque).modern(t, "calendar_list_events", map[string]any{}, nil).final(t).link(t)

	w := newRaw(t, s.MCP, opaque).modern(t, "chat_post_message", map[string]any{"channel": "C1", "text": "hi"}, nil)
	if challenge := w.Header.Get("WWW-Authenticate"); w.Status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, `scope="tools:read tools:write"`) {
		t.Errorf("a write with a token that may read: %d, %q", w.Status, challenge)
	}
	if w := newRaw(t, s.MCP, token(two, "http://other.example/mcp", "tools:read")).modern(t, "connections_list", map[string]any{}, nil); w.Status != http.StatusUnauthorized {
		t.Errorf("an opaque token for another server: %d", w.Status)
	}
	if status := revokeAt(t, two, opaque); status != http.StatusOK {
		t.Fatalf("revoking answered %d", status)
	}
	eventually(t, patience, "the end of a revoked token", func() bool {
		time.Sleep(time.Second)
		return newRaw(t, s.MCP, opaque).modern(t, "connections_list", map[string]any{}, nil).Status == http.StatusUnauthorized
	})
	if n := len(two.requests(t, "/token/introspection")); n > 12 {
		t.Errorf("the second issuer was asked %d times", n)
	}
	scan := newCanary(t, reads, opaque)
	scan.clean(t, "the log", []byte(s.output()))
}

// wantServers checks the authorization servers that clients are told of.
func wantServers(t *testing.T, s *server, want ...string) {
	t.Helper()
	resp, err := http.Get(s.Base + "/.well-known/oauth-protected-resource/mcp")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	var doc struct {
		Servers []string `json:"authorization_servers"`
		Scopes  []string `json:"scopes_supported"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil || !slices.Equal(doc.Servers, want) || !slices.Equal(doc.Scopes, []string{"tools:read", "tools:write", "connections:manage"}) {
		t.Errorf("the metadata says %s", raw)
	}
}

// revokeAt revokes a token of the MCP client at its issuer.
func revokeAt(t *testing.T, i *issuer, token string) int {
	t.Helper()
	resp, err := http.PostForm(i.URL+"/token/revocation", map[string][]string{"token": {token}, "client_id": {mcpClient}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
