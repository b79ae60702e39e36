package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestElicitation has one test per era, declared capability and transport
// (DESIGN 4): who gets an elicitation, who an error -32042, who text.
func TestElicitation(t *testing.T) {
	t.Parallel()
	for _, era := range []string{"modern", "legacy"} {
		for _, declared := range []string{"url", "form", "none"} {
			for _, transport := range []string{"http", "stdio"} {
				k := kind{"v2", era, transport, declared}
				t.Run(k.String(), func(t *testing.T) {
					t.Parallel()
					switch {
					case declared != "url":
						elicitedAsText(t, k)
					case era == "modern":
						elicitedInBand(t, k)
					default:
						elicitedAsError(t, k)
					}
				})
			}
		}
	}
}

func elicitedInBand(t *testing.T, k kind) {
	t.Helper()
	c := inSandbox(t, k)
	id := c.goCall(t, "calendar_list_events", map[string]any{})
	link, message := c.elicitation(t, 1)
	wantLink(t, link)
	if message == "" {
		t.Error("the elicitation has no message")
	}
	c.answer(t, 1, "accept") // consent to open, not yet completion: the call now waits
	newBrowser(t).consent(link, "alice")
	wantEvents(t, c.await(t, id, patience))
	if n := c.elicitations(); n != 1 {
		t.Errorf("the person was asked %d times", n)
	}
}

func elicitedAsError(t *testing.T, k kind) {
	t.Helper()
	c := inSandbox(t, k)
	asked := c.call(t, "calendar_list_events", map[string]any{}).urlRequired(t)
	if len(asked) != 1 || asked[0].Mode != "url" || asked[0].ID == "" || asked[0].Message == "" {
		t.Fatalf("-32042 carries %+v", asked)
	}
	wantLink(t, asked[0].URL)
	newBrowser(t).consent(asked[0].URL, "alice")
	var done struct {
		ID string `json:"elicitationId"`
	}
	unmarshal(t, string(c.notification(t, "notifications/elicitation/complete").Params), &done)
	if done.ID != asked[0].ID {
		t.Errorf("the notification completes %q, want %q", done.ID, asked[0].ID)
	}
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
	if n := c.elicitations(); n != 0 {
		t.Errorf("a 2025-era client got %d elicitation requests besides the error", n)
	}
}

func elicitedAsText(t *testing.T, k kind) {
	t.Helper()
	c := inSandbox(t, k)
	a := c.call(t, "calendar_list_events", map[string]any{})
	wantTextRow(t, a)
	newBrowser(t).consent(a.link(t), "alice")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
	if n := c.elicitations(); n != 0 {
		t.Errorf("a client that did not declare url got %d elicitations", n)
	}
}

// wantTextRow checks the third row of DESIGN 4.
func wantTextRow(t *testing.T, a answer) {
	t.Helper()
	if a.Error != nil || !a.IsError || a.Type == "input_required" {
		t.Fatalf("want an isError result, got %s", a.show())
	}
	if len(a.Text) >= 700 {
		t.Errorf("the text has %d characters, want less than 700:\n%s", len(a.Text), a.Text)
	}
	link := a.link(t)
	wantLink(t, link)
	got := a.consent(t)
	if got.URL != link || got.Connection == "" || len(got.Scopes) == 0 || got.Reason != "not_connected" {
		t.Errorf("_meta says %+v beside the link %s", got, link)
	}
	if left := time.Until(got.ExpiresAt); left < time.Minute || left > 25*time.Hour {
		t.Errorf("the link expires in %s", left)
	}
}

// wantLink checks that a link holds a handle and nothing else (R07).
func wantLink(t *testing.T, link string) {
	t.Helper()
	_, handle, ok := strings.Cut(link, "/consent/")
	if !ok || len(handle) < 22 || strings.ContainsAny(handle, "?#&=/") {
		t.Errorf("%s is not a bare link with at least 128 bits", link)
	}
}

// TestOldRevisionGetsText holds for clients of a revision before URL mode,
// whatever they declare.
func TestOldRevisionGetsText(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	r := newRaw(t, s.MCP, s.token(t, "alice", "old-client"))
	hello := initializeRequest("url")
	hello["params"].(map[string]any)["protocolVersion"] = "2025-06-18"
	w := r.post(t, marshal(t, hello), nil)
	r.session = w.Header.Get("Mcp-Session-Id")
	r.post(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, map[string]string{"MCP-Protocol-Version": "2025-06-18"})
	call := r.post(t, marshal(t, legacyCall(1, "calendar_list_events", map[string]any{})), map[string]string{"MCP-Protocol-Version": "2025-06-18"})
	wantTextRow(t, call.final(t))
}

