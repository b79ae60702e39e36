package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

// one is a world with a client that has google connected.
func one(t *testing.T, change ...func(*mcp.Config)) (*world, *client) {
	t.Helper()
	w := newWorld(t, change...)
	w.vault.give(local, "google", calendarScope)
	return w, w.connect("stdio", true, capNone)
}

// TestUnknownTool is -32602, not a tool result.
func TestUnknownTool(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"stdio", "http"} {
		for _, modern := range []bool{true, false} {
			a := newWorld(t).connect(transport, modern, capURL).call("no_such_tool", `{}`)
			if a.Error == nil || a.Error.Code != -32602 {
				t.Errorf("%s: %s", transport, a.raw)
			}
		}
	}
}

// TestBadArguments: the argument and what is allowed are named; no ticket is made, no token asked for.
func TestBadArguments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("stdio", true, capURL)
	for args, words := range map[string]string{
		`{"text":5}`: "text must be a string", `{"txt":"a"}`: `did you mean "text"`,
		`{"text":"123456789012345678901"}`: "at most 20", `[]`: "must be an object", `"x"`: "must be an object",
	} {
		isText(t, c.call("test_read", args), words)
	}
	if w.vault.ticketCount() != 0 || len(w.vault.requests) != 0 {
		t.Error("the vault was asked")
	}
}

// TestWritesPolicy is R81 as amended: a write runs only where the operator
// allows it, or its person approves it; what is switched off is not listed either.
func TestWritesPolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		writes, policy, tool, refusal string
	}{
		{"", "", "test_write", "A person has to allow it"},
		{"ask", "", "test_write", "A person has to allow it"},
		{"deny", "", "test_write", "switched off"},
		{"allow", "", "test_write", ""},
		{"client", "", "test_write", ""},
		{"client", "", "test_destroy", "A person has to allow it"},
		{"ask", "allow", "test_write", ""},
		{"allow", "deny", "test_write", "switched off"},
		{"allow", "ask", "test_write", "A person has to allow it"},
		{"deny", "", "test_read", ""},
		{"allow", "deny", "test_read", "switched off"},
	} {
		t.Run(c.writes+" "+c.policy+" "+c.tool, func(t *testing.T) {
			t.Parallel()
			w, client := one(t, func(cfg *mcp.Config) {
				cfg.Writes = c.writes
				if c.policy != "" {
					cfg.Policy = map[string]string{c.tool: c.policy}
				}
			})
			if _, listed := listedTools(t, client)[c.tool]; listed == (c.refusal == "switched off") {
				t.Errorf("listed: %v", listed)
			}
			a := client.call(c.tool, `{}`)
			if c.refusal == "" {
				isData(t, a, "1000")
				return
			}
			isText(t, a, c.refusal)
			if len(w.ran) != 0 || len(w.vault.requests) != 0 {
				t.Error("it ran")
			}
		})
	}
}

// TestPanic is R76: a panic in a tool is an answer without its value, also in the log, and the server lives on.
func TestPanic(t *testing.T) {
	t.Parallel()
	w, c := one(t)
	text := isText(t, c.call("test_panic", `{}`), "reference")
	_, ref, _ := strings.Cut(text, "reference ")
	if ref = strings.TrimSuffix(ref, "."); ref == "" || !strings.Contains(w.logs.String(), ref) {
		t.Errorf("reference %q is not in the log", ref)
	}
	isData(t, c.call("test_read", `{}`), "1000")
}

// TestAPIWantsMore: an API's "scope missing" becomes a ticket for what the
// vendor named, as far as the catalog knows it, and the call goes on afterwards.
func TestAPIWantsMore(t *testing.T) {
	t.Parallel()
	w, c := one(t)
	a := c.call("test_wider", `{}`)
	isText(t, a, "does not yet allow")
	var meta struct {
		Scopes []string
		Reason string
	}
	if err := json.Unmarshal(a.tool(t).Meta["io.github.grantry/consent"], &meta); err != nil {
		t.Fatal(err)
	}
	if len(meta.Scopes) != 1 || meta.Scopes[0] != "https://www.googleapis.com/auth/calendar" || meta.Reason != "under_scoped" {
		t.Errorf("asked for %+v", meta)
	}
	w.vault.put("google", vault.TicketDone)
	w.vault.give(local, "google", calendarScope)
	isData(t, c.call("test_wider", `{}`), "1000")
}

