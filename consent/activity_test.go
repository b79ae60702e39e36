package consent_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// live gives alice and bob a past, alice's newest first.
func live(w *world) {
	now := w.clock.Now()
	entry := func(who string, ago time.Duration, e vault.Activity) {
		e.Time, e.User = now.Add(-ago), w.vault.Pseudonym(w.owner(who).Caller)
		if e.Result == "" {
			e.Result = "ok"
		}
		w.vault.activity = append(w.vault.activity, e)
	}
	call := func(tool, result, reason string, d vault.Detail) vault.AuditEntry {
		return vault.AuditEntry{Kind: "tool.called", Tool: tool, Connection: "slack", Result: result, Reason: reason, Detail: d}
	}
	entry("alice", time.Minute, vault.Activity{AuditEntry: call("chat_post_message", "ok", "", vault.Detail{Call: "ref-1"}), AgentName: "Claude Code", AccountLabel: "alice in Example", Summary: "to #sales"})
	entry("alice", 2*time.Minute, vault.Activity{AuditEntry: call("chat_post_message", "failed", "stopped", vault.Detail{Sent: true}), AgentName: "Claude Code", Summary: "to #board"})
	entry("alice", 3*time.Minute, vault.Activity{AuditEntry: call("mail_search", "failed", "stopped", vault.Detail{}), AgentName: "Claude Code"})
	entry("alice", 4*time.Minute, vault.Activity{AuditEntry: vault.AuditEntry{Kind: "tool.refused", Tool: "crm_update_record", Result: "refused", Reason: "policy_ask", Detail: vault.Detail{Count: 7}}, AgentName: "Cursor"})
	entry("bob", 5*time.Minute, vault.Activity{AuditEntry: call("mail_send", "ok", "", vault.Detail{}), AgentName: "Secret Agent", Summary: "to everybody"})
	entry("alice", 5*time.Minute, vault.Activity{AuditEntry: vault.AuditEntry{
		Kind: "token.exchanged", Connection: "google", Scopes: []string{"https://www.googleapis.com/auth/calendar.readonly", "openid"},
	}, AgentName: "nightly", AccountLabel: "alice@corp.example"})
	entry("alice", 25*time.Hour, vault.Activity{AuditEntry: vault.AuditEntry{Kind: "grant.stored", Connection: "google"}, AccountLabel: "alice@corp.example"})
	entry("alice", 25*time.Hour, vault.Activity{AuditEntry: vault.AuditEntry{Kind: "token.released", Connection: "google"}, AgentName: "Cursor"})
	entry("alice", 25*time.Hour, vault.Activity{AuditEntry: vault.AuditEntry{Kind: "access.unheard_of"}, AgentName: "Cursor"})
	for i := range 60 {
		entry("alice", 100*24*time.Hour+time.Duration(i)*time.Hour, vault.Activity{AuditEntry: call(fmt.Sprintf("old_tool_%d", i), "ok", "", vault.Detail{}), AgentName: "Cursor"})
	}
}

// TestActivityPage: what agents did, in sentences with the tool's own line,
// newest first and by day; what was stopped on its way may have happened;
// nothing of another person's.
func TestActivityPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	furnish(w)
	live(w)
	p := w.browser("alice").get("/activity").want(t, http.StatusOK,
		"Claude Code used chat_post_message to #sales", "alice in Example ref-1", "to #board stopped · may have happened", "used mail_search stopped",
		"Cursor wanted to use crm_update_record (7 times) refused: it needs your word first", "You connected Google", "access.unheard_of",
		"nightly took a token for Google: see your calendars and their events alice@corp.example",
		w.clock.Now().Add(-100*24*time.Hour).Format("2 January 2006")).
		without(t, "Secret Agent", "to everybody", "mail_send", "got Google access", "bob@corp.example")
	if strings.Count(p.text(), "may have happened") != 1 || strings.Index(p.text(), "#sales") > strings.Index(p.text(), "#board") {
		t.Errorf("the page reads: %s", p.text())
	}
	w.browser("carol").get("/activity").want(t, http.StatusOK, "Nothing has happened yet")
}