// TestDeclineBacksOff holds decline and cancel: no new dialog for a while, and
// the person's own way stays open.
func TestDeclineBacksOff(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	for _, action := range []string{"decline", "cancel"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			c := connect(t, clientConfig{
				SDK: "v2", Era: "modern", Elicitation: "url", Answer: action,
				URL: s.MCP, Token: s.token(t, "alice", "agent-"+action),
			})
			for call := range 3 {
				a := c.call(t, "calendar_list_events", map[string]any{})
				if !a.IsError || !strings.Contains(a.Text, "/connections") {
					t.Errorf("call %d answered %s, want an error that names /connections", call, a.show())
				}
				if consentLink.MatchString(a.Text) {
					t.Errorf("call %d gives a link after %s:\n%s", call, action, a.Text)
				}
			}
			if n := c.elicitations(); n != 1 {
				t.Errorf("the person was asked %d times", n)
			}
		})
	}
}

// TestRetryLater holds what follows an accept that leads nowhere: two rounds
// of waiting without a question, then an error; nobody is asked twice.
func TestRetryLater(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	r := newRaw(t, s.MCP, s.token(t, "alice", "slow-agent"))
	args := map[string]any{}
	first := r.modern(t, "calendar_list_events", args, nil, "url").final(t)
	key, link := inputRequest(t, first)
	wantLink(t, link)
	state, answered := first.State, map[string]any{key: map[string]any{"action": "accept"}}
	for round := 1; round <= 2; round++ {
		started := time.Now()
		a := r.modern(t, "calendar_list_events", args, map[string]any{"requestState": state, "inputResponses": answered}, "url").final(t)
		if took := time.Since(started); took < 15*time.Second || took > 30*time.Second {
			t.Errorf("round %d waited %s, want about 25 s", round, took)
		}
		if a.Type != "input_required" || a.State == "" || strings.Contains(string(a.Result), `"inputRequests":{"`) {
			t.Fatalf("round %d answered %s, want input_required without requests", round, a.show())
		}
		state, answered = a.State, map[string]any{}
	}
	last := r.modern(t, "calendar_list_events", args, map[string]any{"requestState": state, "inputResponses": answered}, "url").final(t)
	if !last.IsError {
		t.Errorf("the last round answered %s, want an error result", last.show())
	}
	newBrowser(t).consent(link, "alice")
	wantEvents(t, r.modern(t, "calendar_list_events", args, nil, "url").final(t))
}

// inputRequest answers key and URL of the one question in an input_required.
func inputRequest(t *testing.T, a answer) (key, link string) {
	t.Helper()
	var body struct {
		Requests map[string]struct {
			Method string
			Params struct{ Mode, URL, Message string }
		} `json:"inputRequests"`
	}
	unmarshal(t, string(a.Result), &body)
	if a.Type != "input_required" || a.State == "" || len(body.Requests) != 1 {
		t.Fatalf("want an input_required with one question, got %s", a.show())
	}
	for k, request := range body.Requests {
		if request.Method != "elicitation/create" || request.Params.Mode != "url" {
			t.Fatalf("the question is %+v", request)
		}
		key, link = k, request.Params.URL
	}
	return key, link
}

// TestRequestStateIsBound holds R16: a state that is altered, or that comes
// from another agent, for another tool or with other arguments, runs nothing.
func TestRequestStateIsBound(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	alice := newRaw(t, s.MCP, s.token(t, "alice", "agent-one"))
	first := alice.modern(t, "calendar_list_events", map[string]any{"limit": 3}, nil, "url").final(t)
	key, link := inputRequest(t, first)
	newBrowser(t).consent(link, "alice")
	answered := map[string]any{key: map[string]any{"action": "accept"}}
	other := newRaw(t, s.MCP, s.token(t, "bob", "agent-one"))
	altered := []byte(first.State)
	altered[len(altered)/2] ^= 1
	for name, try := range map[string]func() wire{
		"altered": func() wire {
			return alice.modern(t, "calendar_list_events", map[string]any{"limit": 3}, map[string]any{"requestState": string(altered), "inputResponses": answered}, "url")
		},
		"other arguments": func() wire {
			return alice.modern(t, "calendar_list_events", map[string]any{"limit": 4}, map[string]any{"requestState": first.State, "inputResponses": answered}, "url")
		},
		"other tool": func() wire {
			return alice.modern(t, "connections_list", map[string]any{}, map[string]any{"requestState": first.State, "inputResponses": answered}, "url")
		},
		"other person": func() wire {
			return other.modern(t, "calendar_list_events", map[string]any{"limit": 3}, map[string]any{"requestState": first.State, "inputResponses": answered}, "url")
		},
	} {
		if a := try().final(t); a.Error == nil && !a.IsError {
			t.Errorf("a state with %s was taken: %s", name, a.show())
		}
	}
	ok := alice.modern(t, "calendar_list_events", map[string]any{"limit": 3}, map[string]any{"requestState": first.State, "inputResponses": answered}, "url")
	wantEvents(t, ok.final(t))
}

