package mcp_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

// asksFirst fails the test unless the call asks its person in this client's way and nothing ran.
func (w *world) asksFirst(c *client, a answer) toolResult {
	w.t.Helper()
	if len(w.ran) != 0 {
		w.t.Fatal("it ran")
	}
	if a.Error != nil {
		isURLRequired(w.t, a)
		return toolResult{}
	}
	r := a.tool(w.t)
	if c.modern && c.caps == capURL {
		ask := r.InputRequests["consent"].Params
		if r.ResultType != "input_required" || ask.Mode != "url" || !strings.HasPrefix(ask.URL, publicURL) {
			w.t.Fatalf("want a URL elicitation, got %s", a.raw)
		}
		return r
	}
	if !r.IsError || !strings.Contains(strings.ToLower(r.text()), "show this link unchanged, do not open it, then call again") || len(r.text()) >= 700 {
		w.t.Fatalf("want a link, got %s", a.raw)
	}
	return r
}

var approvalID = regexp.MustCompile(`"approval": "(ap_\w+)" alone`)

// idIn is the approval that a text names.
func idIn(t *testing.T, a answer) string {
	t.Helper()
	m := approvalID.FindStringSubmatch(a.tool(t).text())
	if m == nil {
		t.Fatalf("no approval is named: %s", a.raw)
	}
	return m[1]
}

// ranOnce fails the test unless exactly this tool ran since the last look.
func (w *world) ranOnce(tool string) {
	w.t.Helper()
	if len(w.ran) != 1 {
		w.t.Fatalf("%d tools ran, want %s", len(w.ran), tool)
	}
	if got := <-w.ran; got != tool {
		w.t.Errorf("%s ran, not %s", got, tool)
	}
}

// A write asks first, in the client's row; after the yes the same call runs, once.
func TestApprovalInEachRow(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"stdio", "http"} {
		for _, modern := range []bool{true, false} {
			for name, caps := range map[string]string{"url": capURL, "none": capNone} {
				t.Run(fmt.Sprintf("%s modern=%v %s", transport, modern, name), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					w.vault.give(who(transport), "google", calendarScope)
					c := w.connect(transport, modern, caps)
					args := "{\"text\":\"a\u200b\"}" // what no dialog may show, so that it goes to the page
					w.asksFirst(c, c.call("test_write", args))
					w.vault.put("google", vault.TicketDone)
					isData(t, c.call("test_write", args), who(transport).Subject)
					w.ranOnce("test_write")
					w.asksFirst(c, c.call("test_write", args))
				})
			}
		}
	}
}

// What is approved can be run by its id alone: the stored arguments on the stored account. A repeat is told when it ran.
func TestApprovalAlone(t *testing.T) {
	t.Parallel()
	w, c := one(t)
	first := c.call("test_write", `{"text":"stored"}`)
	alone := fmt.Sprintf(`{"approval":%q}`, idIn(t, first))
	w.asksFirst(c, first)
	if second := c.call("test_write", alone); idIn(t, second) != idIn(t, first) || second.tool(t).text() != first.tool(t).text() {
		t.Errorf("before the yes: %s", second.raw)
	}
	w.vault.put("google", vault.TicketDone)
	a := c.call("test_write", alone)
	isData(t, a, "1000")
	if !strings.Contains(string(a.tool(t).Structured), `"text":"stored"`) {
		t.Errorf("it ran something else: %s", a.raw)
	}
	w.ranOnce("test_write")
	if r := w.vault.requests[len(w.vault.requests)-1]; r.Account != "g-google-1000" || r.Approval != idIn(t, first) {
		t.Errorf("asked as %+v", r)
	}
	isText(t, c.call("test_write", alone), "already ran at "+time.Now().UTC().Format("15:04"))
	isText(t, c.call("test_write", fmt.Sprintf(`{"approval":%q,"text":"stored"}`, idIn(t, first))), "already ran at")
	if len(w.ran) != 0 {
		t.Error("it ran twice")
	}
	audited := w.vault.entries("tool.called")
	if last := audited[len(audited)-1]; last.Result != "refused" || last.Reason != "already_ran" || last.Detail.Decision != "ask" {
		t.Errorf("entry %+v", last)
	}
}

// TestR79ChangedArguments: other arguments than those that were approved do not run, by id nor without one.
func TestR79ChangedArguments(t *testing.T) {
	t.Parallel()
	w, c := one(t)
	first := c.call("test_write", `{"text":"a"}`)
	w.vault.put("google", vault.TicketDone)
	for _, args := range []string{`{"text":"b"}`, `{"text":"a","account":"1000@example.com"}`, `{}`} {
		if !strings.Contains(args, "{}") {
			isText(t, c.call("test_write", fmt.Sprintf(`{"approval":%q,%s`, idIn(t, first), args[1:])), "not those that the person approved")
		}
		w.asksFirst(c, c.call("test_write", args))
	}
	isText(t, c.call("test_write", `{"approval":7}`), "approval must be a string")
	isData(t, c.call("test_write", fmt.Sprintf(`{"text":"a","approval":%q}`, idIn(t, first))), "1000")
}