// TestActivityFilters: the filters reach the vault, stay chosen, and are kept from page to page.
func TestActivityFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	furnish(w)
	live(w)
	b := w.browser("alice")
	key := w.vault.AgentKey(vault.Agent{ID: "stdio:claude", Name: "Claude Code"})
	p := b.get("/activity?"+encode("agent", key, "account", "s1", "tool", "chat_post_message", "kind", "calls")).
		want(t, http.StatusOK, "#sales", "Show all").without(t, "You connected", "mail_search")
	q := w.vault.queries[len(w.vault.queries)-1]
	if q.Agent != key || q.Account != "s1" || q.Tool != "chat_post_message" || !slices.Equal(q.Kinds, []string{"tool.called", "tool.refused", "proxy.request", "proxy.refused"}) {
		t.Errorf("asked for %+v", q)
	}
	if n := strings.Count(p.body, " selected"); n != 3 {
		t.Errorf("%d choices are chosen", n)
	}
	b.get("/activity?kind=tokens").want(t, http.StatusOK, "got Google access")
	b.get("/activity?kind=none&tool=x").want(t, http.StatusOK, "Nothing fits")

	older := regexp.MustCompile(`rel="next" href="([^"]*)"`)
	first := b.get("/activity?kind=calls")
	m := older.FindStringSubmatch(first.body)
	if m == nil {
		t.Fatal("no older page")
	}
	second := b.get(strings.ReplaceAll(m[1], "&amp;", "&")).want(t, http.StatusOK, "Newest", "old_tool_59").without(t, "#sales")
	if older.MatchString(second.body) || !strings.Contains(second.body, `href="/activity?kind=calls"`) || !strings.Contains(m[1], "kind=calls") {
		t.Errorf("pages lead to %q and on", m[1])
	}
	seen := regexp.MustCompile(`old_tool_\d+`)
	if n := len(seen.FindAllString(first.body, -1)) + len(seen.FindAllString(second.body, -1)); n != 60 {
		t.Errorf("two pages hold %d of 60 calls", n)
	}
	b.get("/activity?before=nonsense").want(t, http.StatusNotFound)
}

// TestHostileActivity holds R08: what a tool, an agent or a vendor says of itself is inert text here, too.
func TestHostileActivity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	furnish(w)
	evil := "<script>alert(1)</script>\"'><img src=x onerror=y>\u202egoogle\u2066\u200b\x00" + strings.Repeat("A", 5000)
	agent := vault.Agent{ID: evil, Name: evil, Host: evil, Issuer: "https://issuer.example"}
	w.vault.access = []vault.Access{{ID: "a1", Account: "g1", Agent: agent, Scopes: []string{evil}, Expires: w.clock.Now().AddDate(0, 1, 0)}}
	w.vault.standing = []vault.Standing{{ID: "st", Agent: agent, Tool: evil, Account: "g1", Until: w.clock.Now().Add(time.Hour)}}
	w.vault.activity = []vault.Activity{{
		AuditEntry: vault.AuditEntry{
			Time: w.clock.Now(), User: w.vault.Pseudonym(w.owner("alice").Caller), Kind: "tool.called", Tool: evil, Connection: evil, Result: "failed", Reason: evil,
			Detail: vault.Detail{Call: evil},
		}, AgentName: evil, AccountLabel: evil, Summary: evil,
	}}
	b := w.browser("alice")
	for _, path := range []string{"/agents", "/activity", "/activity?" + encode("tool", evil, "agent", evil, "kind", evil), "/connections"} {
		p := b.get(path).want(t, http.StatusOK).without(t, "\u202e", "\u2066", "\u200b", "\x00", strings.Repeat("A", 250))
		checkInert(t, p)
		checkHeaders(t, p)
	}
}
