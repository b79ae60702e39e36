package consent_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

var (
	claudeCode = vault.Agent{ID: "stdio:claude", Name: "Claude Code"}
	oldCursor  = vault.Agent{Issuer: "https://login.example.com", ID: "old-id", Name: "Cursor", Host: "cursor.example", Verified: true}
)

// employ gives alice's agents a history: an installation of Cursor before the present one, an end that is near, a standing approval.
func employ(w *world) {
	furnish(w)
	now := w.clock.Now()
	w.vault.access[0].Scopes, w.vault.access[0].Wider = []string{calendarScope, "openid"}, true
	w.vault.access = append(w.vault.access,
		vault.Access{ID: "a4", Account: "s1", Agent: claudeCode, Scopes: []string{"chat:write"}, Expires: now.Add(71 * time.Hour), Created: now.AddDate(0, 0, -9)},
		vault.Access{ID: "a5", Account: "g2", Agent: oldCursor, Scopes: []string{calendarScope}, Expires: now.AddDate(0, 0, 200), Ends: now.AddDate(0, 0, 12), Created: now.AddDate(0, 0, -30)},
	)
	w.vault.access[1].Created = now.AddDate(0, 0, -1)
	w.vault.standing = []vault.Standing{
		{ID: "st_1", Agent: claudeCode, Tool: "chat_post_message", Account: "s1", Until: now.Add(42 * time.Minute)},
		{ID: "st_9", Agent: claudeCode, Tool: "mail_send", Account: "b1", Until: now.Add(42 * time.Minute)},
	}
}

// TestAgentsPage: agents with what each may use until when, in plain words;
// ends that are near are marked three days before; installations of one program
// stand together; nothing of another person's.
func TestAgentsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	employ(w)
	unused := w.clock.Now().AddDate(0, 0, 12).Format("2 January 2006")
	p := w.browser("alice").get("/agents").want(t, http.StatusOK, "Claude Code", "alice@corp.example", "May see your calendars and their events, and is handed tokens that can do more than that",
		"ends in 2 days", "for one call", "until "+unused, "2 installations", "old-id", "Move its access to the newest",
		"chat_post_message in alice in Example, ends in 42 minutes", "It may use none of your accounts now", "Stop everything").
		without(t, "bob@corp.example", "mail_send", "until "+w.clock.Now().AddDate(0, 0, 200).Format("2 January 2006"))
	if n := strings.Count(p.text(), "ends in 2 days"); n != 1 {
		t.Errorf("%d ends are marked", n)
	}
	if n := strings.Count(p.body, `action="/agents/move"`); n != 1 {
		t.Errorf("%d buttons move access", n)
	}
	w.browser("alice").get("/connections").want(t, http.StatusOK, "ends in 2 days")
	w.browser("carol").get("/agents").want(t, http.StatusOK, "No agent has asked for anything yet")
}

// TestAgentsControl holds R42 on the page of agents: its buttons end what is
// the person's own; what is another's is not found, like what does not exist.
func TestAgentsControl(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	employ(w)
	b := w.browser("alice")
	p := b.get("/agents")
	b.follow(b.post("/agents/access/revoke", p, "access", "a4").want(t, http.StatusSeeOther)).
		want(t, http.StatusOK, "may no longer use the account").without(t, "alice in Example, ends in 2 days")
	b.follow(b.post("/agents/standing/end", p, "standing", "st_1")).want(t, http.StatusOK, "You are asked again").without(t, "chat_post_message in")
	cursor := w.vault.AgentKey(w.vault.access[1].Agent)
	b.follow(b.post("/agents/move", p, "from", w.vault.AgentKey(oldCursor), "to", cursor)).want(t, http.StatusOK, "Moved the access to 1 account").without(t, "old-id")
	for path, kv := range map[string][]string{
		"/agents/access/revoke": {"access", "b9"}, "/agents/standing/end": {"standing", "st_9"}, "/agents/move": {"from", cursor, "to", w.vault.AgentKey(claudeCode)},
	} {
		b.post(path, p, kv...).want(t, http.StatusNotFound)
	}
	b.post("/agents/move", p, "from", "none", "to", cursor).want(t, http.StatusNotFound)
	if len(w.vault.standing) != 1 || w.vault.access[len(w.vault.access)-1].Account != "g2" {
		t.Errorf("left are %+v, %+v", w.vault.standing, w.vault.access)
	}
}