// TestR79SomeoneElse: an approval serves its person, agent and tool alone; another's answers like an unknown one.
func TestR79SomeoneElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := w.serveHTTP()
	connect := func(bearer string) *client {
		c := &client{t: t, modern: true, caps: capNone, notes: make(chan answer, 10)}
		w.overHTTP(c, address, bearer)
		return c
	}
	w.vault.give(alice.Caller, "google", calendarScope)
	w.vault.give(bob.Caller, "google", calendarScope)
	id := idIn(t, connect("alice").call("test_write", `{"text":"a"}`))
	w.vault.put("google", vault.TicketDone)
	args := fmt.Sprintf(`{"approval":%q}`, id)
	for name, refused := range map[string]answer{
		"person": connect("bob").call("test_write", args), "agent": connect("alice/agent-2").call("test_write", args),
		"tool": connect("alice").call("test_destroy", args), "id": connect("alice").call("test_write", `{"approval":"ap_77"}`),
	} {
		if text := isText(t, refused, "There is no such approval"); strings.Contains(text, id) {
			t.Errorf("%s: %q", name, text)
		}
	}
	w.asksFirst(connect("alice/agent-2"), connect("alice/agent-2").call("test_write", `{"text":"a"}`))
	w.asksFirst(connect("bob"), connect("bob").call("test_write", `{"text":"a"}`))
	isData(t, connect("alice").call("test_write", args), "alice")
}

// TestR79TooOld: an approved call has five minutes.
func TestR79TooOld(t *testing.T) {
	bubble(t, true, capNone, func(t *testing.T, w *world, c *client) {
		w.vault.give(local, "google", calendarScope)
		first := c.call("test_write", `{"text":"a"}`)
		w.vault.put("google", vault.TicketDone)
		time.Sleep(5*time.Minute + time.Second)
		isText(t, c.call("test_write", fmt.Sprintf(`{"approval":%q}`, idIn(t, first))), "has run out")
		if again := c.call("test_write", `{"text":"a"}`); idIn(t, again) == idIn(t, first) {
			t.Error("the old approval is asked for again")
		}
	})
}

// TestR79Cancelled: a call that its client has given up does not run when its person says yes afterwards.
func TestR79Cancelled(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		state := isInputRequired(t, c.call("test_write", `{}`)).RequestState
		waiting := async(c, "test_write", retryWith(state, "accept"))
		time.Sleep(time.Second)
		c.note([]byte(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`))
		time.Sleep(time.Second)
		w.vault.put("google", vault.TicketDone)
		time.Sleep(time.Minute)
		if len(w.ran) != 0 {
			t.Error("it ran")
		}
		c.abandon("2")
		<-waiting
	})
}

// TestR79Replay: a requestState that comes twice is told that the call ran.
func TestR79Replay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("http", true, capURL)
	state := isInputRequired(t, c.call("test_write", `{}`)).RequestState
	isText(t, c.call("test_write", `{"text":"b"}`, retryWith(state, "accept")), "requestState")
	w.vault.put("google", vault.TicketDone)
	isData(t, c.call("test_write", `{}`, retryWith(state, "accept")), "alice")
	w.ranOnce("test_write")
	for range 2 {
		isText(t, c.call("test_write", `{}`, retryWith(state, "accept")), "already ran at")
	}
}

// One visit: what is not connected is connected, opened and approved by one ticket, and the waiting call goes through.
func TestOneVisitForAll(t *testing.T) {
	bubble(t, false, capNone, func(t *testing.T, w *world, c *client) {
		a := c.call("test_write", `{}`)
		isLink(t, a)
		idIn(t, a)
		w.vault.mu.Lock()
		w.vault.tickets[0].State = vault.TicketStarted
		w.vault.mu.Unlock()
		both := []<-chan answer{async(c, "test_write"), async(c, "test_write")}
		time.Sleep(time.Second)
		w.vault.put("google", vault.TicketDone)
		ok := 0
		for _, ch := range both {
			if r := (<-ch).tool(t); !r.IsError {
				ok++
			} else if !strings.Contains(r.text(), "already ran at") {
				t.Errorf("the other said %q", r.text())
			}
		}
		if ok != 1 || w.vault.ticketCount() != 1 {
			t.Errorf("%d calls ran, %d tickets", ok, w.vault.ticketCount())
		}
		w.ranOnce("test_write")
	})
}

// A declined write does not run, and what is said names the call.
func TestDeclinedWrite(t *testing.T) {
	t.Parallel()
	w, c := one(t)
	first := c.call("test_write", `{}`)
	w.vault.put("google", vault.TicketDeclined)
	isText(t, c.call("test_write", fmt.Sprintf(`{"approval":%q}`, idIn(t, first))), "declined, has run out")
	if len(w.ran) != 0 {
		t.Error("it ran")
	}
}

// Nobody is asked about a call whose arguments cannot work.
func TestBadWriteAsksNobody(t *testing.T) {
	t.Parallel()
	w, c := one(t)
	isText(t, c.call("test_write", `{"text":5}`), "text must be a string")
	isText(t, c.call("test_write", `{"approval":"x"}`), "approval")
	if w.vault.ticketCount() != 0 {
		t.Error("a person was asked")
	}
}

// A link with its approval stays under 700 characters, however long the address.
func TestApprovalTextIsShort(t *testing.T) {
	t.Parallel()
	w, c := one(t, func(c *mcp.Config) { c.PublicURL = "https://" + strings.Repeat("a", 230) + ".example.com" })
	w.asksFirst(c, c.call("test_destroy", `{}`))
}
