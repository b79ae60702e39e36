package mcp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

var update = flag.Bool("update", false, "write the golden files")

// listedTools are the tools as a client sees them.
func listedTools(t *testing.T, c *client) map[string]json.RawMessage {
	t.Helper()
	var list struct{ Tools []json.RawMessage }
	if err := json.Unmarshal(c.request("tools/list", "", `{}`).Result, &list); err != nil {
		t.Fatal(err)
	}
	out := map[string]json.RawMessage{}
	for _, raw := range list.Tools {
		var tool struct{ Name string }
		if err := json.Unmarshal(raw, &tool); err != nil {
			t.Fatal(err)
		}
		out[tool.Name] = raw
	}
	return out
}

// TestGolden compares what a client sees of our own tools with testdata/NAME.json.
func TestGolden(t *testing.T) {
	t.Parallel()
	all := listedTools(t, newWorld(t).connect("stdio", true, capNone))
	for _, name := range []string{"connections_list", "connections_connect"} {
		var got bytes.Buffer
		if err := json.Indent(&got, all[name], "", "  "); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got.WriteByte('\n')
		path := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// conforming decodes a result that fits the output schema of its tool.
func conforming[T any](t *testing.T, c *client, tool, args string) T {
	t.Helper()
	r := c.call(tool, args).tool(t)
	if r.IsError {
		t.Fatalf("%s: %s", tool, r.text())
	}
	var described struct{ OutputSchema jsonschema.Schema }
	if err := json.Unmarshal(listedTools(t, c)[tool], &described); err != nil {
		t.Fatal(err)
	}
	resolved, err := described.OutputSchema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(r.Structured, &value); err != nil {
		t.Fatal(err)
	}
	if err := resolved.Validate(value); err != nil {
		t.Errorf("%s: %v", tool, err)
	}
	if r.text() != string(r.Structured) {
		t.Errorf("%s: the text says something else: %s", tool, r.text())
	}
	var out T
	if err := json.Unmarshal(r.Structured, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

type connections struct {
	Accounts []struct {
		ID, Connection, Provider, Label, State string
		Scopes                                 []string
		Warning                                string
		Default                                bool
	}
	Tools []struct {
		Name    string
		Missing []string
	}
}

// TestConnectionsList: the caller's accounts and what each enabled tool would need, before and after.
func TestConnectionsList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("stdio", true, capURL)
	before := conforming[connections](t, c, "connections_list", `{}`)
	if len(before.Accounts) != 0 || len(before.Tools) != 6 || !slices.Equal(before.Tools[0].Missing, []string{calendarScope}) {
		t.Errorf("before: %+v", before)
	}
	w.vault.give(local, "google", calendarScope)
	w.vault.give(alice.Caller, "slack", "chat:write")
	after := conforming[connections](t, c, "connections_list", `{}`)
	if len(after.Accounts) != 1 || after.Accounts[0].Label != "1000@example.com" || after.Accounts[0].State != "active" || after.Accounts[0].Provider != "google" {
		t.Errorf("accounts: %+v", after.Accounts)
	}
	if len(after.Tools[0].Missing) != 0 || !slices.Equal(after.Tools[5].Missing, []string{"chat:write"}) {
		t.Errorf("tools: %+v", after.Tools)
	}
	w.vault.lack = &vault.ConsentError{Reason: vault.AgentNotAllowed, Options: []vault.Option{{Connection: "google"}}}
	if got := conforming[connections](t, c, "connections_list", `{}`); !slices.Equal(got.Tools[0].Missing, []string{"agent_not_allowed"}) {
		t.Errorf("tools: %+v", got.Tools[0])
	}
	if w.vault.ticketCount() != 0 {
		t.Error("a person was asked")
	}
	isText(t, c.call("connections_list", `{"x":1}`), "takes none")
}

type connected struct {
	Connection, Account, Message string
	Scopes                       []string
}

// TestConnectionsConnect: a link before anything has failed, in the same three
// ways; and when everything is there it says so.
func TestConnectionsConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *mcp.Config) { c.Writes = "deny" }) // it writes nothing at a vendor
	c := w.connect("stdio", true, capURL)
	isInputRequired(t, c.call("connections_connect", `{"connection":"google"}`))
	c.caps = capNone
	isLink(t, c.call("connections_connect", `{"connection":"google"}`))
	w.vault.put("google", vault.TicketDone)
	got := conforming[connected](t, c, "connections_connect", `{"connection":"google"}`)
	if got.Account != "1000@example.com" || !slices.Equal(got.Scopes, []string{calendarScope}) {
		t.Errorf("got %+v", got)
	}
	isText(t, c.call("connections_connect", `{"connection":"google","scopes":["openid"]}`), "does not yet allow")
}

// TestConnectionsConnectLegacy is the row of the 2025 era.
func TestConnectionsConnectLegacy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	isURLRequired(t, w.connect("http", false, capURL).call("connections_connect", `{"connection":"google"}`))
}

// TestConnectionsConnectArguments: what is allowed is named, and nobody is asked.
func TestConnectionsConnectArguments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("stdio", true, capURL)
	for args, words := range map[string]string{
		`{}`:                                       "one of: google, slack",
		`{"connection":"gogle"}`:                   "one of: google, slack",
		`{"connection":5}`:                         "one of: google, slack",
		`{"Connection":"google"}`:                  "may only be: connection, scopes",
		`{"connection":"google","scopes":"x"}`:     "must be a list",
		`{"connection":"google","scopes":[""]}`:    "scopes[0]",
		`{"connection":"google","scopes":["a b"]}`: "scopes[0]",
		`[]`: "must be an object",
	} {
		isText(t, c.call("connections_connect", args), words)
	}
	if w.vault.ticketCount() != 0 {
		t.Error("a person was asked")
	}
}
