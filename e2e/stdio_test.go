package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestStdioProcessesShareThePort runs two of them on one vault: both give the
// link that the holder of the port serves, and when the holder goes the other
// takes the port over, so that the same link still works.
func TestStdioProcessesShareThePort(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	config := func() clientConfig {
		return h.overStdio(t, clientConfig{SDK: "v2", Era: "legacy", Elicitation: "none"}, "--agent", "shared-agent")
	}
	holder, other := connect(t, config()), connect(t, config())
	link := holder.call(t, "calendar_list_events", map[string]any{}).link(t)
	if got := other.call(t, "calendar_list_events", map[string]any{}).link(t); got != link {
		t.Errorf("the two processes give %s and %s", link, got)
	}
	if !strings.HasPrefix(link, v.base+"/") {
		t.Errorf("the link %s is not on the configured address %s", link, v.base)
	}
	holder.stop(t)
	eventually(t, patience, "taking the port over", func() bool {
		resp, err := http.Get(v.base + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	newBrowser(t).consent(link, "alice")
	wantEvents(t, other.call(t, "calendar_list_events", map[string]any{}))
}

// TestStillPending holds that a client of the 2025 era never gets a second
// -32042 for a link whose person is at the vendor just now: the call waits.
func TestStillPending(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	c := connect(t, clientConfig{SDK: "v1", Era: "legacy", Elicitation: "url", URL: s.MCP, Token: s.token(t, "alice", "eager-agent")})
	link := c.call(t, "calendar_list_events", map[string]any{}).urlRequired(t)[0].URL
	b := newBrowser(t)
	b.signInOnly(link, "alice")
	b.stopAt(s.control).press("allow")
	started := time.Now()
	a := c.call(t, "calendar_list_events", map[string]any{})
	if took := time.Since(started); took < 15*time.Second || took > 30*time.Second {
		t.Errorf("the call waited %s, want about 25 s", took.Round(time.Millisecond))
	}
	if a.Error != nil || !a.IsError || !strings.Contains(strings.ToLower(a.Text), "pending") {
		t.Errorf("the call answered %s, want a result that says pending", a.show())
	}
	b.stopAt("").open(b.page.Held.String())
	b.goOn("alice")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
}

// TestCancelledCall holds that a cancelled call stops waiting and costs
// nothing: the server goes on, and the same link still works.
func TestCancelledCall(t *testing.T) {
	t.Parallel()
	c := inSandbox(t, kind{"v2", "modern", "stdio", "url"})
	id := c.goCall(t, "calendar_list_events", map[string]any{})
	link, _ := c.elicitation(t, 1)
	c.answer(t, 1, "accept")
	c.write(t, map[string]any{"op": "cancel", "id": id})
	if a := c.await(t, id, patience); a.Error == nil {
		t.Errorf("the cancelled call answered %s", a.show())
	}
	started := time.Now()
	c.call(t, "connections_list", map[string]any{}).ok(t)
	within(t, started, 5*time.Second, "a call after the cancelled one")
	newBrowser(t).consent(link, "alice")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
}
