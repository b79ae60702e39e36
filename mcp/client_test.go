package mcp_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// The capabilities that a client can declare.
const (
	capURL  = `{"elicitation":{"form":{},"url":{}}}`
	capForm = `{"elicitation":{}}`
	capNone = `{}`
)

// client is a raw JSON-RPC client of one era over one transport.
type client struct {
	t      *testing.T
	modern bool
	caps   string
	send   func(id string, method, tool string, raw []byte) answer
	note   func(raw []byte)
	// stream opens the listening stream of the 2025 era (HTTP).
	stream func()
	// dialog answers what the server asks (2025 era), with the result of the request; "" = never.
	dialog func(params json.RawMessage) (result string)
	// abandon stops waiting for an answer that will not come (stdio).
	abandon func(id string)

	mu    sync.Mutex
	next  int
	notes chan answer
}

// connect makes a client of an era over a transport; over HTTP it is alice.
func (w *world) connect(transport string, modern bool, caps string) *client {
	w.t.Helper()
	c := &client{t: w.t, modern: modern, caps: caps, notes: make(chan answer, 100)}
	if transport == "stdio" {
		w.overStdio(c)
	} else {
		w.overHTTP(c, w.serveHTTP(), "alice")
	}
	c.initialize()
	return c
}

func (c *client) initialize() {
	c.t.Helper()
	if c.modern {
		return
	}
	a := c.request("initialize", "", fmt.Sprintf(`{"protocolVersion":"2025-11-25","capabilities":%s,"clientInfo":{"name":"wire","version":"1"}}`, c.caps))
	if a.Error != nil || !strings.Contains(string(a.Result), `"protocolVersion":"2025-11-25"`) {
		c.t.Fatalf("initialize: %s", a.raw)
	}
	c.note([]byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`))
}

// respond answers a request of the server by the client's dialog.
func (c *client) respond(a answer) {
	if c.dialog == nil || a.Method != "elicitation/create" {
		c.t.Errorf("the server asks: %s", a.raw)
		return
	}
	if result := c.dialog(a.Params); result != "" {
		c.note(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,%s}`, a.ID, result))
	}
}

// request sends one request with these params, a JSON object, and waits for its answer.
func (c *client) request(method, tool, params string) answer {
	c.t.Helper()
	c.mu.Lock()
	c.next++
	id := fmt.Sprint(c.next)
	c.mu.Unlock()
	if c.modern {
		meta := fmt.Sprintf(`{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":%s,"io.modelcontextprotocol/clientInfo":{"name":"wire","version":"1"}}`, c.caps)
		if params != "{}" {
			meta += ","
		}
		params = meta + params[1:]
	}
	raw := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`, id, method, params)
	return c.send(id, method, tool, raw)
}

// call calls a tool. more is added to the params: `"requestState":"…"`.
func (c *client) call(tool, args string, more ...string) answer {
	c.t.Helper()
	params := fmt.Sprintf(`{"name":%q,"arguments":%s%s}`, tool, args, strings.Join(append([]string{""}, more...), ","))
	a := c.request("tools/call", tool, params)
	if bytes.Contains(a.raw, []byte(canary)) {
		c.t.Errorf("a token is in the answer: %s", a.raw)
	}
	return a
}

func retryWith(state, action string) string {
	if action == "" {
		return fmt.Sprintf(`"requestState":%q`, state)
	}
	return fmt.Sprintf(`"requestState":%q,"inputResponses":{"consent":{"action":%q}}`, state, action)
}

func (a answer) tool(t *testing.T) toolResult {
	t.Helper()
	if a.Error != nil {
		t.Fatalf("error instead of a result: %s", a.raw)
	}
	var r toolResult
	if err := json.Unmarshal(a.Result, &r); err != nil {
		t.Fatalf("%v: %s", err, a.raw)
	}
	return r
}

// overStdio connects c to the server by pipes.
func (w *world) overStdio(c *client) {
	send, lines, _ := w.serveStdio()
	c.note = send
	var mu sync.Mutex
	waiting := map[string]chan answer{}
	go func() {
		for raw := range lines {
			var a answer
			if err := json.Unmarshal(raw, &a); err != nil {
				w.t.Errorf("%v: %s", err, raw)
				continue
			}
			a.raw = raw
			mu.Lock()
			ch := waiting[string(a.ID)]
			delete(waiting, string(a.ID))
			mu.Unlock()
			switch {
			case a.Method != "" && a.ID != nil:
				go c.respond(a)
			case a.Method != "":
				c.notes <- a
			case ch != nil:
				ch <- a
			default:
				w.t.Errorf("answer to nothing: %s", raw)
			}
		}
	}()
	c.abandon = func(id string) {
		mu.Lock()
		defer mu.Unlock()
		waiting[id] <- answer{}
		delete(waiting, id)
	}
	c.send = func(id, _, _ string, raw []byte) answer {
		ch := make(chan answer, 1)
		mu.Lock()
		waiting[id] = ch
		mu.Unlock()
		send(raw)
		return <-ch
	}
}

// overHTTP connects c to the endpoint with a bearer.
func (w *world) overHTTP(c *client, address, bearer string) {
	session := ""
	var mu sync.Mutex
	c.stream = func() {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, address+"/mcp", nil)
		if err != nil {
			w.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Mcp-Session-Id", session)
		c.open(req)
	}
	do := func(method, tool string, raw []byte) answer {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, address+"/mcp", bytes.NewReader(raw))
		if err != nil {
			w.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		mu.Lock()
		if session != "" {
			req.Header.Set("Mcp-Session-Id", session)
		}
		mu.Unlock()
		if c.modern {
			req.Header.Set("Mcp-Protocol-Version", "2026-07-28")
			req.Header.Set("Mcp-Method", method)
			if tool != "" {
				req.Header.Set("Mcp-Name", tool)
			}
		}
		a := c.do(req)
		if id := a.Header.Get("Mcp-Session-Id"); id != "" {
			mu.Lock()
			session = id
			mu.Unlock()
		}
		return a
	}
	c.send = func(_, method, tool string, raw []byte) answer { return do(method, tool, raw) }
	c.note = func(raw []byte) { do("", "", raw) }
}

// do sends a request and reads its answer, from JSON or from a stream of events.
func (c *client) do(req *http.Request) answer {
	httpClient := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := httpClient.Do(req)
	if err != nil {
		c.t.Errorf("%v", err)
		return answer{}
	}
	defer func() { _ = resp.Body.Close() }()
	out := answer{Status: resp.StatusCode, Header: resp.Header}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		out.raw, _ = io.ReadAll(resp.Body)
		_ = json.Unmarshal(out.raw, &out)
		return out
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		a := answer{Status: resp.StatusCode, Header: resp.Header, raw: []byte(data)}
		if err := json.Unmarshal(a.raw, &a); err != nil {
			c.t.Errorf("%v: %s", err, data)
		}
		if a.Method != "" {
			c.notes <- a
			continue
		}
		out = a
	}
	return out
}

// open starts a request whose answer is a stream of notifications, and returns
// when its header has come.
func (c *client) open(req *http.Request) {
	c.t.Helper()
	httpClient := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := httpClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		c.t.Fatalf("stream: HTTP %d", resp.StatusCode)
	}
	go func() {
		defer close(c.notes)
		defer func() { _ = resp.Body.Close() }()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				a := answer{raw: []byte(data)}
				_ = json.Unmarshal(a.raw, &a)
				c.notes <- a
			}
		}
	}()
}
