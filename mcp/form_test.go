package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// formParams is a form elicitation.
type formParams struct {
	Mode, Message   string
	URL             string
	RequestedSchema struct {
		Type       string
		Required   []string
		Properties struct {
			Decision struct {
				Type string
				Enum []string
			}
		}
	}
}

// isForm is the form that an input_required result asks to show.
func isForm(t *testing.T, a answer) (formParams, string) {
	t.Helper()
	var r struct {
		ResultType    string
		RequestState  string
		InputRequests map[string]struct {
			Method string
			Params formParams
		}
	}
	if err := json.Unmarshal(a.Result, &r); err != nil || r.ResultType != "input_required" || r.RequestState == "" {
		t.Fatalf("want a form, got %s", a.raw)
	}
	ask := r.InputRequests["consent"]
	if ask.Method != "elicitation/create" || ask.Params.Mode != "form" || ask.Params.URL != "" || ask.Params.RequestedSchema.Type != "object" {
		t.Fatalf("want a form, got %s", a.raw)
	}
	return ask.Params, r.RequestState
}

func retryForm(state, action, decision string) string {
	return fmt.Sprintf(`"requestState":%q,"inputResponses":{"consent":{"action":%q,"content":{"decision":%q}}}`, state, action, decision)
}

// TestForm: a modern client on this desktop shows the question itself; a yes runs exactly this call, once.
func TestForm(t *testing.T) {
	t.Parallel()
	for _, caps := range []string{capForm, capURL} {
		w := newWorld(t)
		w.vault.give(local, "google", calendarScope)
		c := w.connect("stdio", true, caps)
		form, state := isForm(t, c.call("test_write", `{"text":"Hello, \"world\" ü"}`))
		for _, said := range []string{"test_write", "Write", "1000@example.com", "wire", `text: Hello, "world" ü`} {
			if !strings.Contains(form.Message, said) {
				t.Errorf("%q does not say %q", form.Message, said)
			}
		}
		if got := fmt.Sprint(form.RequestedSchema.Properties.Decision.Enum, form.RequestedSchema.Required); got != "[once hour today decline] [decision]" {
			t.Errorf("it offers %s", got)
		}
		isText(t, c.call("test_write", `{"text":"other"}`, retryForm(state, "accept", "once")), "requestState")
		isData(t, c.call("test_write", `{"text":"Hello, \"world\" ü"}`, retryForm(state, "accept", "once")), "1000")
		w.ranOnce("test_write")
		isText(t, c.call("test_write", `{"text":"Hello, \"world\" ü"}`, retryForm(state, "accept", "once")), "already ran at")
		isForm(t, c.call("test_write", `{"text":"Hello, \"world\" ü"}`))
		if len(w.ran) != 0 || len(w.opened) != 0 {
			t.Error("it ran twice, or the browser was opened")
		}
	}
}

// An hour's yes lets further calls of this tool run; what removes is asked about each time, and is not offered more.
func TestFormForAWhile(t *testing.T) {
	bubble(t, true, capForm, func(t *testing.T, w *world, c *client) {
		w.vault.give(local, "google", calendarScope)
		_, state := isForm(t, c.call("test_write", `{"text":"a"}`))
		isData(t, c.call("test_write", `{"text":"a"}`, retryForm(state, "accept", "hour")), "1000")
		isData(t, c.call("test_write", `{"text":"b"}`), "1000")
		if r := w.vault.requests[len(w.vault.requests)-1]; r.Approval != "st_test_write" {
			t.Errorf("asked as %+v", r)
		}
		form, state := isForm(t, c.call("test_destroy", `{"text":"a"}`))
		if got := fmt.Sprint(form.RequestedSchema.Properties.Decision.Enum); got != "[once decline]" {
			t.Errorf("it offers %s", got)
		}
		isText(t, c.call("test_destroy", `{"text":"a"}`, retryForm(state, "accept", "hour")), "without an answer")
		time.Sleep(time.Hour)
		isForm(t, c.call("test_write", `{"text":"b"}`))
	})
}

// A no ends it, a closed dialog does not run, and neither is turned into a yes by an answer that comes afterwards.
func TestR79FormAnswerAfterNo(t *testing.T) {
	for _, no := range [][2]string{{"decline", ""}, {"cancel", ""}, {"accept", "decline"}, {"accept", "yes"}, {"accept", ""}} {
		t.Run(no[0]+" "+no[1], func(t *testing.T) {
			bubble(t, true, capForm, func(t *testing.T, w *world, c *client) {
				w.vault.give(local, "google", calendarScope)
				_, state := isForm(t, c.call("test_write", `{}`))
				isText(t, c.call("test_write", `{}`, retryForm(state, no[0], no[1])), "did not run")
				c.call("test_write", `{}`, retryForm(state, "accept", "once"))
				time.Sleep(time.Minute)
				c.call("test_write", `{}`, retryForm(state, "accept", "once"))
				if len(w.ran) != 0 {
					t.Error("it ran")
				}
			})
		})
	}
}

