package e2e_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/storetest/port"
)

var anyConsentLink = regexp.MustCompile(`https?://\S+/consent/[A-Za-z0-9_-]+`)

// link waits until a command has printed the link of a ticket.
func (p *process) link(t *testing.T) (link string) {
	t.Helper()
	eventually(t, patience, "printing the link", func() bool {
		link = anyConsentLink.FindString(p.output())
		return link != ""
	})
	return link
}

// TestConnectCommand connects an account with `grantry connect`; an agent then
// needs only our page, not the vendor's.
func TestConnectCommand(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	p := h.start(t, "connect", "google", "--no-browser")
	b := newBrowser(t)
	b.consent(p.link(t), "alice")
	if code := p.wait(t, patience); code != 0 {
		t.Fatalf("connect ended with %d\n%s", code, p.output())
	}
	c := connect(t, h.overStdio(t, clientConfig{SDK: "v2", Era: "legacy", Elicitation: "none"}, "--agent", "newcomer"))
	a := c.call(t, "calendar_list_events", map[string]any{})
	if !a.IsError || a.consent(t).Reason != "agent_not_allowed" {
		t.Fatalf("an agent that nobody allowed was answered %s", a.show())
	}
	pages := len(b.seen)
	b.consent(a.link(t), "alice")
	for _, p := range b.seen[pages:] {
		if strings.HasPrefix(p.URL.String(), v.emulated.Google) {
			t.Errorf("allowing an agent led to the vendor: %s", p.URL.Path)
		}
	}
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))

	stdout, stderr, code := h.run(t, "connections", "list", "--json")
	if code != 0 || !strings.Contains(stdout, "alice@example.com") {
		t.Errorf("connections list ended with %d: %s%s", code, stdout, stderr)
	}
}

// TestConnectCommandUnfinished holds exit code 3: a person is needed.
func TestConnectCommandUnfinished(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	p := h.start(t, "connect", "google", "--no-browser")
	b := newBrowser(t)
	b.open(p.link(t))
	b.press("decline")
	if code := p.wait(t, patience); code != 3 {
		t.Errorf("connect ended with %d after a decline, want 3\n%s", code, p.output())
	}
}

// TestAllowOnce holds that "once" is the next call of this agent.
func TestAllowOnce(t *testing.T) {
	t.Parallel()
	s, r, link := openTicket(t)
	b := newBrowser(t)
	b.signInOnly(link, "alice")
	b.press("once")
	b.goOn("alice")
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
	second := r.legacy(t, "calendar_list_events", map[string]any{}).final(t)
	if !second.IsError || second.consent(t).Reason != "agent_not_allowed" {
		t.Fatalf("the second call after once was answered %s", second.show())
	}
	if n := s.counts(t)["google"]["authorize"]; n == 0 {
		t.Error("the vendor was never visited")
	}
}

// TestAgentsAreApart holds that what one agent was allowed is nothing to
// another agent of the same person, nor to the same agent of another person.
func TestAgentsAreApart(t *testing.T) {
	t.Parallel()
	s, r, link := openTicket(t)
	newBrowser(t).consent(link, "alice")
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
	for user, want := range map[string]string{"alice": "agent_not_allowed", "bob": "not_connected"} {
		agent := map[string]string{"alice": "another-agent", "bob": "ticket-agent"}[user]
		other := newRaw(t, s.MCP, s.token(t, user, agent))
		other.initialize(t)
		a := other.legacy(t, "calendar_list_events", map[string]any{}).final(t)
		if !a.IsError || a.consent(t).Reason != want {
			t.Errorf("%s with %s was answered %s, want %s", user, agent, a.show(), want)
		}
	}
}

// TestConnectionsPageRevokes lets a person see and end a connection in the
// browser.
func TestConnectionsPageRevokes(t *testing.T) {
	t.Parallel()
	s, r, link := openTicket(t)
	b := newBrowser(t)
	b.consent(link, "alice")
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
	b.open(s.Connections)
	b.expect(http.StatusOK, "alice@example.com")
	b.click("Disconnect")
	if _, _, again := b.page.find("Disconnect"); again && strings.Contains(b.page.text(), "sure") {
		b.click("Disconnect")
	}
	if s.live(t, "google", "alice") {
		t.Error("the vendor still knows a live grant")
	}
	if a := r.legacy(t, "calendar_list_events", map[string]any{}).final(t); !a.IsError {
		t.Errorf("after disconnecting the call answered %s", a.show())
	}
}

// TestRestartKeepsLinksAndGrants holds that rows survive a restart, also after
// a kill.
func TestRestartKeepsLinksAndGrants(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	addr := port.Get(t).Addr()
	start := func() *sandbox {
		s := &sandbox{home: h, server: h.serve(t, "--sandbox", "--listen", addr)}
		s.find(t)
		return s
	}
	s := start()
	r := newRaw(t, s.MCP, s.token(t, "alice", "lasting-agent"))
	r.initialize(t)
	link := r.legacy(t, "calendar_list_events", map[string]any{}).final(t).link(t)
	s.kill()
	s = start()
	newBrowser(t).consent(link, "alice")
	r = newRaw(t, s.MCP, s.token(t, "alice", "lasting-agent"))
	r.initialize(t)
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
	s.kill()
	s = start()
	r = newRaw(t, s.MCP, s.token(t, "alice", "lasting-agent"))
	r.initialize(t)
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
}
