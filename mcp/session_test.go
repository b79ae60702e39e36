package mcp_test

import (
	"net/http"
	"strings"
	"testing"
)

const (
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}`
	list       = `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`
)

// TestSessionOfAnother is R42: a 2025-era session is good for the caller and
// agent who began it; for others it is like one that never was, on every method.
func TestSessionOfAnother(t *testing.T) {
	t.Parallel()
	address := newWorld(t).serveHTTP() + "/mcp"
	legacy := func(method, text string, header ...string) *http.Response {
		return send(t, method, address, text, append([]string{"Content-Type", "application/json", "Accept", "application/json, text/event-stream"}, header...)...)
	}
	began := legacy(http.MethodPost, initialize, "Authorization", "Bearer alice")
	id := began.Header.Get("Mcp-Session-Id")
	if began.StatusCode != 200 || len(id) != 32 {
		t.Fatalf("HTTP %d, session %q", began.StatusCode, id)
	}
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		for name, header := range map[string][]string{
			"another person": {"Authorization", "Bearer bob", "Mcp-Session-Id", id},
			"another agent":  {"Authorization", "Bearer alice/agent-2", "Mcp-Session-Id", id},
			"invented":       {"Authorization", "Bearer alice", "Mcp-Session-Id", strings.Repeat("A", 32)},
		} {
			if resp := legacy(method, list, header...); resp.StatusCode != 404 || resp.Header.Get("Mcp-Session-Id") != "" {
				t.Errorf("%s as %s: HTTP %d", method, name, resp.StatusCode)
			}
		}
		if resp := legacy(method, list, "Authorization", "Bearer alice"); resp.StatusCode != 400 {
			t.Errorf("%s without a session: HTTP %d", method, resp.StatusCode)
		}
	}
	own := []string{"Authorization", "Bearer alice", "Mcp-Session-Id", id}
	if resp := legacy(http.MethodPost, list, own...); resp.StatusCode != 200 {
		t.Errorf("its own: HTTP %d", resp.StatusCode)
	}
	if resp := legacy(http.MethodDelete, "", own...); resp.StatusCode != 200 {
		t.Errorf("ending it: HTTP %d", resp.StatusCode)
	}
	if resp := legacy(http.MethodPost, list, own...); resp.StatusCode != 404 {
		t.Errorf("after its end: HTTP %d", resp.StatusCode)
	}
}

// TestSessionsAreBounded: one caller and agent cannot fill the memory, and
// cannot push out another's session.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	address := newWorld(t).serveHTTP() + "/mcp"
	begin := func(bearer string) string {
		return send(t, http.MethodPost, address, initialize, "Content-Type", "application/json", "Authorization", "Bearer "+bearer).Header.Get("Mcp-Session-Id")
	}
	use := func(bearer, id string) int {
		return send(t, http.MethodPost, address, list, "Content-Type", "application/json", "Authorization", "Bearer "+bearer, "Mcp-Session-Id", id).StatusCode
	}
	bobs, first := begin("bob"), begin("alice")
	last := ""
	for range 200 {
		last = begin("alice")
	}
	if got := use("alice", first); got != 404 {
		t.Errorf("the oldest of 201: HTTP %d", got)
	}
	if use("alice", last) != 200 || use("bob", bobs) != 200 {
		t.Error("a session in use was dropped")
	}
}

// TestCancelOfAnother: a modern notifications/cancelled over HTTP cancels nothing;
// ids are not unique between clients.
func TestCancelOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, full)
	address := w.serveHTTP()
	c := &client{t: t, modern: true, caps: capURL, notes: make(chan answer, 10)}
	w.overHTTP(c, address, "alice")
	state := isInputRequired(t, c.call("test_read", `{}`)).RequestState
	waiting := async(c, "test_read", retryWith(state, "accept"))
	for range 20 {
		cancel := strings.Replace(discover, `"id":1,"method":"server/discover","params":{`, `"method":"notifications/cancelled","params":{"requestId":2,`, 1)
		if resp := post(t, address+"/mcp", cancel, "Authorization", "Bearer bob", "Mcp-Method", "notifications/cancelled"); resp.StatusCode != 202 {
			t.Fatalf("HTTP %d", resp.StatusCode)
		}
	}
	if len(waiting) != 0 {
		t.Fatalf("it was cancelled: %s", (<-waiting).raw)
	}
	w.vault.put("google", "done")
	isData(t, <-waiting, "alice")
}
