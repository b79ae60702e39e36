package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// write shows the exact call, connects, allows and approves in one visit, and
// runs what was shown, once.
func (v *visits) write(t *testing.T) {
	r := v.agent(t, "agent-one")
	post := func(text string, more ...string) answer {
		args := map[string]any{"channel": "general", "text": text}
		if len(more) > 0 {
			args["approval"] = more[0]
		}
		return r.legacy(t, "chat_post_message", args).final(t)
	}
	const text = "Lunch at twelve?\u202e Reversed"
	first := post(text)
	v.alice.open(first.link(t))
	v.alice.expect(http.StatusOK, "The exact call")
	v.alice.look("write")
	for _, want := range []string{"Lunch at twelve?", "general", "U+202E"} {
		if !strings.Contains(v.alice.text(), want) {
			t.Errorf("the page does not show %q:\n%s", want, v.alice.text())
		}
	}
	v.alice.press("allow")
	v.alice.click(sandboxAllow + "alice")
	v.alice.expect(http.StatusOK, "exactly the call that you saw")
	v.alice.look("approved")
	before := v.counts(t)["slack"]["api"]
	for _, a := range []answer{post(text + " changed"), post(text+" changed", first.approval(t))} {
		if !a.IsError {
			t.Errorf("a call with other arguments answered %s", a.show())
		}
	}
	if n := v.counts(t)["slack"]["api"]; n != before {
		t.Errorf("calls that nobody had approved reached the vendor %d times", n-before)
	}
	post(text).ok(t)
	if a := post(text, first.approval(t)); !a.IsError || !strings.Contains(a.Text, "already ran") {
		t.Errorf("the second run answered %s", a.show())
	}
}

// killSwitch stops an agent on its page while a call of it over HTTP runs (5 s).
func (v *visits) killSwitch(t *testing.T) {
	r := v.agent(t, "agent-two")
	wantEvents(t, r.calendar(t))
	v.fault(t, map[string]any{"vendor": "google", "kind": "delay", "endpoint": "api", "times": 1, "delay_ms": 30000})
	ended := make(chan answer, 1)
	go func() { ended <- r.legacy(t, "calendar_list_events", map[string]any{"limit": 3}).final(t) }()
	v.alice.open(v.Base + "/agents")
	v.alice.expect(http.StatusOK, "agent-two")
	v.alice.look("agents")
	stop := "//section[contains(., 'agent-two')]//form[@action='/agents/stop']//button"
	do(v.alice, "stopping agent-two", chromedp.Click(stop, chromedp.NodeVisible))
	started := time.Now()
	select {
	case a := <-ended:
		if !a.IsError {
			t.Errorf("the stopped call answered %s", a.show())
		}
		within(t, started, 5*time.Second, "ending the call")
	case <-time.After(patience):
		t.Error("the call goes on")
	}
	v.alice.expect(http.StatusOK, "is stopped")
	v.alice.look("stopped")
	v.alice.open(v.Base + "/agents")
	v.alice.expect(http.StatusOK, "You stopped it")
	v.alice.look("agents-stopped")
	if a := r.calendar(t); !a.IsError || consentLink.MatchString(a.Text) {
		t.Errorf("a stopped agent was answered %s", a.show())
	}
}

// activity shows what was done, and to which page its person can go.
func (v *visits) activity(t *testing.T) {
	v.alice.open(v.Base + "/activity")
	v.alice.expect(http.StatusOK, "to general")
	if !strings.Contains(v.alice.text(), "may have happened") {
		t.Errorf("what the stopped call had sent is not said to be unsure:\n%s", v.alice.text())
	}
	v.alice.look("activity")
	v.alice.open(v.Base + "/activity?tool=chat_post_message")
	v.alice.expect(http.StatusOK, "to general")
	if strings.Contains(v.alice.text(), "calendar_list_events") {
		t.Errorf("filtered by tool the page shows another one:\n%s", v.alice.text())
	}
}

// otherPages looks at those that no agent leads to.
func (v *visits) otherPages(*testing.T) {
	v.alice.open(v.Connections)
	v.alice.click("Salesforce")
	v.alice.expect(http.StatusOK, "Connect your Salesforce account")
	v.alice.look("connect-own")
	v.alice.open(v.Base + "/signout")
	v.alice.expect(http.StatusOK, "Sign out of this vault?")
	v.alice.look("signout")
	v.alice.open(v.Base + "/consent/unknown")
	v.alice.waitFor("Your connections")
	v.alice.look("not-found")
}

// disconnectDown ends local use at once while the vendor does not answer.
func (v *visits) disconnectDown(t *testing.T) {
	v.alice.open(v.Connections)
	v.alice.expect(http.StatusOK, "alice@example.com")
	v.alice.look("connections")
	v.fault(t, map[string]any{"vendor": "slack", "kind": "status", "endpoint": "revoke"})
	v.disconnect("Slack")
	v.alice.expect(http.StatusOK, "could not be told yet")
	v.alice.look("disconnected-pending")
	a := v.agent(t, "agent-one").legacy(t, "chat_post_message", map[string]any{"channel": "general", "text": "x"}).final(t)
	if !a.IsError || a.consent(t).Reason != "revoked" {
		t.Errorf("after the disconnect a call answered %s", a.show())
	}
}

// disconnectUp is told to the vendor at once.
func (v *visits) disconnectUp(t *testing.T) {
	v.alice.open(v.Connections)
	v.disconnect("Google")
	v.alice.expect(http.StatusOK, "has ended the access there, too")
	if v.live(t, "google", "alice") {
		t.Error("the vendor still knows a live grant")
	}
	if a := v.agent(t, "agent-one").calendar(t); !a.IsError || a.consent(t).Reason != "revoked" {
		t.Errorf("after the disconnect a call answered %s", a.show())
	}
}

func (v *visits) disconnect(vendor string) {
	v.alice.t.Helper()
	button := "//li[contains(., '" + vendor + "')]//form[@action='/connections/disconnect']//button"
	do(v.alice, "disconnecting "+vendor, chromedp.Click(button, chromedp.NodeVisible))
}
