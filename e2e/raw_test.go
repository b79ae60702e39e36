package e2e_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// revision is the modern MCP revision.
const revision = "2026-07-28"

// raw is an MCP client without an SDK, for what must be exact on the wire.
type raw struct {
	url     string
	token   string
	session string
	client  *http.Client
}

// wire is one HTTP answer to a JSON-RPC message: the messages in it, whether
// they came as JSON or as an event stream.
type wire struct {
	Status   int
	Header   http.Header
	Body     string
	Messages []rpcMessage
}

// rpcMessage is any JSON-RPC message.
type rpcMessage struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *rpcError       `json:"error"`
}

// newRaw answers a client for an MCP URL; token may be "".
func newRaw(t *testing.T, url, token string) *raw {
	t.Helper()
	transport := &http.Transport{Proxy: nil}
	t.Cleanup(transport.CloseIdleConnections)
	return &raw{url: url, token: token, client: &http.Client{Transport: transport, Timeout: 2 * patience}}
}

// post sends body as it is, with the usual headers and then header, whose
// empty values take a header away.
func (r *raw) post(t *testing.T, body string, header map[string]string) wire {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
	if r.token != "" {
		all["Authorization"] = "Bearer " + r.token
	}
	if r.session != "" {
		all["Mcp-Session-Id"] = r.session
	}
	for name, value := range header {
		all[name] = value
	}
	for name, value := range all {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if host := header["Host"]; host != "" {
		req.Host = host
	}
	return r.do(t, req)
}

func (r *raw) do(t *testing.T, req *http.Request) wire {
	t.Helper()
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatalf("POST %s: %v", r.url, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("POST %s: %v", r.url, err)
	}
	w := wire{Status: resp.StatusCode, Header: resp.Header, Body: string(text)}
	for _, one := range messages(w) {
		var m rpcMessage
		if json.Unmarshal([]byte(one), &m) == nil {
			w.Messages = append(w.Messages, m)
		}
	}
	return w
}

// messages splits an answer into JSON texts.
func messages(w wire) []string {
	if !strings.HasPrefix(w.Header.Get("Content-Type"), "text/event-stream") {
		return []string{w.Body}
	}
	var out []string
	lines := bufio.NewScanner(strings.NewReader(w.Body))
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
			out = append(out, strings.TrimSpace(data))
		}
	}
	return out
}

// final answers the message of the wire answer that ends the request.
func (w wire) final(t *testing.T) answer {
	t.Helper()
	for _, m := range w.Messages {
		if m.Method == "" && (m.Result != nil || m.Error != nil) {
			return newAnswer(t, m.Result, m.Error)
		}
	}
	t.Fatalf("HTTP %d has no JSON-RPC answer: %s", w.Status, w.Body)
	return answer{}
}

// initialize begins a 2025-11-25 session that declares these elicitation
// modes, and keeps its id.
func (r *raw) initialize(t *testing.T, modes ...string) wire {
	t.Helper()
	w := r.post(t, marshal(t, initializeRequest(modes...)), nil)
	r.session = w.Header.Get("Mcp-Session-Id")
	r.post(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, map[string]string{"MCP-Protocol-Version": "2025-11-25"})
	return w
}

func initializeRequest(modes ...string) map[string]any {
	return map[string]any{"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": capabilities(modes...),
		"clientInfo": map[string]any{"name": "Desk Agent", "version": "1.0.0"},
	}}
}

// capabilities declares elicitation in these modes; none declares nothing.
func capabilities(modes ...string) map[string]any {
	if len(modes) == 0 {
		return map[string]any{}
	}
	declared := map[string]any{}
	for _, mode := range modes {
		declared[mode] = map[string]any{}
	}
	return map[string]any{"elicitation": declared}
}

// modernCall is a tools/call of the 2026-07-28 era; extra adds to its params
// (inputResponses, requestState).
func modernCall(id int, name string, args, extra map[string]any, modes ...string) map[string]any {
	params := map[string]any{"name": name, "arguments": args, "_meta": map[string]any{
		"io.modelcontextprotocol/protocolVersion":    revision,
		"io.modelcontextprotocol/clientCapabilities": capabilities(modes...),
		"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "Desk Agent", "version": "1.0.0"},
	}}
	for key, value := range extra {
		params[key] = value
	}
	return map[string]any{"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}
}

// modern sends a modernCall over HTTP with the headers that it needs.
func (r *raw) modern(t *testing.T, name string, args, extra map[string]any, modes ...string) wire {
	t.Helper()
	return r.post(t, marshal(t, modernCall(1, name, args, extra, modes...)), map[string]string{
		"MCP-Protocol-Version": revision, "Mcp-Method": "tools/call", "Mcp-Name": name,
	})
}

// legacy sends a tools/call of the 2025 era over HTTP.
func (r *raw) legacy(t *testing.T, name string, args map[string]any) wire {
	t.Helper()
	return r.post(t, marshal(t, legacyCall(1, name, args)), map[string]string{"MCP-Protocol-Version": "2025-11-25"})
}

func legacyCall(id int, name string, args map[string]any) map[string]any {
	return map[string]any{"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": map[string]any{"name": name, "arguments": args}}
}

// exchange sends one message to a stdio server and waits for the answer with
// the same id.
func (p *process) exchange(t *testing.T, request map[string]any) answer {
	t.Helper()
	p.write(t, request)
	return p.reply(t, request["id"], 2*patience)
}

// reply waits for the answer to request id on stdout.
func (p *process) reply(t *testing.T, id any, d time.Duration) answer {
	t.Helper()
	want := marshal(t, id)
	var found rpcMessage
	p.line(t, 0, d, func(line string) bool {
		var m rpcMessage
		if json.Unmarshal([]byte(line), &m) != nil || string(m.ID) != want || m.Method != "" {
			return false
		}
		found = m
		return true
	})
	return newAnswer(t, found.Result, found.Error)
}
