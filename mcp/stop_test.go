package mcp_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// slowTool adds a tool that is at work until its call ends.
func slowTool(begun chan struct{}) func(*mcp.Config) {
	return func(c *mcp.Config) {
		need := provider.Need{Provider: "google", Groups: [][]string{{calendarScope}}}
		c.Writes = "allow"
		c.Tools = append(c.Tools, tools.Define(tools.Write, "slow_write", "Slow", "Writes.",
			tools.Via(need, func(ctx context.Context, _ *tools.Client, _ noteArguments) (noteResult, error) {
				begun <- struct{}{}
				<-ctx.Done()
				return noteResult{}, ctx.Err()
			})))
	}
}

// The kill switch ends a call in flight: it is told who ended it and where they let it go on, and audited as stopped.
func TestStopEndsCallsInFlight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cause  error
		says   []string
		reason string
	}{
		{&vault.StoppedError{Stop: vault.Stop{StopScope: vault.StopScope{Agent: "k"}}}, []string{"The person has stopped this agent", publicURL + "/agents"}, "stopped"},
		{&vault.StoppedError{Stop: vault.Stop{StopScope: vault.StopScope{Account: "g"}}}, []string{"the use of this account", publicURL + "/agents"}, "stopped"},
		{&vault.StoppedError{}, []string{"all agents", publicURL + "/agents"}, "stopped"},
		{vault.ErrRevoked, []string{"taken away the access"}, "access_revoked"},
	} {
		for _, modern := range []bool{true, false} {
			begun := make(chan struct{}, 1)
			w := newWorld(t, slowTool(begun))
			w.vault.give(local, "google", calendarScope)
			client := w.connect("stdio", modern, capURL)
			call := async(client, "slow_write")
			<-begun
			w.vault.stop(c.cause)
			a := <-call
			for _, said := range c.says {
				isText(t, a, said)
			}
			if text := a.tool(t).text(); strings.Contains(text, "/consent/") || strings.Contains(text, "may have happened") {
				t.Errorf("it says %q", text)
			}
			e := w.vault.entries("tool.called")[0]
			if e.Result != "stopped" || e.Reason != c.reason || e.Detail.Sent || e.Account != "g-google-1000" {
				t.Errorf("entry %+v", e)
			}
		}
	}
}

// What is stopped gets no link: the person is not asked by what they have stopped.
func TestStoppedGetsNoLink(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"stdio", "http"} {
		for _, modern := range []bool{true, false} {
			w := newWorld(t)
			w.vault.stopped = &vault.StoppedError{Stop: vault.Stop{StopScope: vault.StopScope{Agent: "k"}}}
			c := w.connect(transport, modern, capURL)
			for _, tool := range []string{"test_read", "test_write"} {
				if text := isText(t, c.call(tool, `{}`), publicURL+"/agents"); strings.Contains(text, "/consent/") {
					t.Errorf("a link: %q", text)
				}
			}
			if e := w.vault.entries("tool.called")[0]; e.Result != "refused" || e.Reason != "stopped" {
				t.Errorf("entry %+v", e)
			}
		}
	}
}

// connections_list says when this agent's access, or an account, ends within three days, and leaves out what is switched off.
func TestConnectionsListWarns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *mcp.Config) { c.Writes, c.Policy = "ask", map[string]string{"test_destroy": "deny"} })
	c := w.connect("stdio", true, capNone)
	agent := vault.Agent{ID: "stdio:wire"}
	for _, days := range []int{1, 2, 4, 5} {
		w.vault.mu.Lock()
		w.vault.grant(local, "google", calendarScope)
		w.vault.grant(local, "slack")
		ends := time.Now().Add(time.Duration(days)*24*time.Hour - time.Minute)
		w.vault.access = []vault.Access{
			{Agent: agent, Account: "g-google-1000", Ends: ends},
			{Agent: agent, Account: "g-slack-1000", Ends: ends, Once: true},
			{Agent: vault.Agent{ID: "stdio:other"}, Account: "g-slack-1000", Ends: ends},
			{Agent: agent, Account: "g-slack-1000", Ends: time.Now().Add(-time.Hour)},
		}
		w.vault.mu.Unlock()
		list := conforming[connections](t, c, "connections_list", `{}`)
		if got, want := list.Accounts[0].Warning, ends.UTC().Format(time.RFC3339); strings.Contains(got, want) != (days < 4) || days < 4 && !strings.Contains(got, publicURL+"/agents") {
			t.Errorf("%d days: %q", days, got)
		}
		if list.Accounts[1].Warning != "" {
			t.Errorf("slack: %q", list.Accounts[1].Warning)
		}
		if len(list.Tools) != 5 {
			t.Errorf("tools %+v", list.Tools)
		}
	}
	w.vault.mu.Lock()
	w.vault.accounts[local][1].EndsBy = time.Now().Add(time.Hour)
	w.vault.mu.Unlock()
	list := conforming[connections](t, c, "connections_list", `{}`)
	if got := list.Accounts[1].Warning; !strings.Contains(got, "vendor ends this connection") || !strings.Contains(got, publicURL+"/connections") {
		t.Errorf("warning %q", got)
	}
}
