package mcp_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/grantry/grantry/mcp"
)

// TestMistakesInMessages: a request that is not one of the protocol's gets an
// error that says what is wrong, under its id where it has one.
func TestMistakesInMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := w.serveHTTP() + "/mcp"
	for _, c := range []struct{ message, id, says string }{
		{`{"jsonrpc":"2.0","id":null,"method":"ping"}`, "null", "must be a string or a number"},
		{`{"jsonrpc":"2.0","id":{},"method":"ping"}`, "null", "must be a string or a number"},
		{`{"jsonrpc":"2.0","id":true,"method":"ping"}`, "null", "must be a string or a number"},
		{`{"jsonrpc":"2.0","id":7}`, "null", "not one JSON-RPC object"},
		{`[]`, "null", "no batch"},
		{`{"jsonrpc":"2.0","id":7,"method":"tools/list","params":[1]}`, "7", "params must be an object"},
		{`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":5}}`, `"a"`, "params.name must be a string"},
		{`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"test_read","requestState":5}}`, "7", "params.requestState must be a string"},
		{`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"test_read","inputResponses":[]}}`, "7", "params.inputResponses must be an object"},
		{`{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":5}}`, "7", "params.protocolVersion must be a string"},
	} {
		if resp := post(t, address, c.message); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: HTTP %d", c.message, resp.StatusCode)
		} else if got := body(t, resp); !strings.Contains(got, `"id":`+c.id+`,`) || !strings.Contains(got, c.says) {
			t.Errorf("%s: %s", c.message, got)
		}
		got := lines(t, newWorld(t), c.message)
		if len(got) != 1 || got[0].Error == nil || string(got[0].ID) != c.id || !strings.Contains(got[0].Error.Message, c.says) {
			t.Errorf("stdio: %s: %+v", c.message, got)
		}
	}
}

// TestNotificationsGetNoAnswer, whatever is wrong with them (JSON-RPC 2.0 §4.1).
func TestNotificationsGetNoAnswer(t *testing.T) {
	t.Parallel()
	got := lines(t, newWorld(t), `{"jsonrpc":"2.0","method":"notifications/cancelled","params":[1]}`+"\n"+`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if len(got) != 1 || string(got[0].ID) != "1" {
		t.Errorf("%d messages, the first %s", len(got), got[0].raw)
	}
}

// TestWhatThereIsNot: a tool and a page of the list that there is not are named, with what there is.
func TestWhatThereIsNot(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"stdio", "http"} {
		for _, modern := range []bool{true, false} {
			c := newWorld(t).connect(transport, modern, capURL)
			a := c.call("no_such_tool", `{}`)
			if a.Error == nil || a.Error.Code != -32602 || !strings.Contains(a.Error.Message, `"no_such_tool"`) || !strings.Contains(a.Error.Message, "connections_list") {
				t.Errorf("%s: %s", transport, a.raw)
			}
			if a := c.call(strings.Repeat("x", 5000), `{}`); a.Error == nil || len(a.Error.Message) > 500 {
				t.Errorf("%s: %d bytes", transport, len(a.raw))
			}
			a = c.request("tools/list", "", `{"cursor":"x!"}`)
			if a.Error == nil || a.Error.Code != -32602 || !strings.Contains(a.Error.Message, "leave it out") {
				t.Errorf("%s: %s", transport, a.raw)
			}
		}
	}
}

// TestMethods: streamable HTTP is GET, POST and DELETE.
func TestMethods(t *testing.T) {
	t.Parallel()
	address := newWorld(t).serveHTTP() + "/mcp"
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodHead} {
		req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer alice")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, POST, DELETE" {
			t.Errorf("%s: HTTP %d, Allow %q", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
}

// TestOwnWayLeadsToThePages: where they are now, not where they should be.
func TestOwnWayLeadsToThePages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *mcp.Config) {
		c.PublicURL = "http://127.0.0.1:0"
		c.Pages = func(context.Context) (string, error) { return publicURL, nil }
	})
	c := w.connect("stdio", true, capURL)
	state := isInputRequired(t, c.call("test_read", `{}`)).RequestState
	isText(t, c.call("test_read", `{}`, retryWith(state, "decline")), " at "+publicURL+"/connections")
	isText(t, c.call("test_read", `{}`), " at "+publicURL+"/connections")
}