// TestNobodyIsAsked: what no person can mend is said, with what to do, and makes no ticket.
func TestNobodyIsAsked(t *testing.T) {
	t.Parallel()
	option := []vault.Option{{Connection: "google"}}
	for _, c := range []struct {
		err   error
		words string
	}{
		{&vault.ConsentError{Reason: vault.AccountAmbiguous, Labels: []string{"a@x", "b@x"}}, `"a@x", "b@x"`},
		{&vault.ConsentError{Reason: vault.AccountUnknown, Labels: []string{"a@x"}}, `"a@x"`},
		{&vault.ConsentError{Reason: vault.ProviderUnreachable, Options: option, RetryAfter: 7 * time.Second}, "call again in 7s"},
		{&vault.ConsentError{Reason: vault.ConnMisconfigured, Options: option, Err: errors.New("invalid_client " + "hidden-cause")}, "operator"},
		{&vault.ConsentError{Reason: vault.CannotNarrow, Options: option}, "only these rights"},
		{&vault.ConsentError{Reason: vault.VaultDegraded}, "cannot write"},
		{errors.New("hidden-cause"), "reference"},
	} {
		t.Run(c.words, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.vault.err = c.err
			a := w.connect("stdio", true, capURL).call("test_read", `{}`)
			text := isText(t, a, c.words)
			if strings.Contains(text, "hidden-cause") || strings.Contains(text, "/consent/") || w.vault.ticketCount() != 0 {
				t.Errorf("got %q with %d tickets", text, w.vault.ticketCount())
			}
		})
	}
}

// TestVaultCannotBeOpened: lists work without the vault; calls say what to do,
// and work as soon as it opens.
func TestVaultCannotBeOpened(t *testing.T) {
	t.Parallel()
	opened := make(chan error, 2)
	opened <- errors.New("hidden-cause")
	opened <- &mcp.Notice{Text: "The key file can be read by others. Run chmod 600 on it."}
	close(opened)
	var w *world
	w = newWorld(t, func(c *mcp.Config) {
		c.Open = func(context.Context) (mcp.Vault, error) {
			if err := <-opened; err != nil {
				return nil, err
			}
			return w.vault, nil
		}
	})
	c := w.connect("stdio", true, capNone)
	if a := c.request("tools/list", "", `{}`); a.Error != nil {
		t.Fatalf("tools/list: %s", a.raw)
	}
	if text := isText(t, c.call("test_read", `{}`), "grantry config check"); strings.Contains(text, "hidden-cause") {
		t.Errorf("it leaks: %q", text)
	}
	isText(t, c.call("test_read", `{}`), "chmod 600")
	isLink(t, c.call("test_read", `{}`))
}

// TestPagesCannotBeServed: a notice of whoever serves the pages reaches the person.
func TestPagesCannotBeServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *mcp.Config) {
		c.Pages = func(context.Context) (string, error) {
			return "", &mcp.Notice{Text: "Another program listens on 127.0.0.1:8787. Set listen to a free port."}
		}
	})
	for range 2 {
		isText(t, w.connect("http", true, capURL).call("test_read", `{}`), "Set listen")
	}
}

// TestRateLimits: limits.calls_per_minute and writes_per_minute hold for each caller and agent.
func TestRateLimits(t *testing.T) {
	t.Parallel()
	_, c := one(t, func(cfg *mcp.Config) {
		cfg.Writes = "allow"
		cfg.Limits = mcp.Limits{CallsPerMinute: 4, WritesPerMinute: 1}
	})
	isData(t, c.call("test_write", `{}`), "1000")
	isText(t, c.call("test_write", `{}`), "limits.writes_per_minute")
	isData(t, c.call("test_read", `{}`), "1000")
	isData(t, c.call("test_read", `{}`), "1000")
	isText(t, c.call("test_read", `{}`), "limits.calls_per_minute")
}

// TestWhoCalls: the exchange is for the OS user and "stdio:NAME", or for the token's person and client.
func TestWhoCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		transport, flag string
		modern          bool
		caller          vault.Caller
		agent           vault.Agent
	}{
		{"stdio", "", true, local, vault.Agent{ID: "stdio:wire", Name: "wire"}},
		{"stdio", "", false, local, vault.Agent{ID: "stdio:wire", Name: "wire"}},
		{"stdio", "desk", false, local, vault.Agent{ID: "stdio:desk", Name: "desk"}},
		{"http", "desk", true, alice.Caller, vault.Agent{Issuer: alice.Issuer, ID: "agent-1", Name: "wire"}},
		{"http", "", false, alice.Caller, vault.Agent{Issuer: alice.Issuer, ID: "agent-1", Name: "wire"}},
	} {
		w := newWorld(t, func(cfg *mcp.Config) { cfg.Agent = c.flag })
		w.vault.give(c.caller, "google", calendarScope)
		isData(t, w.connect(c.transport, c.modern, capNone).call("test_read", `{"account":"`+c.caller.Subject+`@example.com"}`), c.caller.Subject)
		r := w.vault.requests[0]
		if r.Caller != c.caller || r.Agent != c.agent || r.Tool != "test_read" || r.Call == "" || r.Account != c.caller.Subject+"@example.com" {
			t.Errorf("%s modern=%v: asked as %+v", c.transport, c.modern, r)
		}
	}
}
