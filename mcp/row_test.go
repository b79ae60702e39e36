package mcp_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// who is the caller of a transport.
func who(transport string) vault.Caller {
	if transport == "stdio" {
		return local
	}
	return alice.Caller
}

// TestRows is R15: what a client gets when a person is needed, for each era,
// capability and transport, and that the next call works when the person is done.
func TestRows(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"stdio", "http"} {
		for _, modern := range []bool{true, false} {
			for name, caps := range map[string]string{"url": capURL, "form": capForm, "none": capNone} {
				t.Run(fmt.Sprintf("%s modern=%v %s", transport, modern, name), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					c := w.connect(transport, modern, caps)
					a := c.call("test_read", `{"text":"a"}`)
					switch {
					case modern && caps == capURL:
						isInputRequired(t, a)
					case caps == capURL:
						isURLRequired(t, a)
					default:
						isLink(t, a)
					}
					w.vault.put("google", vault.TicketDone)
					isData(t, c.call("test_read", `{"text":"a"}`), who(transport).Subject)
					if caps == capURL && len(w.opened) > 0 {
						t.Error("the browser was opened for a client that asks by itself")
					}
				})
			}
		}
	}
}

const link = publicURL + "/consent/handle-of-t1"

func isInputRequired(t *testing.T, a answer) toolResult {
	t.Helper()
	r := a.tool(t)
	ask := r.InputRequests["consent"]
	if r.ResultType != "input_required" || ask.Method != "elicitation/create" || ask.Params.Mode != "url" ||
		!strings.HasPrefix(ask.Params.URL, publicURL+"/consent/") || ask.Params.ElicitationID != "" || r.RequestState == "" || r.IsError {
		t.Fatalf("want input_required with a URL elicitation, got %s", a.raw)
	}
	if !strings.Contains(ask.Params.Message, "oogle") || !strings.Contains(ask.Params.Message, "calendar") {
		t.Errorf("message %q does not name connection and scope", ask.Params.Message)
	}
	return r
}

func isURLRequired(t *testing.T, a answer) elicitation {
	t.Helper()
	if a.Error == nil || a.Error.Code != -32042 || len(a.Error.Data.Elicitations) != 1 {
		t.Fatalf("want -32042, got %s", a.raw)
	}
	e := a.Error.Data.Elicitations[0]
	if e.Mode != "url" || !strings.HasPrefix(e.URL, publicURL+"/consent/") || e.ElicitationID == "" || strings.Contains(e.URL, e.ElicitationID) {
		t.Fatalf("bad elicitation %+v", e)
	}
	return e
}

func isLink(t *testing.T, a answer) toolResult {
	t.Helper()
	r := a.tool(t)
	text := r.text()
	if !r.IsError || len(r.InputRequests) > 0 || len(text) >= 700 {
		t.Fatalf("want a short link as text, got %s", a.raw)
	}
	if !slices.Contains(strings.Split(text, "\n"), link) {
		t.Errorf("no line that is the link alone: %q", text)
	}
	if !strings.Contains(strings.ToLower(text), "show this link unchanged, do not open it, then call again") {
		t.Errorf("it does not say what to do: %q", text)
	}
	var meta struct {
		URL, Connection, Reason string
		Scopes                  []string
		Expires                 time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal(r.Meta["io.github.grantry/consent"], &meta); err != nil {
		t.Fatalf("_meta: %v in %s", err, a.raw)
	}
	if meta.URL != link || meta.Connection != "google" || meta.Reason != "not_connected" || !slices.Equal(meta.Scopes, []string{calendarScope}) || meta.Expires.IsZero() {
		t.Errorf("_meta is %+v", meta)
	}
	return r
}

func isData(t *testing.T, a answer, subject string) {
	t.Helper()
	r := a.tool(t)
	var got struct{ Account, Text string }
	if r.IsError || json.Unmarshal(r.Structured, &got) != nil || got.Account != subject+"@example.com" {
		t.Fatalf("want %s's data, got %s", subject, a.raw)
	}
	if r.text() != string(r.Structured) {
		t.Errorf("text %q is not the structured content %s", r.text(), r.Structured)
	}
}

func isText(t *testing.T, a answer, contains string) string {
	t.Helper()
	r := a.tool(t)
	if !r.IsError || len(r.InputRequests) > 0 || r.ResultType == "input_required" || !strings.Contains(r.text(), contains) {
		t.Fatalf("want an error with %q, got %s", contains, a.raw)
	}
	return r.text()
}

// TestBrowserOnce: in the text row a desktop's browser is opened, once for a ticket.
func TestBrowserOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("stdio", false, capNone)
	isLink(t, c.call("test_read", `{}`))
	isLink(t, c.call("test_read", `{}`))
	if len(w.opened) != 1 {
		t.Fatalf("the browser was opened %d times", len(w.opened))
	}
	if got := <-w.opened; got != link {
		t.Errorf("opened %q", got)
	}
}

// TestNoBrowserOverHTTP: the machine of the server is not the person's.
func TestNoBrowserOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	isLink(t, w.connect("http", false, capNone).call("test_read", `{}`))
	if len(w.opened) != 0 {
		t.Error("the browser was opened")
	}
}

// TestOldProtocolGetsText: URL elicitation came with 2025-11-25; whoever
// negotiates an older one gets text whatever it declares.
func TestOldProtocolGetsText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &client{t: t, caps: capURL, notes: make(chan answer, 10)}
	w.overStdio(c)
	a := c.request("initialize", "", `{"protocolVersion":"2025-06-18","capabilities":`+capURL+`,"clientInfo":{"name":"old","version":"1"}}`)
	if !strings.Contains(string(a.Result), `"protocolVersion":"2025-06-18"`) {
		t.Fatalf("initialize: %s", a.raw)
	}
	isLink(t, c.call("test_read", `{}`))
}

// TestErasDoNotMix: what a modern message declares holds for it alone, also in
// a process where a 2025-era client has initialized without it.
func TestErasDoNotMix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("stdio", false, capNone)
	c.modern, c.caps = true, capURL
	isInputRequired(t, c.call("test_read", `{}`))
	c.modern = false
	isLink(t, c.call("test_read", `{}`))
	c.modern, c.caps = true, capNone
	isLink(t, c.call("test_read", `{}`))
}
