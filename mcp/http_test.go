package mcp_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp"
)

const discover = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`

// post sends a modern request; header entries "-X" take a header away.
func post(t *testing.T, address, body string, header ...string) *http.Response {
	t.Helper()
	return send(t, http.MethodPost, address, body, append([]string{
		"Authorization", "Bearer alice", "Content-Type", "application/json", "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "server/discover",
	}, header...)...)
}

func send(t *testing.T, method, address, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if name, ok := strings.CutPrefix(header[i], "-"); ok {
			req.Header.Del(name)
			req.Header.Del(header[i])
		}
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestChallenge is R30: without a good token 401, with where to get one and the least to ask for.
func TestChallenge(t *testing.T) {
	t.Parallel()
	address := newWorld(t).serveHTTP() + "/mcp"
	for name, c := range map[string]struct {
		header []string
		status int
		code   string
	}{
		"none":         {[]string{"-Authorization", ""}, 401, ""},
		"other scheme": {[]string{"Authorization", "Basic YTpi"}, 401, ""},
		"bad":          {[]string{"Authorization", "Bearer mallory"}, 401, `error="invalid_token"`},
		"huge":         {[]string{"Authorization", "Bearer " + strings.Repeat("a", 20_000)}, 401, ""},
	} {
		resp := post(t, address, discover, c.header...)
		got := resp.Header.Get("WWW-Authenticate")
		if resp.StatusCode != c.status || !strings.HasPrefix(got, "Bearer ") || !strings.Contains(got, c.code) ||
			!strings.Contains(got, `resource_metadata="`+publicURL+`/.well-known/oauth-protected-resource/mcp"`) || !strings.Contains(got, `scope="openid"`) {
			t.Errorf("%s: HTTP %d, %q", name, resp.StatusCode, got)
		}
		if c.code == "" && strings.Contains(got, "error=") {
			t.Errorf("%s: an error although nothing was sent: %q", name, got)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPut, http.MethodHead, http.MethodOptions} {
		if resp := send(t, method, address, ""); resp.StatusCode != 401 {
			t.Errorf("%s without a token: HTTP %d", method, resp.StatusCode)
		}
	}
	if resp := post(t, address, discover); resp.StatusCode != 200 || resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("with a token: HTTP %d, %v", resp.StatusCode, resp.Header)
	}
}

// TestTokenInQuery is R35: refused, and not in the log.
func TestTokenInQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := w.serveHTTP() + "/mcp?access_token=alice-in-the-query"
	for _, header := range [][]string{{"-Authorization", ""}, nil} {
		if resp := post(t, address, discover, header...); resp.StatusCode != 400 || !strings.Contains(resp.Header.Get("WWW-Authenticate"), "invalid_request") {
			t.Errorf("HTTP %d", resp.StatusCode)
		}
	}
	if strings.Contains(w.logs.String(), "alice-in-the-query") {
		t.Error("the token is in the log")
	}
}

// TestIssuerDown: that a token cannot be checked is not the client's fault.
func TestIssuerDown(t *testing.T) {
	t.Parallel()
	resp := post(t, newWorld(t).serveHTTP()+"/mcp", discover, "Authorization", "Bearer down")
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || strings.Contains(body(t, resp), "refused") {
		t.Errorf("HTTP %d", resp.StatusCode)
	}
}

// TestMetadata is R31: the resource is the configured one, whatever the Host says.
func TestMetadata(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(newWorld(t).server.ProtectedResource())
	t.Cleanup(srv.Close)
	resp := send(t, http.MethodGet, srv.URL, "", "Host", "evil.example.com")
	var got struct {
		Resource string
		Servers  []string `json:"authorization_servers"`
		Methods  []string `json:"bearer_methods_supported"`
	}
	if err := json.Unmarshal([]byte(body(t, resp)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Resource != publicURL+"/mcp" || len(got.Servers) != 1 || got.Servers[0] != alice.Issuer || len(got.Methods) != 1 || got.Methods[0] != "header" {
		t.Errorf("got %+v", got)
	}
	if resp := send(t, http.MethodPost, srv.URL, "{}"); resp.StatusCode != 405 {
		t.Errorf("POST: HTTP %d", resp.StatusCode)
	}
}

// TestOrigin is R38: a page of another origin is refused on every method,
// before its token is looked at.
func TestOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *mcp.Config) { c.AllowedOrigins = []string{"https://Inspector.example.com/"} })
	address := w.serveHTTP() + "/mcp"
	for origin, ok := range map[string]bool{
		publicURL: true, "http://localhost:8787": true, "HTTP://127.0.0.1:8787": true, "https://inspector.example.com": true,
		"https://evil.example.com": false, "null": false, "http://127.0.0.1:9999": false, "https://127.0.0.1:8787": false,
		"http://127.0.0.1:8787.evil.example.com": false, "https://inspector.example.com.evil.example.com": false, "": false,
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete, http.MethodOptions} {
			resp := send(t, method, address, discover, "Origin", origin, "Content-Type", "application/json")
			want := 403
			if ok {
				want = 401 // there is no token
				if method == http.MethodOptions {
					want = 204
				}
			}
			if resp.StatusCode != want || ok != (resp.Header.Get("Access-Control-Allow-Origin") == origin && origin != "") {
				t.Errorf("%s from %q: HTTP %d, want %d", method, origin, resp.StatusCode, want)
			}
		}
	}
}

// TestHost is R38: on loopback mcp-go refuses a rebound name; behind a proxy the
// public Host, which the app's own list has let through, passes.
func TestHost(t *testing.T) {
	t.Parallel()
	if resp := post(t, newWorld(t).serveHTTP()+"/mcp", discover, "Host", "evil.example.com"); resp.StatusCode != 403 {
		t.Errorf("rebound: HTTP %d", resp.StatusCode)
	}
	proxied := newWorld(t, func(c *mcp.Config) { c.PublicURL = "https://vault.example.com" })
	if resp := post(t, proxied.serveHTTP()+"/mcp", discover, "Host", "vault.example.com"); resp.StatusCode != 200 {
		t.Errorf("behind a proxy: HTTP %d", resp.StatusCode)
	}
}

// TestBadBodies is R40 and R38: refused before anything runs.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := w.serveHTTP() + "/mcp"
	call := func(params string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + params + `}`
	}
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"not JSON":               {`{"jsonrpc":`, 400},
		"two values":             {discover + discover, 400},
		"batch":                  {"[" + discover + "]", 400},
		"duplicate method":       {`{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}`, 400},
		"case variant":           {`{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}`, 400},
		"lone case variant":      {`{"jsonrpc":"2.0","id":1,"METHOD":"tools/call"}`, 400},
		"case variant in params": {call(`{"name":"test_read","Arguments":{}}`), 400},
		"unicode case variant":   {call(`{"name":"test_read","argumentſ":{}}`), 400},
		"duplicate argument":     {call(`{"name":"test_read","arguments":{"text":"a","text":"b"}}`), 400},
		"NUL in a name":          {call(`{"name":"test_read","arguments":{"text\u0000":"a"}}`), 400},
		"not UTF-8":              {call("{\"name\":\"\xff\"}"), 400},
		"deep":                   {call(strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70)), 400},
		"deep list":              {call(`{"a":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + "}"), 400},
		"too large":              {call(`{"a":"` + strings.Repeat("a", 4<<20) + `"}`), 413},
	} {
		resp := post(t, address, c.body, "Mcp-Method", "tools/call", "Mcp-Name", "test_read")
		got := body(t, resp)
		if resp.StatusCode != c.status || !strings.Contains(got, `"id":null`) || !strings.Contains(got, `"code":-32700`) && !strings.Contains(got, `"code":-32600`) {
			t.Errorf("%s: HTTP %d %s", name, resp.StatusCode, got)
		}
	}
	if resp := post(t, address, discover, "Content-Type", "text/plain"); resp.StatusCode != 415 {
		t.Errorf("text/plain: HTTP %d", resp.StatusCode)
	}
	if w.vault.ticketCount() != 0 || len(w.ran) != 0 {
		t.Error("something ran")
	}
}

