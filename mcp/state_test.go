package mcp_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grantry/grantry/vault"
)

// TestStateOfAnotherCall is R16: a request state that was altered, or is from
// another person, agent, tool or other arguments, is refused without running the tool.
func TestStateOfAnotherCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := w.serveHTTP()
	connect := func(bearer string) *client {
		c := &client{t: t, modern: true, caps: capURL, notes: make(chan answer, 10)}
		w.overHTTP(c, address, bearer)
		return c
	}
	a := connect("alice")
	state := isInputRequired(t, a.call("test_read", `{"text":"x"}`)).RequestState
	w.vault.give(alice.Caller, "google", calendarScope)
	w.vault.give(bob.Caller, "google", calendarScope)
	altered := []byte(state)
	altered[len(altered)/2] ^= 1
	for name, refused := range map[string]func() answer{
		"altered":         func() answer { return a.call("test_read", `{"text":"x"}`, retryWith(string(altered), "accept")) },
		"invented":        func() answer { return a.call("test_read", `{"text":"x"}`, retryWith("e30", "accept")) },
		"other arguments": func() answer { return a.call("test_read", `{"text":"y"}`, retryWith(state, "accept")) },
		"other tool":      func() answer { return a.call("test_panic", `{"text":"x"}`, retryWith(state, "accept")) },
		"other person": func() answer {
			return connect("bob").call("test_read", `{"text":"x"}`, retryWith(state, "accept"))
		},
		"other agent": func() answer {
			return connect("alice/agent-2").call("test_read", `{"text":"x"}`, retryWith(state, "accept"))
		},
		"a foreign decline": func() answer { return connect("bob").call("test_read", `{"text":"x"}`, retryWith(state, "decline")) },
	} {
		isText(t, refused(), "requestState")
		if len(w.ran) != 0 {
			t.Fatalf("%s: the tool ran", name)
		}
	}
	audited := len(w.vault.entries("request_state.refused"))
	w.vault.mu.Lock()
	backedOff := len(w.vault.backOff)
	w.vault.mu.Unlock()
	if audited != 7 || backedOff != 0 {
		t.Errorf("%d audit entries, %d back-offs", audited, backedOff)
	}
	isData(t, a.call("test_read", `{"text":"x"}`, retryWith(state, "accept")), "alice")
}

// TestStateCanonical: the same arguments in another spelling are the same call
// (RFC 8785), and a requestState with them is good.
func TestStateCanonical(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		state := isInputRequired(t, c.call("test_read", `{"text":"aé/€","account":"1000@example.com"}`)).RequestState
		w.vault.give(local, "google", calendarScope)
		isData(t, c.call("test_read", `{ "account" : "1000@example.com",   "text":"\u0061\u00e9\/\u20ac" }`, retryWith(state, "accept")), "1000")
	})
}

// TestStateExpired: a state that is authentic and too old is a fresh call.
func TestStateExpired(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		state := isInputRequired(t, c.call("test_read", `{}`)).RequestState
		time.Sleep(31 * time.Minute)
		d := took(func() { isInputRequired(t, c.call("test_read", `{}`, retryWith(state, "accept"))) })
		if d > time.Second {
			t.Errorf("it waited %v", d)
		}
		isInputRequired(t, c.call("test_read", `{}`, retryWith(state, "decline"))) // too old to decline with
		w.vault.put("google", vault.TicketDone)
		isData(t, c.call("test_read", `{}`, retryWith(state, "accept")), "1000")
	})
}

// TestTicketExpiresWhileWaiting: the call that waits for it gives a new link.
func TestTicketExpiresWhileWaiting(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		w.vault.ttl = 10 * time.Second
		r := isInputRequired(t, c.call("test_read", `{}`))
		synctest.Wait()
		a := c.call("test_read", `{}`, retryWith(r.RequestState, "accept"))
		time.Sleep(time.Second)
		a = c.call("test_read", `{}`, retryWith(a.tool(t).RequestState, ""))
		if got := isInputRequired(t, a).InputRequests["consent"].Params.URL; got == r.InputRequests["consent"].Params.URL {
			t.Errorf("the link of the expired ticket was given again: %s", got)
		}
	})
}

// TestRunsOut: a person who agrees again and again to no effect is not asked for ever.
func TestRunsOut(t *testing.T) {
	bubble(t, true, capURL, func(t *testing.T, w *world, c *client) {
		w.vault.lack = &vault.ConsentError{Reason: vault.Revoked, Options: []vault.Option{{Connection: "google", Scopes: []string{calendarScope}, VendorNeeded: true}}}
		state := ""
		for range 20 {
			more := []string{}
			if state != "" {
				more = append(more, retryWith(state, "accept"))
			}
			call := async(c, "test_read", more...)
			time.Sleep(time.Second)
			w.vault.put("google", vault.TicketDone)
			r := (<-call).tool(t)
			if r.ResultType != "input_required" {
				t.Fatalf("unexpected %q", r.text())
			}
			state = r.RequestState
		}
		if n := w.vault.ticketCount(); n > 45 {
			t.Errorf("%d tickets", n)
		}
	})
}

// TestReasons: what is lacking is said in words, in each reason that a person can mend.
func TestReasons(t *testing.T) {
	t.Parallel()
	for reason, words := range map[vault.Reason]string{
		vault.NotConnected: "not connected", vault.UnderScoped: "does not yet allow", vault.Revoked: "revoked",
		vault.Expired: "run out", vault.NoRefreshToken: "run out", vault.AccountChanged: "account at google has changed",
		vault.ConnChanged: "settings of google have changed", vault.AgentNotAllowed: "not yet opened to this agent",
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.vault.lack = &vault.ConsentError{Reason: reason, Options: []vault.Option{{Connection: "google", Scopes: many(40), Missing: many(40)}}}
			a := w.connect("stdio", true, capNone).call("test_read", `{}`)
			text := isText(t, a, words)
			if len(text) >= 700 {
				t.Errorf("%d bytes", len(text))
			}
			if got := string(a.tool(t).Meta["io.github.grantry/consent"]); len(got) == 0 {
				t.Error("no _meta")
			}
		})
	}
}

// many are scopes that would not fit into a text.
func many(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("https://www.googleapis.com/auth/scope-number-%02d.readonly", i)
	}
	return out
}
