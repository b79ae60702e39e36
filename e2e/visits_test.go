package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestBrowsersInTheSandbox drives Chromium against the sandbox: one Grantry,
// one Chromium, and alice, who stays signed in and meets one agent after
// another.
func TestBrowsersInTheSandbox(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	alice := newChrome(t).other(t)
	v := &visits{sandbox: s, alice: alice}
	alice.open(s.Connections)
	alice.click(sandboxSignIn + "alice")
	alice.expect(http.StatusOK, "Nothing is connected yet")
	alice.look("connections-empty")
	for _, visit := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"prefetch", v.prefetch},
		{"keyboard", v.keyboard},
		{"back and again", v.backAndAgain},
		{"second agent", v.secondAgent},
		{"widened", v.widened},
		{"declined", v.declined},
		{"replayed", v.replayed},
		{"a write", v.write},
		{"an update", v.update},
		{"kill switch", v.killSwitch},
		{"what was done", v.activity},
		{"other pages", v.otherPages},
		{"disconnected with the vendor down", v.disconnectDown},
		{"disconnected", v.disconnectUp},
		{"at the vendor", v.atTheVendor},
		{"broken", v.broken},
		{"everything stopped", v.stopAll},
		{"sign-in failures", v.signInFailures},
	} {
		t.Run(visit.name, func(t *testing.T) {
			alice.t = t
			visit.do(t)
		})
	}
}

// visits are alice's, in one browser.
type visits struct {
	*sandbox
	alice *chrome
}

// agent is an MCP client of alice's.
func (v *visits) agent(t *testing.T, name string) *raw {
	t.Helper()
	r := newRaw(t, v.MCP, v.token(t, "alice", name))
	r.initialize(t)
	return r
}

func (r *raw) calendar(t *testing.T) answer {
	t.Helper()
	return r.legacy(t, "calendar_list_events", map[string]any{}).final(t)
}

// authorized is how often a vendor's consent page was asked for.
func (v *visits) authorized(t *testing.T) int {
	t.Helper()
	counts := v.counts(t)
	return counts["google"]["authorize"] + counts["slack"]["authorize"] + counts["salesforce"]["authorize"]
}

// prefetch opens a link fifty times as its own person, with a real browser's
// cookies and headers (R05): it is as fresh as before.
func (v *visits) prefetch(t *testing.T) {
	r := v.agent(t, "agent-one")
	link := r.calendar(t).link(t)
	for range 50 {
		v.alice.open(link)
	}
	v.alice.expect(http.StatusOK, "wants to read your Google Calendar")
	v.alice.look("connect-sandbox")
	if n := v.authorized(t); n != 0 {
		t.Errorf("looking reached the vendor %d times", n)
	}
	if got := r.calendar(t).link(t); got != link {
		t.Errorf("the link is another one now: %s", got)
	}
}

// keyboard goes through the page by the Tab key alone: each stop shows where it is, and the answers are among them.
func (v *visits) keyboard(t *testing.T) {
	v.alice.open(v.agent(t, "agent-one").calendar(t).link(t))
	v.alice.expect(http.StatusOK, "wants to read your Google Calendar")
	reached := ""
	for range 12 {
		do(v.alice, "pressing Tab", chromedp.KeyEvent("\t"))
		at := do(v.alice, "reading where the focus is", chromedp.Evaluate[string](
			`(e => e.innerText.trim().slice(0, 20) + ' ' + getComputedStyle(e).outlineStyle + ' ' + parseFloat(getComputedStyle(e).outlineWidth))(document.activeElement)`))
		if reached += at + "\n"; !strings.HasSuffix(at, " solid 3") {
			t.Errorf("the focus is not to be seen: %q", at)
		}
	}
	for _, button := range []string{"Allow solid", "Allow once solid", "Decline solid"} {
		if !strings.Contains(reached, button) {
			t.Errorf("the Tab key does not reach %q:\n%s", button, reached)
		}
	}
}

