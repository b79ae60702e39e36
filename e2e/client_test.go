package e2e_test

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// clientConfig says which MCP client to run, and against what.
type clientConfig struct {
	SDK         string            `json:"sdk"`         // v1 (2025 era only) or v2
	Era         string            `json:"era"`         // legacy or modern
	Elicitation string            `json:"elicitation"` // url, form or none: what it declares
	Name        string            `json:"name,omitempty"`
	URL         string            `json:"url,omitempty"`
	Token       string            `json:"token,omitempty"`
	Command     string            `json:"command,omitempty"`
	Args        []string          `json:"args,omitempty"`
	Env         map[string]string `json:"env,omitempty"`
	Answer      string            `json:"answer,omitempty"` // what it answers to every elicitation; "" asks the test
	OAuth       *clientOAuth      `json:"oauth,omitempty"`
}

// clientOAuth makes the SDK do its own OAuth; without ClientID it registers.
type clientOAuth struct {
	Redirect string `json:"redirect"`
	ClientID string `json:"client_id,omitempty"`
	Scope    string `json:"scope,omitempty"`
}

// client is a running MCP client of a TypeScript SDK.
type client struct {
	*process
	next atomic.Int64
}

// message is a line that the client script printed.
type message struct {
	ID          int64           `json:"id"`
	Result      json.RawMessage `json:"result"`
	Error       *rpcError       `json:"error"`
	Event       string          `json:"event"`
	Elicitation int             `json:"elicitation"`
	Method      string          `json:"method"`
	Params      json.RawMessage `json:"params"`
	URL         string          `json:"url"`
	Version     string          `json:"version"`
	Server      struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"server"`
}

// rpcError is a JSON-RPC error, or what an SDK made of one.
type rpcError struct {
	Name    string          `json:"name"`
	Code    json.RawMessage `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

// newClient starts one without waiting until it is connected.
func newClient(t *testing.T, config clientConfig) *client {
	t.Helper()
	c := &client{process: script(t, "client.mjs", config)}
	t.Cleanup(func() {
		if out := c.output(); strings.Contains(out, "WARNING: DATA RACE") {
			t.Errorf("grantry has a data race:\n%s", out)
		}
	})
	return c
}

// overStdio completes config so that the SDK starts `grantry stdio args…`.
func (h *home) overStdio(t *testing.T, config clientConfig, args ...string) clientConfig {
	t.Helper()
	config.Command, config.Args = binary(t), h.args(append([]string{"stdio", "--no-browser"}, args...))
	config.Env = map[string]string{}
	for _, pair := range h.env() {
		name, value, _ := strings.Cut(pair, "=")
		config.Env[name] = value
	}
	return config
}

// connect starts a client and waits until it is connected.
func connect(t *testing.T, config clientConfig) *client {
	t.Helper()
	c := newClient(t, config)
	c.ready(t)
	return c
}

// ready waits for the end of the handshake.
func (c *client) ready(t *testing.T) message {
	t.Helper()
	m, _ := c.message(t, 0, patience, func(m message) bool { return m.Event == "ready" })
	return m
}

// message waits for the first line, from number from on, that match accepts.
func (c *client) message(t *testing.T, from int, d time.Duration, match func(message) bool) (message, int) {
	t.Helper()
	var found message
	_, next := c.line(t, from, d, func(line string) bool {
		var m message
		if json.Unmarshal([]byte(line), &m) != nil || !match(m) {
			return false
		}
		found = m
		return true
	})
	return found, next
}

// tool is one entry of tools/list.
type tool struct {
	Name         string          `json:"name"`
	Title        string          `json:"title"`
	Description  string          `json:"description"`
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema"`
	Annotations  map[string]any  `json:"annotations"`
}

// list answers tools/list.
func (c *client) list(t *testing.T) []tool {
	t.Helper()
	a := c.await(t, c.send(t, map[string]any{"op": "list"}), patience)
	if a.Error != nil {
		t.Fatalf("tools/list: %s", a.Error.Message)
	}
	var out struct {
		Tools []tool `json:"tools"`
	}
	unmarshal(t, string(a.Result), &out)
	return out.Tools
}

// send issues a command and answers its number.
func (c *client) send(t *testing.T, command map[string]any) int64 {
	t.Helper()
	id := c.next.Add(1)
	command["id"] = id
	c.write(t, command)
	return id
}

// goCall starts a tool call and answers its number; await collects it.
func (c *client) goCall(t *testing.T, name string, args map[string]any) int64 {
	t.Helper()
	return c.send(t, map[string]any{"op": "call", "name": name, "args": args})
}

// call makes a tool call and waits for its end.
func (c *client) call(t *testing.T, name string, args map[string]any) answer {
	t.Helper()
	return c.await(t, c.goCall(t, name, args), 2*patience)
}

// await waits for the end of command id.
func (c *client) await(t *testing.T, id int64, d time.Duration) answer {
	t.Helper()
	m, _ := c.message(t, 0, d, func(m message) bool { return m.ID == id && m.Event == "" })
	return newAnswer(t, m.Result, m.Error)
}

// elicitation waits for the n-th elicitation (from 1) and answers its URL.
func (c *client) elicitation(t *testing.T, n int) (link, text string) {
	t.Helper()
	m, _ := c.message(t, 0, patience, func(m message) bool { return m.Event == "elicitation" && m.Elicitation == n })
	var params struct{ Mode, URL, Message string }
	unmarshal(t, string(m.Params), &params)
	if params.Mode != "url" {
		t.Fatalf("elicitation %d is of mode %q, want url", n, params.Mode)
	}
	return params.URL, params.Message
}

// elicitations answers how many there have been.
func (c *client) elicitations() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, line := range c.stdout {
		if strings.HasPrefix(line, `{"event":"elicitation"`) {
			n++
		}
	}
	return n
}

// answer tells the client what its user chose: accept, decline or cancel.
func (c *client) answer(t *testing.T, n int, action string) {
	t.Helper()
	c.write(t, map[string]any{"op": "answer", "elicitation": n, "action": action})
}

// notification waits for a notification of this method.
func (c *client) notification(t *testing.T, method string) message {
	t.Helper()
	m, _ := c.message(t, 0, patience, func(m message) bool { return m.Event == "notification" && m.Method == method })
	return m
}

// authorize waits until the SDK wants its user at the authorization server.
func (c *client) authorize(t *testing.T) string {
	t.Helper()
	m, _ := c.message(t, 0, patience, func(m message) bool { return m.Event == "authorize" })
	return m.URL
}
