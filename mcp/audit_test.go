package mcp_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

func reasons(entries []vault.Entry) (out []string) {
	for _, e := range entries {
		out = append(out, e.Reason)
	}
	return out
}

// What is refused at the door is in the audit, with nothing of what came.
func TestRefusedRequestsAreAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.serveHTTP()
	post(t, at, discover, "-Authorization", "")
	post(t, at, discover, "Authorization", "Bearer canary-of-a-stranger")
	post(t, at, discover, "Authorization", "Bearer down")
	post(t, at+"?access_token=canary-in-the-address", discover)
	post(t, at, discover, "Origin", "https://evil.example")
	send(t, http.MethodPost, at, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Authorization", "Bearer alice", "Content-Type", "application/json", "Mcp-Session-Id", "canary-session")
	if got, want := reasons(w.vault.entries("auth.refused")), []string{"no_token", "signature", "issuer_unreachable", "token_in_query"}; !slices.Equal(got, want) {
		t.Errorf("auth.refused: %v, want %v", got, want)
	}
	got := w.vault.entries("request.refused")
	if want := []string{"origin", "session"}; !slices.Equal(reasons(got), want) || got[1].Caller != alice.Caller {
		t.Errorf("request.refused: %+v, want %v", got, want)
	}
	for _, e := range w.vault.audited {
		if raw, err := json.Marshal(e); err != nil || strings.Contains(string(raw), "canary") || strings.Contains(string(raw), "evil") || e.Result != "refused" {
			t.Errorf("entry %s, %v", raw, err)
		}
	}
}

// A call that may not run is an entry that says why.
func TestRefusedCallsAreAudited(t *testing.T) {
	t.Parallel()
	w, c := one(t, func(c *mcp.Config) { c.Writes, c.Limits = "deny", mcp.Limits{CallsPerMinute: 1} })
	c.call("test_write", `{"text":"canary"}`)
	c.call("test_read", `{}`)
	c.call("test_read", `{}`)
	got := w.vault.entries("tool.refused")
	if want := []string{"policy_deny", "calls_per_minute"}; !slices.Equal(reasons(got), want) {
		t.Fatalf("reasons %v, want %v", reasons(got), want)
	}
	if got[0].Tool != "test_write" || got[0].Caller.IsZero() || got[0].Agent.ID == "" {
		t.Errorf("entry %+v", got[0])
	}
}

// Each call that ran is an entry: how it ended, and of its arguments a keyed hash that tells same from other.
func TestCallsAreAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("stdio", false, capNone)
	c.call("test_read", `{"text":"a"}`)
	w.vault.give(local, "google", calendarScope)
	c.call("test_read", `{"text":"a"}`)
	c.call("test_read", `{ "text" : "b" }`)
	c.call("test_read", `{ "text" : "a" }`)
	c.call("test_read", `{"text":7}`)
	c.call("test_panic", `{}`)
	c.call("connections_list", `{}`)
	got := w.vault.entries("tool.called")
	want := []string{"not_connected", "", "", "", "arguments", "panic", ""}
	if !slices.Equal(reasons(got), want) {
		t.Fatalf("reasons %q, want %q", reasons(got), want)
	}
	for i, result := range []string{"refused", "ok", "ok", "ok", "refused", "failed", "ok"} {
		if d := got[i].Detail; got[i].Result != result || d.Call == "" || d.Hash == "" || d.Arguments == "" || d.ArgumentBytes < 2 || d.Decision != "allow" || got[i].Agent.ID == "" || got[i].Caller != local {
			t.Errorf("entry %d: %+v", i, got[i])
		}
	}
	if got[1].Connection != "google" || got[1].Account != "g-google-1000" || got[0].Account != "" || got[6].Connection != "" {
		t.Errorf("accounts: %+v", got)
	}
	if got[1].Detail.Arguments != got[3].Detail.Arguments || got[1].Detail.Arguments == got[2].Detail.Arguments || got[1].Detail.Hash == got[6].Detail.Hash {
		t.Errorf("hashes: %+v", got)
	}
}

// TestToolHashes is R83: the vault is told what is offered, and a changed description is another hash.
func TestToolHashes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("http", true, capNone).call("connections_list", `{}`)
	changed := newWorld(t, func(c *mcp.Config) {
		c.Tools = slices.Clone(c.Tools)
		c.Tools[0].Description += " And sends it on."
	})
	changed.connect("stdio", true, capNone).call("connections_list", `{}`)
	before, after := w.vault.offered, changed.vault.offered
	if len(before) != 1 || len(after) != 1 || !slices.Equal(slices.Sorted(maps.Keys(before[0])), w.server.ToolNames()) {
		t.Fatalf("offered %v and %v", before, after)
	}
	for name, hash := range before[0] {
		if same := after[0][name] == hash; same != (name != "test_read") {
			t.Errorf("%s: the same hash: %v", name, same)
		}
	}
}

// On a real vault a call and its releases are joined by a reference, and what the vendor answered is counted, not kept.
func TestCallsInARealAudit(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	c := r.connect("stdio", false, capNone)
	a := c.call("calendar_list_events", `{}`)
	var meta struct{ URL string }
	if err := json.Unmarshal(a.tool(t).Meta["io.github.grantry/consent"], &meta); err != nil {
		t.Fatal(err)
	}
	r.consent(t, meta.URL)
	hasEvents(t, c.call("calendar_list_events", `{"limit":3}`))
	isText(t, c.call("calendar_list_events", `{"query":"canary-argument","limit":"canary-limit"}`), "Wrong arguments")
	byKind := map[string][]vault.AuditEntry{}
	for e, err := range r.v.AuditLog(t.Context(), vault.AuditQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		e.Person = "" // read from the person's own row
		raw, err := json.Marshal(e)
		if err != nil || strings.Contains(string(raw), "canary") || strings.Contains(string(raw), "@") || strings.Contains(string(raw), "limit\"") {
			t.Errorf("entry %s, %v", raw, err)
		}
		byKind[e.Kind] = append(byKind[e.Kind], e)
	}
	called, released := byKind["tool.called"], byKind["token.released"]
	if len(called) != 3 || len(released) != 1 || len(byKind["token.refused"]) != 1 || len(byKind["tools.listed"]) != 1 {
		t.Fatalf("kinds: %+v", byKind)
	}
	d := called[1].Detail
	if called[1].Result != "ok" || d.Call != released[0].Detail.Call || d.Status != "2xx" || d.Bytes < 100 || d.Host != "www.googleapis.com" || called[1].Account != released[0].Account {
		t.Errorf("call %+v", called[1])
	}
	if rd := released[0].Detail; rd.Generation != 1 || rd.Expires == 0 {
		t.Errorf("release %+v", released[0])
	}
	if called[0].Reason != "not_connected" || called[2].Reason != "arguments" || called[0].Detail.Status != "" {
		t.Errorf("calls %+v", called)
	}
	if _, err := r.v.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}
