package mcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lines runs a server on this input and answers its output, a message a line (R45).
func lines(t *testing.T, w *world, input string) []answer {
	t.Helper()
	var out bytes.Buffer
	if err := w.server.ServeStdio(t.Context(), strings.NewReader(input), &out); err != nil {
		t.Fatal(err)
	}
	var all []answer
	for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		var a answer
		if err := json.Unmarshal([]byte(line), &a); err != nil || !strings.Contains(line, `"jsonrpc":"2.0"`) {
			t.Fatalf("stdout holds %q", line)
		}
		a.raw = []byte(line)
		all = append(all, a)
	}
	return all
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// TestGarbage is R45: whatever comes in, out goes MCP, and the next request works.
func TestGarbage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := lines(t, w, strings.Join([]string{
		`not JSON`, ``, `   `, `[]`, `{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}`,
		`{"jsonrpc":"2.0","method":"notifications/unknown"}`, `{"jsonrpc":"2.0","id":77,"result":{}}`,
		strings.Repeat("x", 5<<20),
		`{"jsonrpc":"2.0","id":"last","method":"tools/list","params":{` + modernMeta + `}}`, // and no newline at the end
	}, "\n"))
	codes := map[int]int{}
	found := false
	for _, a := range got {
		if a.Error != nil {
			codes[a.Error.Code]++
		}
		found = found || string(a.ID) == `"last"` && a.Result != nil
	}
	if len(got) != 5 || codes[-32700] != 1 || codes[-32600] != 3 || !found {
		t.Errorf("%d messages, %v, list answered: %v", len(got), codes, found)
	}
}

// TestEndOfInput is R45: calls in flight answer after the end of the input, and
// one that waits for a person answers at once.
func TestEndOfInput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, full)
		call := func(id string) string {
			return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"test_read","arguments":{},` + modernMeta + `}}` + "\n"
		}
		var got []answer
		d := took(func() {
			got = lines(t, w, call("1")+call("2")+`{"jsonrpc":"2.0","id":3,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+modernMeta+`}}`)
		})
		if len(got) != 4 || d > time.Second {
			t.Fatalf("%d messages after %v", len(got), d)
		}
		for _, a := range got {
			switch string(a.ID) {
			case "1", "2":
				isLink(t, a)
			case "3":
				if !strings.Contains(string(a.Result), `"complete"`) {
					t.Errorf("listen ended with %s", a.raw)
				}
			default:
				if a.Method != "notifications/subscriptions/acknowledged" {
					t.Errorf("got %s", a.raw)
				}
			}
		}
	})
}

// TestStopped: when the process is told to stop, a client that keeps its end open does not hold it.
func TestStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in, keep := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.server.ServeStdio(ctx, in, io.Discard) }()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it hangs")
	}
	_ = keep.Close()
}

// TestTwoServers: two servers of one process share nothing.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	a, b := newWorld(t), newWorld(t)
	first, second := a.connect("stdio", false, capURL), b.connect("stdio", false, capNone)
	isURLRequired(t, first.call("test_read", `{}`))
	isLink(t, second.call("test_read", `{}`))
	a.vault.put("google", "done")
	isData(t, first.call("test_read", `{}`), "1000")
	isLink(t, second.call("test_read", `{}`))
}
