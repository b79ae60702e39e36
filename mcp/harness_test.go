package mcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

const publicURL = "http://127.0.0.1:8787"

var (
	alice = vault.Person{Caller: vault.Caller{Issuer: "https://issuer.example.com", Subject: "alice"}, Email: "alice@example.com"}
	bob   = vault.Person{Caller: vault.Caller{Issuer: "https://issuer.example.com", Subject: "bob"}, Email: "bob@example.com"}
	local = vault.Caller{Issuer: "local:v1", Subject: "1000"}
)

// world is one server with its vault.
type world struct {
	t      *testing.T
	vault  *fakeVault
	server *mcp.Server
	logs   *lockedBuffer
	opened chan string // links that the browser was opened for
	ran    chan string // names of tools that got a token
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// tokens are the bearers that the test's verifier takes.
type tokens map[string]vault.Person

func (v tokens) Verify(_ context.Context, raw string) (mcp.Bearer, error) {
	raw, scopes, _ := strings.Cut(raw, "+") // PERSON/AGENT+SCOPE+SCOPE
	name, agent, _ := strings.Cut(raw, "/")
	if raw == "down" {
		return mcp.Bearer{}, errors.New("getting keys: connection refused")
	}
	p, ok := v[name]
	if !ok {
		return mcp.Bearer{}, &mcp.TokenError{Check: "signature"}
	}
	if agent == "" {
		agent = "agent-1"
	}
	return mcp.Bearer{Person: p, Agent: vault.Agent{Issuer: p.Issuer, ID: agent}, Scopes: strings.FieldsFunc(scopes, func(r rune) bool { return r == '+' })}, nil
}

func newWorld(t *testing.T, change ...func(*mcp.Config)) *world {
	t.Helper()
	w := &world{t: t, vault: newFakeVault(t), logs: &lockedBuffer{}, opened: make(chan string, 10), ran: make(chan string, 1000)}
	cfg := mcp.Config{
		Open:        func(context.Context) (mcp.Vault, error) { return w.vault, nil },
		Tools:       w.tools(),
		Connections: map[string]string{"google": "google", "slack": "slack"},
		PublicURL:   publicURL,
		Issuers:     []string{alice.Issuer},
		Verifier:    tokens{"alice": alice, "bob": bob},
		Records:     w.vault.records(),
		Local:       &vault.Person{Caller: vault.Caller{Subject: "1000"}, Name: "me"},
		OpenBrowser: func(link string) error { w.opened <- link; return nil },
		Version:     "test",
		WaitFor:     300 * time.Millisecond,
		Logger:      slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if w.server, err = mcp.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.server.Shutdown)
	t.Cleanup(func() {
		if strings.Contains(w.logs.String(), canary) {
			t.Error("a token is in the log")
		}
	})
	return w
}

type noteArguments struct {
	Text string `json:"text,omitempty" jsonschema:"any" schema:"maxLength=20"`
}

type noteResult struct {
	Account string `json:"account"`
	Text    string `json:"text"`
}

// tools are a reader, a writer, one that removes, one that panics, and one whose API asks for more.
func (w *world) tools() []tools.Tool {
	need := provider.Need{Provider: "google", Groups: [][]string{{calendarScope}}}
	ran := func(name string) func(context.Context, *tools.Client, noteArguments) (noteResult, error) {
		return func(_ context.Context, c *tools.Client, in noteArguments) (noteResult, error) {
			w.ran <- name
			return noteResult{Account: c.Account, Text: in.Text}, nil
		}
	}
	panics := func(context.Context, *tools.Client, noteArguments) (noteResult, error) { panic("secret " + canary) }
	wider := func(_ context.Context, c *tools.Client, _ noteArguments) (noteResult, error) {
		w.vault.mu.Lock()
		n := len(w.vault.tickets)
		w.vault.mu.Unlock()
		if n == 0 {
			return noteResult{}, &provider.ScopeError{Provider: "google", Scopes: []string{"https://www.googleapis.com/auth/calendar", "made-up-scope"}}
		}
		return noteResult{Account: c.Account}, nil
	}
	return []tools.Tool{
		tools.Define(tools.Read, "test_read", "Read", "Reads.", tools.Via(need, ran("test_read"))),
		tools.Define(tools.Write, "test_write", "Write", "Writes.", tools.Via(need, ran("test_write"))),
		tools.Define(tools.Destroy, "test_destroy", "Destroy", "Removes.", tools.Via(need, ran("test_destroy"))),
		tools.Define(tools.Read, "test_panic", "Panic", "Panics.", tools.Via(need, panics)),
		tools.Define(tools.Read, "test_wider", "Wider", "Needs more.", tools.Via(need, wider)),
		tools.Define(tools.Read, "slack_read", "Slack", "Reads elsewhere.", tools.Via(provider.Need{Provider: "slack", Groups: [][]string{{"chat:write"}}}, ran("slack_read"))),
	}
}

// answer is a JSON-RPC response.
type answer struct {
	Status int             `json:"-"`
	Header http.Header     `json:"-"`
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"` // of a notification
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    struct {
			Elicitations []elicitation `json:"elicitations"`
		} `json:"data"`
	} `json:"error"`
	raw []byte
}

type elicitation struct {
	Mode          string `json:"mode"`
	URL           string `json:"url"`
	Message       string `json:"message"`
	ElicitationID string `json:"elicitationId"`
}

// toolResult is the result of tools/call.
type toolResult struct {
	ResultType string `json:"resultType"`
	IsError    bool   `json:"isError"`
	Content    []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"content"`
	Structured    json.RawMessage `json:"structuredContent"`
	RequestState  string          `json:"requestState"`
	InputRequests map[string]struct {
		Method string      `json:"method"`
		Params elicitation `json:"params"`
	} `json:"inputRequests"`
	Meta map[string]json.RawMessage `json:"_meta"`
}

func (r toolResult) text() string {
	if len(r.Content) == 0 {
		return ""
	}
	return r.Content[0].Text
}

// serveHTTP starts the endpoint and answers its address.
func (w *world) serveHTTP() string {
	w.t.Helper()
	srv := httptest.NewServer(w.server.Handler())
	w.t.Cleanup(srv.Close)
	w.t.Cleanup(w.server.Shutdown) // before Close, which waits for streams
	return srv.URL
}

// serveStdio starts the server on pipes; end closes the input and waits.
func (w *world) serveStdio() (send func([]byte), lines <-chan []byte, end func()) {
	w.t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- w.server.ServeStdio(context.WithoutCancel(w.t.Context()), inR, outW)
		_ = outW.Close()
	}()
	out := make(chan []byte, 1000)
	go func() {
		defer close(out)
		d := json.NewDecoder(outR)
		for {
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				if !errors.Is(err, io.EOF) {
					w.t.Errorf("stdout holds something else than MCP: %v", err)
				}
				return
			}
			out <- raw
		}
	}()
	end = sync.OnceFunc(func() {
		_ = inW.Close()
		if err := <-done; err != nil {
			w.t.Errorf("serving stdio: %v", err)
		}
	})
	w.t.Cleanup(end)
	return func(raw []byte) {
		if _, err := inW.Write(append(raw, '\n')); err != nil {
			w.t.Errorf("writing: %v", err)
		}
	}, out, end
}
