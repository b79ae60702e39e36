package mcp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/grantry/grantry/mcp"
)

func scoped(c *mcp.Config) { c.RequireScopes, c.Writes = true, "allow" }

// withScopes is a modern client whose bearer has these scopes, "+" in front of each.
func (w *world) withScopes(address, scopes string) *client {
	c := &client{t: w.t, modern: true, caps: capNone, notes: make(chan answer, 10)}
	w.overHTTP(c, address, "alice"+scopes)
	return c
}

// TestR36ScopesOfACall: a call that its token does not allow is 403 and names at
// once all that the next token should carry: what the call needs, and what this one had of ours.
func TestR36ScopesOfACall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scoped)
	w.vault.give(alice.Caller, "google", calendarScope)
	address := w.serveHTTP()
	for _, c := range []struct {
		has, tool string
		want      string // of the challenge, "" = it runs
	}{
		{"+tools:read", "test_read", ""},
		{"+tools:write", "test_read", ""},
		{"+tools:write", "test_write", ""},
		{"+tools:write", "test_destroy", ""},
		{"+tools:read", "test_write", "tools:read tools:write"},
		{"+tools:read+openid", "test_destroy", "tools:read tools:write"},
		{"", "test_read", "tools:read"},
		{"+openid", "test_read", "tools:read"},
		{"+tools:reader", "test_read", "tools:read"},
		{"+connections:manage", "test_write", "tools:write connections:manage"},
		{"+tools:read", "connections_list", ""},
		{"+tools:write", "connections_connect", "tools:write connections:manage"},
	} {
		text := strings.Replace(discover, `"method":"server/discover","params":{`, `"method":"tools/call","params":{"name":"`+c.tool+`","arguments":{},`, 1)
		resp := post(t, address+"/mcp", text, "Authorization", "Bearer alice"+c.has, "Mcp-Method", "tools/call", "Mcp-Name", c.tool)
		got := resp.Header.Get("WWW-Authenticate")
		switch {
		case c.want == "":
			if resp.StatusCode != 200 {
				t.Errorf("%s with %q: HTTP %d %s", c.tool, c.has, resp.StatusCode, body(t, resp))
			}
		case resp.StatusCode != http.StatusForbidden || !strings.Contains(got, `error="insufficient_scope"`) ||
			!strings.Contains(got, `scope="`+c.want+`"`) || !strings.Contains(got, "resource_metadata="):
			t.Errorf("%s with %q: HTTP %d, %s", c.tool, c.has, resp.StatusCode, got)
		}
	}
	if refused := w.vault.entries("tool.refused"); len(refused) != 7 || refused[0].Reason != "scope" || refused[0].Tool != "test_write" {
		t.Errorf("audited: %+v", refused)
	}
}

// TestScopesWithoutTheRule: where the operator does not ask for scopes, tokens without any are good.
func TestScopesWithoutTheRule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.give(alice.Caller, "google", calendarScope)
	isData(t, w.withScopes(w.serveHTTP(), "").call("test_read", `{}`), "alice")
}

// TestMinimalScope is R30: the first challenge asks for the least that is of use, and the metadata names all.
func TestMinimalScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scoped)
	resp := post(t, w.serveHTTP()+"/mcp", discover, "Authorization", "")
	if got := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || !strings.Contains(got, `scope="tools:read"`) {
		t.Errorf("HTTP %d, %s", resp.StatusCode, got)
	}
	rec := httptest.NewRecorder()
	w.server.ProtectedResource().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	var doc struct {
		Scopes []string `json:"scopes_supported"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil || !slices.Equal(doc.Scopes, mcp.OwnScopes()) {
		t.Errorf("%s, %v", rec.Body, err)
	}
}

// TestToolFilter: a list holds what the caller's token and the operator's rules allow; who has none of our scopes gets none.
func TestToolFilter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scoped, func(c *mcp.Config) { c.Policy = map[string]string{"test_destroy": "deny"} })
	address := w.serveHTTP()
	reads := []string{"connections_list", "slack_read", "test_panic", "test_read", "test_wider"}
	for scopes, want := range map[string][]string{
		"+tools:read":                     reads,
		"+connections:manage":             {"connections_connect"},
		"+tools:write":                    {"connections_list", "slack_read", "test_panic", "test_read", "test_wider", "test_write"},
		"+tools:write+connections:manage": {"connections_connect", "connections_list", "slack_read", "test_panic", "test_read", "test_wider", "test_write"},
	} {
		a := w.withScopes(address, scopes).request("tools/list", "", `{}`)
		var list struct {
			CacheScope string
			Tools      []struct{ Name string }
		}
		if err := json.Unmarshal(a.Result, &list); err != nil || list.CacheScope != "private" {
			t.Fatalf("%s: %s", scopes, a.raw)
		}
		var got []string
		for _, tool := range list.Tools {
			got = append(got, tool.Name)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", scopes, got, want)
		}
	}
	text := strings.Replace(discover, "server/discover", "tools/list", 1)
	if resp := post(t, address+"/mcp", text, "Authorization", "Bearer alice+openid", "Mcp-Method", "tools/list"); resp.StatusCode != 403 {
		t.Errorf("without a scope of ours: HTTP %d", resp.StatusCode)
	}
}