// TestFormOnlyWhereItMay: elsewhere, and for what a dialog cannot show as it is, there is the page; and an answer there is no yes.
func TestFormOnlyWhereItMay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ transport, caps, args string }{
		"over HTTP": {"http", capURL, `{"text":"a"}`}, "not declared": {"stdio", `{"elicitation":{"url":{}}}`, `{"text":"a"}`},
		"bidi": {"stdio", capURL, `{"text":"a\u202eb"}`}, "control": {"stdio", capURL, `{"text":"a\nb"}`}, "unseen": {"stdio", capURL, `{"text":"a\u200bb"}`},
		"filler": {"stdio", capURL, `{"text":"a\u3164b"}`}, "combining": {"stdio", capURL, `{"text":"a\u0301"}`}, "long": {"stdio", capURL, `{"text":"` + strings.Repeat("x", 995) + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, longTool)
			w.vault.give(who(c.transport), "google", calendarScope)
			client := w.connect(c.transport, true, c.caps)
			r := client.call("long_write", c.args).tool(t)
			if r.InputRequests["consent"].Params.Mode != "url" {
				t.Fatalf("want the page, got %+v", r)
			}
			again := client.call("long_write", c.args, retryForm(r.RequestState, "accept", "once")).tool(t)
			if again.ResultType != "input_required" || len(again.InputRequests) != 0 {
				t.Errorf("the answer to a link counted: %+v", again)
			}
		})
	}
}

// longTool adds a writer that takes long texts.
func longTool(c *mcp.Config) {
	type long struct {
		Text string `json:"text" schema:"maxLength=2000"`
	}
	need := provider.Need{Provider: "google", Groups: [][]string{{calendarScope}}}
	c.Tools = append(c.Tools, tools.Define(tools.Write, "long_write", "Long", "Writes.", tools.Via(need, longWrite[long])))
}

func longWrite[In any](context.Context, *tools.Client, In) (noteResult, error) {
	return noteResult{}, nil
}

// TestFormInTheSession: a client of the 2025 era is asked by a request of the server, while its call waits.
func TestFormInTheSession(t *testing.T) {
	t.Parallel()
	for result, says := range map[string]string{
		`"result":{"action":"accept","content":{"decision":"once"}}`:    "",
		`"result":{"action":"accept","content":{"decision":"today"}}`:   "",
		`"result":{"action":"decline"}`:                                 "The person declined this call of test_write",
		`"result":{"action":"accept","content":{"decision":"decline"}}`: "The person declined this call of test_write",
		`"result":{"action":"cancel"}`:                                  "without an answer",
		`"error":{"code":-32601,"message":"canary"}`:                    "show this link unchanged",
	} {
		w := newWorld(t)
		w.vault.give(local, "google", calendarScope)
		c := w.connect("stdio", false, capForm)
		asked := make(chan formParams, 1)
		c.dialog = func(raw json.RawMessage) string {
			var p formParams
			if err := json.Unmarshal(raw, &p); err != nil || p.Mode != "form" {
				t.Errorf("%v: %s", err, raw)
			}
			asked <- p
			return result
		}
		a := c.call("test_write", `{"text":"a"}`)
		if got := <-asked; !strings.Contains(got.Message, "text: a") || len(got.RequestedSchema.Properties.Decision.Enum) != 4 {
			t.Errorf("asked %+v", got)
		}
		if says != "" {
			isText(t, a, says)
			if len(w.ran) != 0 {
				t.Errorf("%s: it ran", result)
			}
			continue
		}
		isData(t, a, "1000")
		w.ranOnce("test_write")
	}
}

// TestR79SessionAnswerAfterCancellation: a call that its client gave up while
// it asked does not run by an answer that comes too late; and the client is told not to ask on.
func TestR79SessionAnswerAfterCancellation(t *testing.T) {
	bubble(t, false, capForm, func(t *testing.T, w *world, c *client) {
		w.vault.give(local, "google", calendarScope)
		late := make(chan struct{})
		c.dialog = func(json.RawMessage) string {
			<-late
			return `"result":{"action":"accept","content":{"decision":"once"}}`
		}
		waiting := async(c, "test_write")
		time.Sleep(time.Second)
		c.note([]byte(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`))
		if n := <-c.notes; n.Method != "notifications/cancelled" || !strings.Contains(string(n.Params), `"requestId":"grantry-1"`) {
			t.Errorf("told %s", n.raw)
		}
		close(late)
		time.Sleep(time.Minute)
		if len(w.ran) != 0 {
			t.Error("it ran")
		}
		c.abandon("2")
		<-waiting
	})
}

// The page and the dialog ask the same question: an answer on one ends the other.
func TestAnswerOnThePageEndsTheDialog(t *testing.T) {
	for state, says := range map[vault.TicketState]string{vault.TicketDone: "", vault.TicketDeclined: "declined"} {
		t.Run(string(state), func(t *testing.T) {
			bubble(t, false, capForm, func(t *testing.T, w *world, c *client) {
				w.vault.give(local, "google", calendarScope)
				c.dialog = func(json.RawMessage) string { return "" }
				waiting := async(c, "test_write")
				time.Sleep(time.Second)
				isText(t, c.call("test_write", `{}`), "Still pending") // no second dialog for the same call
				w.vault.put("google", state)
				if says == "" {
					isData(t, <-waiting, "1000")
				} else {
					isText(t, <-waiting, says)
				}
			})
		})
	}
}
