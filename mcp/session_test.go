package mcp_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp"
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
	if began.StatusCode != 200 || len(id) < 64 || strings.Contains(id, "alice") {
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

// TestSessionsTakeNoRoom: a session is its id; a client that begins many takes no memory with it.
func TestSessionsTakeNoRoom(t *testing.T) {
	address := newWorld(t).serveHTTP() + "/mcp"
	begin := func() string {
		return send(t, http.MethodPost, address, initialize, "Content-Type", "application/json", "Authorization", "Bearer alice").Header.Get("Mcp-Session-Id")
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	first := begin()
	before := heap()
	for range 2000 { // not by begin, which keeps each answer until the test ends
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(initialize))
		req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer alice"}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("2,000 sessions take %d bytes", grown)
	}
	if got := send(t, http.MethodPost, address, list, "Content-Type", "application/json", "Authorization", "Bearer alice", "Mcp-Session-Id", first); got.StatusCode != 200 {
		t.Errorf("the first: HTTP %d", got.StatusCode)
	}
}

// replica is another server on the vault of w, as after a restart or on another machine.
func (w *world) replica(change ...func(*mcp.Config)) *world {
	w.t.Helper()
	other := newWorld(w.t, append([]func(*mcp.Config){func(c *mcp.Config) {
		c.Open = func(context.Context) (mcp.Vault, error) { return w.vault, nil }
		c.Records = w.vault.records()
	}}, change...)...)
	other.vault = w.vault
	return other
}

// TestSessionsOnEveryReplica: the id of a 2025-era session holds what its client
// said, so every replica and every later process serves it; DELETE ends it on all.
func TestSessionsOnEveryReplica(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	clock := func(c *mcp.Config) { c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } }
	one := newWorld(t, clock)
	two := one.replica(clock)
	here, there := one.serveHTTP()+"/mcp", two.serveHTTP()+"/mcp"
	legacy := func(method, address, text, id string) *http.Response {
		return send(t, method, address, text, "Content-Type", "application/json", "Accept", "application/json, text/event-stream",
			"Authorization", "Bearer alice", "Mcp-Session-Id", id)
	}
	declaring := strings.Replace(initialize, `"capabilities":{}`, `"capabilities":{"elicitation":{"url":{}}}`, 1)
	id := legacy(http.MethodPost, here, declaring, "").Header.Get("Mcp-Session-Id")
	call := `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"test_read","arguments":{}}}`
	if got := body(t, legacy(http.MethodPost, there, call, id)); !strings.Contains(got, "-32042") {
		t.Errorf("another replica does not know what the client declared: %s", got)
	}
	if got := legacy(http.MethodDelete, there, "", id); got.StatusCode != 200 {
		t.Fatalf("ending it: HTTP %d", got.StatusCode)
	}
	ahead.Add(int64(3 * time.Second))
	for _, address := range []string{here, there} {
		if got := legacy(http.MethodPost, address, list, id); got.StatusCode != 404 {
			t.Errorf("after its end: HTTP %d", got.StatusCode)
		}
	}
	if got := legacy(http.MethodPost, there, list, id[:len(id)-4]+"AAAA"); got.StatusCode != 404 {
		t.Errorf("altered: HTTP %d", got.StatusCode)
	}
	id = legacy(http.MethodPost, here, declaring, "").Header.Get("Mcp-Session-Id")
	ahead.Add(int64(8 * 24 * time.Hour))
	if got := legacy(http.MethodPost, here, list, id); got.StatusCode != 404 {
		t.Errorf("after a week: HTTP %d", got.StatusCode)
	}
}

// TestEndedSessionsAreBounded: who ends sessions without end does not fill the store.
func TestEndedSessionsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := w.serveHTTP() + "/mcp"
	headers := []string{"Content-Type", "application/json", "Authorization", "Bearer alice", "Mcp-Session-Id"}
	last := ""
	for range 300 {
		last = send(t, http.MethodPost, address, initialize, headers[:4]...).Header.Get("Mcp-Session-Id")
		send(t, http.MethodDelete, address, "", append(headers, last)...)
	}
	if rows, size := w.vault.records().size(); rows != 1 || size > 32<<10 {
		t.Errorf("%d records of %d bytes", rows, size)
	}
	if got := send(t, http.MethodPost, address, list, append(headers, last)...); got.StatusCode != 404 {
		t.Errorf("the last: HTTP %d", got.StatusCode)
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
