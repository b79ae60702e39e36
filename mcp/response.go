package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

// sink is where what belongs to one request goes beside its answer.
type sink interface {
	// notify writes a notification at once, before whatever is written next.
	notify(n mcpgo.JSONRPCNotification)
	// later says when a request that was refused for its number may come again.
	later(d time.Duration)
}

type sinkKey struct{}

func withSink(ctx context.Context, to sink) context.Context {
	return context.WithValue(ctx, sinkKey{}, to)
}

func sinkOf(ctx context.Context) (sink, bool) {
	to, ok := ctx.Value(sinkKey{}).(sink)
	return to, ok
}

func notification(method mcpgo.MCPMethod, params map[string]any) mcpgo.JSONRPCNotification {
	return mcpgo.JSONRPCNotification{
		JSONRPC:      mcpgo.JSONRPC_VERSION,
		Notification: mcpgo.Notification{Method: string(method), Params: mcpgo.NotificationParams{AdditionalFields: params}},
	}
}

// response writes the answer to one HTTP request. The first notification makes
// it an event stream; what mcp-go then means as a JSON body becomes its last event.
type response struct {
	http.ResponseWriter

	mu     sync.Mutex
	wrote  bool // the header
	stream bool // the answer is an event stream
	wrap   bool // what is written is JSON and goes into an event
	over   bool // nothing may be written any more
}

// streamed gives each request a response of ours, see [response].
func streamed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := &response{ResponseWriter: w}
		defer own.end()
		next.ServeHTTP(own, r.WithContext(withSink(r.Context(), own)))
	})
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.header(status)
}

func (w *response) header(status int) {
	events := strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream")
	if w.wrote {
		w.wrap = w.stream && !events
		return
	}
	w.wrote, w.stream = true, events
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.wrote {
		w.header(http.StatusOK)
	}
	if !w.wrap {
		return w.ResponseWriter.Write(p)
	}
	if _, err := w.event(bytes.TrimSpace(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *response) event(data []byte) (int, error) {
	n, err := fmt.Fprintf(w.ResponseWriter, "event: message\ndata: %s\n\n", data)
	w.flush()
	return n, err
}

// Flush implements http.Flusher.
func (w *response) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush()
}

func (w *response) flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

func (w *response) notify(n mcpgo.JSONRPCNotification) {
	raw, err := json.Marshal(n)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || w.over || w.wrote && !w.stream {
		return
	}
	if !w.wrote {
		w.Header().Set("Content-Type", "text/event-stream")
		w.header(http.StatusOK)
	}
	_, _ = w.event(raw)
}

func (w *response) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.wrote {
		w.Header().Set("Retry-After", strconv.Itoa(wholeSeconds(d)))
	}
}

// wholeSeconds rounds up: nobody comes back too early.
func wholeSeconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }

// comment keeps a quiet stream alive: proxies and clients drop one without bytes.
func (w *response) comment() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stream && !w.over {
		_, _ = w.ResponseWriter.Write([]byte(": keep-alive\n\n"))
		w.flush()
	}
}

// end is when the handler has returned, after which net/http owns the connection again.
func (w *response) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}