// TestKillSwitch: one click stops an agent, an account or everything, and says
// what it ended; a second click lets them ask again. Only what the form says is stopped.
func TestKillSwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	employ(w)
	b := w.browser("alice")
	agents := b.get("/agents")
	claudeKey := w.vault.AgentKey(claudeCode)
	b.post("/agents/stop", agents, "agent", claudeKey).want(t, http.StatusOK, "Claude Code is stopped", "may have happened", "Let it ask again")
	b.get("/agents").want(t, http.StatusOK, "You stopped it just now")
	b.follow(b.post("/agents/resume", agents, "agent", claudeKey)).want(t, http.StatusOK, "Claude Code may ask you again").without(t, "You stopped it")

	home := b.get("/connections")
	p := b.post("/connections/stop", home, "account", "g1").want(t, http.StatusOK, "alice@corp.example is stopped", "access in 2 places", "no open request")
	b.get("/connections").want(t, http.StatusOK, "You stopped this account just now")
	b.follow(b.post("/connections/resume", p, "account", "g1")).want(t, http.StatusOK, "Agents may ask for alice@corp.example again").without(t, "You stopped this account")

	b.post("/agents/stop", agents, "all", "yes").want(t, http.StatusOK, "Everything is stopped", "stay")
	b.get("/agents").want(t, http.StatusOK, "Everything is stopped since just now").without(t, "Stop all agents")
	b.follow(b.post("/agents/resume", agents, "all", "yes")).want(t, http.StatusOK, "Agents may ask you again")
	b.post("/agents/resume", agents, "all", "yes").want(t, http.StatusNotFound)
	for _, kv := range [][]string{{}, {"all", "no"}, {"agent", ""}, {"agent", "none"}, {"agent", claudeKey, "all", "yes"}, {"account", "g1"}} {
		b.post("/agents/stop", agents, kv...).want(t, http.StatusNotFound)
	}
	for _, kv := range [][]string{{}, {"account", ""}, {"account", "b1"}, {"account", "alice@corp.example"}, {"all", "yes"}} {
		b.post("/connections/stop", home, kv...).want(t, http.StatusNotFound)
	}
	if len(w.vault.stops) != 0 {
		t.Errorf("stopped are %+v", w.vault.stops)
	}
}

// TestControlForms holds R11 on every button of these pages: without the
// token of its own page and session, and from another site, it does nothing; a GET does nothing either.
func TestControlForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	employ(w)
	b, other := w.browser("alice"), w.browser("alice")
	pages := map[string]page{"/agents": b.get("/agents"), "/connections": b.get("/connections"), "/pair": b.get("/pair")}
	theirs := map[string]page{"/agents": other.get("/agents"), "/connections": other.get("/connections")}
	access, accounts := len(w.vault.access), len(w.vault.accounts)
	for path, kv := range map[string][]string{
		"/agents/stop": {"all", "yes"}, "/agents/resume": {"all", "yes"}, "/agents/access/revoke": {"access", "a1"}, "/agents/standing/end": {"standing", "st_1"},
		"/agents/move":      {"from", w.vault.AgentKey(oldCursor), "to", w.vault.AgentKey(w.vault.access[1].Agent)},
		"/connections/stop": {"account", "g1"}, "/connections/resume": {"account", "g1"}, "/connections/access/revoke": {"access", "a1"},
		"/connections/default": {"account", "g2"}, "/connections/reconnect": {"account", "s1"}, "/connections/disconnect": {"account", "g1"},
	} {
		own := "/" + strings.Split(path, "/")[1]
		wrong := []page{pages["/pair"], theirs[own]}
		for name, p := range pages {
			if name != own {
				wrong = append(wrong, p)
			}
		}
		for _, p := range wrong {
			b.post(path, p, kv...).want(t, http.StatusForbidden, "open for too long")
		}
		b.post(path, pages[own], append(kv, "csrf", "")...).want(t, http.StatusForbidden)
		b.head = http.Header{"Sec-Fetch-Site": {"cross-site"}}
		b.post(path, pages[own], kv...).want(t, http.StatusForbidden, "Another website")
		b.head = http.Header{}
		b.get(path+"?"+encode(kv...)).want(t, http.StatusNotFound)
	}
	if len(w.vault.access) != access || len(w.vault.accounts) != accounts || len(w.vault.stops) != 0 || len(w.vault.standing) != 2 || len(w.vault.tickets) != 0 {
		t.Error("something was done")
	}
}