// TestHeaderMismatch is R39: what the headers say and what the body says is one thing.
func TestHeaderMismatch(t *testing.T) {
	t.Parallel()
	address := newWorld(t).serveHTTP() + "/mcp"
	call := strings.Replace(discover, `"method":"server/discover","params":{`, `"method":"tools/call","params":{"name":"test_read","arguments":{},`, 1)
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"equal":         {[]string{"Mcp-Name", "test_read"}, 200},
		"base64":        {[]string{"Mcp-Name", "=?base64?dGVzdF9yZWFk?="}, 200},
		"other name":    {[]string{"Mcp-Name", "test_write"}, 400},
		"other base64":  {[]string{"Mcp-Name", "=?base64?dGVzdF93cml0ZQ==?="}, 400},
		"no name":       {nil, 400},
		"other method":  {[]string{"Mcp-Name", "test_read", "Mcp-Method", "tools/list"}, 400},
		"other version": {[]string{"Mcp-Name", "test_read", "Mcp-Protocol-Version", "2025-11-25"}, 400},
	} {
		resp := post(t, address, call, append([]string{"Mcp-Method", "tools/call"}, c.header...)...)
		got := body(t, resp)
		if resp.StatusCode != c.status || c.status == 400 && !strings.Contains(got, "-32020") {
			t.Errorf("%s: HTTP %d %s", name, resp.StatusCode, got)
		}
	}
}