// backAndAgain goes back from the vendor's page, where nothing was lost, and
// says yes once more.
func (v *visits) backAndAgain(t *testing.T) {
	r := v.agent(t, "agent-one")
	v.alice.open(r.calendar(t).link(t))
	v.alice.press("allow")
	v.alice.waitFor(sandboxAllow + "alice")
	do(v.alice, "going back", chromedp.NavigateBack())
	v.alice.expect(http.StatusOK, "wants to read your Google Calendar")
	v.alice.press("allow")
	v.alice.click(sandboxAllow + "alice")
	v.alice.expect(http.StatusOK, "is connected")
	if !strings.HasPrefix(v.alice.url(), v.Base+"/") {
		t.Errorf("the visit ends at %s", v.alice.url())
	}
	wantEvents(t, r.calendar(t))
}

// secondAgent needs Grantry's page only: the account is there.
func (v *visits) secondAgent(t *testing.T) {
	r, before := v.agent(t, "agent-two"), v.authorized(t)
	v.alice.open(r.calendar(t).link(t))
	v.alice.expect(http.StatusOK, "alice@example.com")
	v.alice.look("access")
	v.alice.press("allow")
	v.alice.expect(http.StatusOK, "may go on")
	v.alice.look("allowed")
	if n := v.authorized(t); n != before {
		t.Errorf("the vendor's page was asked for %d times", n-before)
	}
	wantEvents(t, r.calendar(t))
}

// widened asks for what the account lacks, and shows it apart from what it has.
func (v *visits) widened(t *testing.T) {
	r := v.agent(t, "agent-one")
	search := func() answer {
		return r.legacy(t, "documents_search", map[string]any{"query": "plan"}).final(t)
	}
	first := search()
	if got := first.consent(t); got.Reason != "under_scoped" || len(got.Scopes) == 0 {
		t.Fatalf("with a calendar alone a search answered %s", first.show())
	}
	v.alice.open(first.link(t))
	v.alice.expect(http.StatusOK, "the connected account does not allow this yet")
	if strings.Contains(v.alice.text(), "Should its access go over") {
		t.Errorf("a later agent's access is offered:\n%s", v.alice.text())
	}
	v.alice.look("widen")
	v.alice.press("allow")
	v.alice.click(sandboxAllow + "alice")
	v.alice.expect(http.StatusOK, "It worked")
	search().ok(t)
	wantEvents(t, r.calendar(t)) // what it had it still has
}

// declined tells the agent, and the link is over.
func (v *visits) declined(t *testing.T) {
	r := v.agent(t, "agent-three")
	link := r.calendar(t).link(t)
	v.alice.open(link)
	v.alice.press("decline")
	v.alice.expect(http.StatusOK, "Nothing was connected")
	v.alice.look("declined-agent")
	v.alice.open(link)
	v.alice.expect(http.StatusGone, "You have declined this")
	v.alice.look("over-declined")
	if a := r.calendar(t); !a.IsError || consentLink.MatchString(a.Text) {
		t.Errorf("after a decline a call answered %s", a.show())
	}
}

// replayed presses Allow in a window that was open before the link was used (R06).
func (v *visits) replayed(t *testing.T) {
	r := v.agent(t, "agent-four")
	link := r.calendar(t).link(t)
	old := v.alice.other(t) // another window of hers
	old.plant(v.Base, v.alice.cookies(v.Base))
	old.open(link)
	old.expect(http.StatusOK, "wants to read your Google Calendar")
	v.alice.open(link)
	v.alice.press("once")
	v.alice.expect(http.StatusOK, "may go on")
	wantEvents(t, r.calendar(t))
	old.press("allow")
	old.expect(http.StatusGone, "You have already allowed this")
	old.look("over-done")
	if a := r.calendar(t); !a.IsError || a.consent(t).Reason != "agent_not_allowed" {
		t.Errorf("once was once, and then a call answered %s", a.show())
	}
	v.audited(t, `"kind":"ticket.replayed"`)
}

// audited wants the audit to hold a text.
func (v *visits) audited(t *testing.T, want string) {
	t.Helper()
	out, errs, code := v.home.run(t, "audit", "export", "--sandbox")
	if code != 0 || !strings.Contains(out, want) {
		t.Errorf("the audit (%d, %s) does not hold %s", code, errs, want)
	}
}