// TestParallelCallsAskOnce holds the bullet on parallel calls: whoever is
// answered before the consent gets the same link, all others are served by
// the one consent.
func TestParallelCallsAskOnce(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	r := newRaw(t, s.MCP, s.token(t, "alice", "busy-agent"))
	r.initialize(t)
	answers := r.many(t, 12)
	first := next(t, answers, patience)
	wantTextRow(t, first)
	link, served := first.link(t), 0
	newBrowser(t).consent(link, "alice")
	for range 11 {
		switch a := next(t, answers, patience); {
		case !a.IsError:
			wantEvents(t, a)
			served++
		case a.link(t) != link:
			t.Errorf("a call at the same time got another link than %s:\n%s", link, a.Text)
		}
	}
	if n := s.counts(t)["google"]["token"]; n != 1 {
		t.Errorf("the vendor's token endpoint was asked %d times", n)
	}
	t.Logf("%d of 12 parallel calls waited for the consent", served)
}

// TestFiftyWaiting lets fifty calls wait for a person who has pressed Allow
// and is at the vendor: the server still answers, and all are served.
func TestFiftyWaiting(t *testing.T) {
	t.Parallel()
	s, r, link := openTicket(t)
	b := newBrowser(t)
	b.signInOnly(link, "alice")
	b.stopAt(s.control)
	b.press("allow")
	answers := r.many(t, 50)
	select {
	case a := <-answers:
		t.Errorf("a call did not wait: %s", a.show())
		answers <- a
	case <-time.After(3 * time.Second):
	}
	started := time.Now()
	list := r.post(t, `{"jsonrpc":"2.0","id":900,"method":"tools/list"}`, map[string]string{"MCP-Protocol-Version": "2025-11-25"})
	within(t, started, 2*time.Second, "tools/list with 50 calls waiting")
	if list.Status != http.StatusOK {
		t.Errorf("tools/list answered %d", list.Status)
	}
	started = time.Now()
	r.legacy(t, "connections_list", map[string]any{}).final(t).ok(t)
	within(t, started, 5*time.Second, "another call with 50 calls waiting")
	b.stopAt("").open(b.page.Held.String())
	b.goOn("alice")
	for range 50 {
		wantEvents(t, next(t, answers, patience))
	}
}

// many starts n calls at the same time.
func (r *raw) many(t *testing.T, n int) chan answer {
	t.Helper()
	answers := make(chan answer, n)
	for range n {
		go func() { answers <- r.legacy(t, "calendar_list_events", map[string]any{}).final(t) }()
	}
	return answers
}

func next(t *testing.T, answers chan answer, d time.Duration) answer {
	t.Helper()
	select {
	case a := <-answers:
		return a
	case <-time.After(d):
		t.Fatalf("a call was not answered within %s", d)
		return answer{}
	}
}

// TestSameLinkAgain holds that a call that starts after the link was given
// gets the same link at once.
func TestSameLinkAgain(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	r := newRaw(t, s.MCP, s.token(t, "alice", "patient-agent"))
	r.initialize(t)
	link := r.legacy(t, "calendar_list_events", map[string]any{}).final(t).link(t)
	for i := range 3 {
		started := time.Now()
		again := r.legacy(t, "calendar_list_events", map[string]any{"query": fmt.Sprint(i)}).final(t)
		within(t, started, 5*time.Second, "the same link again")
		if got := again.link(t); got != link {
			t.Errorf("call %d got %s, want the same link %s", i, got, link)
		}
	}
}