// TestBearerStaysHere is R37: what the client sent reaches no tool and no log.
func TestBearerStaysHere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("http", true, capNone)
	isLink(t, c.call("test_read", `{}`))
	if strings.Contains(w.logs.String(), "Bearer") {
		t.Error("the bearer is in the log")
	}
}

// stream opens a long answer and gives its lines.
func stream(t *testing.T, resp *http.Response) <-chan string {
	t.Helper()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("HTTP %d: %s", resp.StatusCode, body(t, resp))
	}
	out := make(chan string, 100)
	go func() {
		defer close(out)
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				out <- data
			}
		}
	}()
	return out
}

// TestShutdown: with a listen stream, a stream of the 2025 era and a waiting
// call open, an http.Server shuts down, and the listen stream gets its final result.
func TestShutdown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, full)
	srv := httptest.NewServer(w.server.Handler())
	t.Cleanup(srv.Close)
	listen := strings.Replace(discover, `"server/discover","params":{`, `"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`, 1)
	modern := stream(t, post(t, srv.URL+"/mcp", listen, "Mcp-Method", "subscriptions/listen"))
	if ack := <-modern; !strings.Contains(ack, "notifications/subscriptions/acknowledged") {
		t.Fatalf("got %s", ack)
	}
	c := &client{t: t, caps: capURL, notes: make(chan answer, 10)}
	w.overHTTP(c, srv.URL, "alice")
	c.initialize()
	c.stream()
	m := &client{t: t, modern: true, caps: capURL, notes: make(chan answer, 10)}
	w.overHTTP(m, srv.URL, "alice")
	state := isInputRequired(t, m.call("test_read", `{}`)).RequestState
	waiting := async(m, "test_read", retryWith(state, "accept"))
	time.Sleep(100 * time.Millisecond) // it is under way; if not yet, it ends all the same
	done := make(chan error, 1)
	go func() {
		w.server.Shutdown()
		done <- srv.Config.Shutdown(t.Context())
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(9 * time.Second):
		t.Fatal("it hangs")
	}
	if final := <-modern; !strings.Contains(final, `"resultType":"complete"`) || !strings.Contains(final, `"id":1`) {
		t.Errorf("final result: %q", final)
	}
	if r := (<-waiting).tool(t); r.ResultType != "input_required" {
		t.Errorf("the waiting call got %+v", r)
	}
	for range c.notes { // ends when the stream has ended
	}
}

// TestListIsTheSame is R43: private, in one order, with all four annotations of every tool.
func TestListIsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("http", true, capNone)
	first := c.request("tools/list", "", `{}`)
	w.vault.give(alice.Caller, "google", calendarScope)
	second := c.request("tools/list", "", `{}`)
	if !bytes.Equal(first.Result, second.Result) {
		t.Error("two lists differ")
	}
	var list struct {
		CacheScope string
		TTL        *int `json:"ttlMs"`
		Tools      []struct {
			Name, Title  string
			InputSchema  json.RawMessage
			OutputSchema json.RawMessage
			Annotations  map[string]any
		}
	}
	if err := json.Unmarshal(first.Result, &list); err != nil {
		t.Fatal(err)
	}
	if list.CacheScope != "private" || list.TTL == nil || len(list.Tools) != 8 {
		t.Fatalf("got %s", first.Result)
	}
	for _, tool := range list.Tools {
		for _, hint := range []string{"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"} {
			if _, ok := tool.Annotations[hint].(bool); !ok {
				t.Errorf("%s: no %s", tool.Name, hint)
			}
		}
		if len(tool.InputSchema) == 0 || len(tool.OutputSchema) == 0 || tool.Title == "" {
			t.Errorf("%s lacks a schema or a title", tool.Name)
		}
	}
}
