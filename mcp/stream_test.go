package mcp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

// ending proves alice until told otherwise.
type ending struct {
	expires time.Time
	gone    atomic.Pointer[error]
	proved  atomic.Int32
}

func (e *ending) Verify(context.Context, string) (mcp.Bearer, error) {
	e.proved.Add(1)
	if err := e.gone.Load(); err != nil {
		return mcp.Bearer{}, *err
	}
	return mcp.Bearer{Person: alice, Agent: vault.Agent{Issuer: alice.Issuer, ID: "agent-1"}, Expires: e.expires}, nil
}

// raw opens a stream and gives every line of it.
func rawLines(t *testing.T, resp *http.Response) <-chan string {
	t.Helper()
	if resp.StatusCode != 200 {
		t.Fatalf("HTTP %d", resp.StatusCode)
	}
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			out <- lines.Text()
		}
	}()
	return out
}

func listening() string {
	return strings.Replace(discover, `"server/discover","params":{`, `"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`, 1)
}

func quick(v mcp.TokenVerifier) func(*mcp.Config) {
	return func(c *mcp.Config) { c.Verifier, c.Pulse = v, 20*time.Millisecond }
}

// TestR44StreamsEnd: a stream of either era ends soon after its token does, or
// after the issuer no longer stands by it; a listen stream with its final result.
// That the issuer cannot be reached ends nothing.
func TestR44StreamsEnd(t *testing.T) {
	t.Parallel()
	refused, down := error(&mcp.TokenError{Check: "not active"}), errors.New("connection refused")
	for name, end := range map[string]func(*ending){
		"expired":  func(e *ending) {},
		"disabled": func(e *ending) { e.gone.Store(&refused) },
	} {
		for _, modern := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s modern=%t", name, modern), func(t *testing.T) {
				t.Parallel()
				e := &ending{}
				if name == "expired" {
					e.expires = time.Now().Add(500 * time.Millisecond)
				}
				w := newWorld(t, quick(e))
				lines := rawLines(t, w.open(modern))
				e.gone.Store(&down)
				for n := e.proved.Load(); e.proved.Load() < n+3 && name == "disabled"; {
					time.Sleep(5 * time.Millisecond) // looked after, and still open
				}
				end(e)
				all := collect(t, lines)
				if modern != strings.Contains(all, `"resultType":"complete"`) {
					t.Errorf("it ended with %q", all)
				}
			})
		}
	}
}

// open opens a stream of an era as alice.
func (w *world) open(modern bool) *http.Response {
	address := w.serveHTTP() + "/mcp"
	if modern {
		return post(w.t, address, listening(), "Mcp-Method", "subscriptions/listen")
	}
	id := send(w.t, http.MethodPost, address, initialize, "Content-Type", "application/json", "Authorization", "Bearer alice").Header.Get("Mcp-Session-Id")
	return send(w.t, http.MethodGet, address, "", "Accept", "text/event-stream", "Authorization", "Bearer alice", "Mcp-Session-Id", id)
}

// collect reads a stream to its end, which must come.
func collect(t *testing.T, lines <-chan string) string {
	t.Helper()
	var all strings.Builder
	late := time.After(10 * time.Second)
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				return all.String()
			}
			all.WriteString(l + "\n")
		case <-late:
			t.Fatalf("the stream is still open, after %q", all.String())
		}
	}
}

// TestKeepAlive: a quiet stream of either era has a comment now and then.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	for _, modern := range []bool{true, false} {
		w := newWorld(t, quick(&ending{}))
		lines := rawLines(t, w.open(modern))
		for n := 0; n < 3; {
			select {
			case l := <-lines:
				if l == ": keep-alive" {
					n++
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("modern=%t: no comment", modern)
			}
		}
	}
}

// TestCompleteElsewhere: the notice of completion reaches the process that holds the
// stream, whichever gave the link, also when the stream is opened later.
func TestCompleteElsewhere(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		one := newWorld(t)
		two := one.replica()
		here, there := one.serveHTTP()+"/mcp", two.serveHTTP()+"/mcp"
		headers := []string{"Content-Type", "application/json", "Accept", "application/json, text/event-stream", "Authorization", "Bearer alice"}
		declaring := strings.Replace(initialize, `"capabilities":{}`, `"capabilities":{"elicitation":{"url":{}}}`, 1)
		headers = append(headers, "Mcp-Session-Id", send(t, http.MethodPost, here, declaring, headers...).Header.Get("Mcp-Session-Id"))
		open := func() <-chan string { return stream(t, send(t, http.MethodGet, there, "", headers...)) }
		var events <-chan string
		if !late {
			events = open()
		}
		got := body(t, send(t, http.MethodPost, here, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"test_read","arguments":{}}}`, headers...))
		_, id, _ := strings.Cut(got, `"elicitationId":"`)
		id, _, _ = strings.Cut(id, `"`)
		one.vault.put("google", vault.TicketDone)
		if late {
			events = open()
		}
		select {
		case n := <-events:
			if id == "" || !strings.Contains(n, "notifications/elicitation/complete") || !strings.Contains(n, id) {
				t.Errorf("got %s, want %q", n, id)
			}
		case <-time.After(10 * time.Second):
			t.Error("no notice came")
		}
	}
}

// TestRetryAfter: a caller over its limit is told when to come again.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *mcp.Config) { c.Limits = mcp.Limits{CallsPerMinute: 2} })
	w.vault.give(alice.Caller, "google", calendarScope)
	address := w.serveHTTP() + "/mcp"
	call := strings.Replace(discover, `"method":"server/discover","params":{`, `"method":"tools/call","params":{"name":"test_read","arguments":{},`, 1)
	for n := range 3 {
		resp := post(t, address, call, "Mcp-Method", "tools/call", "Mcp-Name", "test_read")
		got, after := body(t, resp), resp.Header.Get("Retry-After")
		if n < 2 && after != "" || n == 2 && (after != "30" && after != "29" || !strings.Contains(got, "Wait "+after+" seconds")) {
			t.Errorf("call %d: Retry-After %q, %s", n+1, after, got)
		}
	}
}

// TestRetryAfterLinks: the same for links; where only a person can make room, no time is named.
func TestRetryAfterLinks(t *testing.T) {
	t.Parallel()
	call := strings.Replace(discover, `"method":"server/discover","params":{`, `"method":"tools/call","params":{"name":"test_read","arguments":{},`, 1)
	for what, until := range map[string]time.Time{"tickets_per_hour": time.Now().Add(time.Hour), "open_tickets": {}} {
		w := newWorld(t)
		w.vault.err = &vault.LimitError{What: what, Max: 3, Until: until}
		resp := post(t, w.serveHTTP()+"/mcp", call, "Mcp-Method", "tools/call", "Mcp-Name", "test_read")
		got, after := body(t, resp), resp.Header.Get("Retry-After")
		if timed := after == "3600" || after == "3599"; timed == until.IsZero() || !strings.Contains(got, what) || strings.Contains(got, "0001") {
			t.Errorf("%s: Retry-After %q, %s", what, after, got)
		}
	}
}
