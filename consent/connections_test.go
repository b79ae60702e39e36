package consent_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault"
)

// furnish gives alice three accounts with agents, and bob one.
func furnish(w *world) {
	now := w.clock.Now()
	w.vault.accounts = []vault.Account{
		{ID: "gone", Connection: "google", Label: "old@corp.example", State: vault.GrantRevoked},
		{ID: "g1", Connection: "google", Label: "alice@corp.example", Scopes: []string{calendarScope, "openid"}, State: vault.GrantActive, Default: true, Created: now},
		{ID: "g2", Connection: "google", Label: "alice@home.example", Scopes: []string{calendarScope}, State: vault.GrantActive, Created: now},
		{ID: "s1", Connection: "slack", Label: "alice in Example", Scopes: []string{"chat:write"}, State: vault.GrantExpired, Created: now},
		{ID: "b1", Connection: "google", Label: "bob@corp.example", Scopes: []string{calendarScope}, State: vault.GrantActive, Created: now},
	}
	for id, who := range map[string]string{"gone": "alice", "g1": "alice", "g2": "alice", "s1": "alice", "b1": "bob"} {
		w.vault.owners[id] = "sub-" + who
	}
	claude := vault.Agent{ID: "stdio:claude", Name: "Claude Code"}
	w.vault.access = []vault.Access{
		{ID: "a1", Account: "g1", Agent: claude, Expires: now.AddDate(0, 0, 20), Used: now},
		{ID: "a2", Account: "g1", Agent: vault.Agent{ID: "x", Name: "Cursor", Host: "cursor.example", Verified: true}, Once: true, Expires: now.AddDate(0, 0, 1)},
		{ID: "a3", Account: "g2", Agent: vault.Agent{ID: "y", Name: "Forgotten"}, Expires: now.AddDate(0, 0, -1)},
		{ID: "b9", Account: "b1", Agent: claude, Expires: now.AddDate(0, 0, 20)},
	}
}

// TestConnectionsPage: what waits comes first, then what is connected, in plain
// words, with who may use it; nothing of another person's.
func TestConnectionsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	furnish(w)
	h := w.vault.add(w.request("alice"))
	w.vault.add(vault.Ticket{Kind: vault.KindConnect, Owner: w.owner("bob"), Agent: vault.Agent{ID: "z", Name: "Secret Agent"}, Options: w.request("bob").Options})
	p := w.browser("alice").get("/connections").want(t, http.StatusOK,
		"Waiting for you 1", "Claude Code wants to read your Google Calendar", "See your calendars", "alice@corp.example", "Connected", "default", "for one call", "cursor.example",
		"not verified", "Ended by Slack", "Connect it again", "can change things", "Disconnected", calendarScope, "Connect an account").
		without(t, "bob@corp.example", "Secret Agent", "Forgotten")
	if !strings.Contains(p.body, `href="/consent/`+h+`"`) {
		t.Error("no link to the ticket that waits")
	}
	if strings.Index(p.text(), "Waiting for you") > strings.Index(p.text(), "Accounts") {
		t.Error("what waits is not first")
	}
	if strings.Index(p.text(), "old@corp.example") < strings.Index(p.text(), "alice in Example") {
		t.Error("what is disconnected is not last")
	}
	if n := strings.Count(p.body, `action="/connections/disconnect"`); n != 3 {
		t.Errorf("%d buttons to disconnect, want 3", n)
	}
	w.browser("carol").get("/connections").want(t, http.StatusOK, "Nothing is connected yet")
}

// TestDisconnect: buttons change the person's own things and say what they did.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	furnish(w)
	w.vault.revoked.AtVendor = true
	b := w.browser("alice")
	p := b.get("/connections")
	b.follow(b.post("/connections/disconnect", p, "account", "g2").want(t, http.StatusSeeOther)).
		want(t, http.StatusOK, "alice@home.example is disconnected", "Google has ended the access")
	b.get("/connections").without(t, "is disconnected.")
	b.follow(b.post("/connections/access/revoke", p, "access", "a1")).want(t, http.StatusOK, "may no longer use").without(t, "Claude Code")
	b.follow(b.post("/connections/default", p, "account", "g1")).want(t, http.StatusOK, "alice@corp.example is used now")
	for _, id := range []string{"b1", "none", "", "bob@corp.example", "alice@corp.example"} {
		for _, path := range []string{"/connections/disconnect", "/connections/default", "/connections/reconnect"} {
			b.post(path, p, "account", id).want(t, http.StatusNotFound).without(t, "bob")
		}
	}
	b.post("/connections/access/revoke", p, "access", "b9").want(t, http.StatusNotFound)
	b.post("/connections/access/revoke", p, "access", "none").want(t, http.StatusNotFound)
	b.post("/connections/connect", p, "connection", "none").want(t, http.StatusNotFound)
	for _, a := range w.vault.accounts {
		if a.ID == "b1" && (a.State != vault.GrantActive || a.Default) {
			t.Errorf("bob's account is %+v", a)
		}
	}
}

// TestDisconnectTells: what became of a disconnected account at its vendor is
// told as it was: ended there, not reached yet, kept for another account's sake, or nothing to tell.
func TestDisconnectTells(t *testing.T) {
	t.Parallel()
	for says, done := range map[string]vault.Revocation{
		"Google has ended the access there":           {AtVendor: true},
		"Google could not be told yet":                {Pending: true},
		"would have ended alice@corp.example, too":    {Kept: "alice@corp.example"},
		"Google has no way to be told; you can remov": {},
	} {
		w := newWorld(t)
		furnish(w)
		w.vault.revoked = done
		b := w.browser("alice")
		b.follow(b.post("/connections/disconnect", b.get("/connections"), "account", "g2")).
			want(t, http.StatusOK, "alice@home.example is disconnected", "agent can use it any more", says)
	}
}

// TestHealth: each account says how it is, what the vendor will end it on, and has a button that mends it.
func TestHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	furnish(w)
	ends := w.clock.Now().AddDate(0, 0, 5)
	w.vault.accounts[1].EndsBy = ends
	p := w.browser("alice").get("/connections").want(t, http.StatusOK, "Google will end this connection by "+ends.Format("2 January 2006"), "still in testing", "Connect it again")
	if n := strings.Count(p.text(), "still in testing"); n != 1 {
		t.Errorf("%d accounts end", n)
	}
	if n := strings.Count(p.body, `action="/connections/reconnect"`); n != 2 { // the broken one, and the disconnected one
		t.Errorf("%d buttons connect again", n)
	}
}

// TestConnect: the button makes a ticket of the person's own, with the scopes
// that the tools need, and leads to the same consent page as an agent's link.
func TestConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.cfg.Scopes = func(string) []string { return []string{calendarScope} } })
	furnish(w)
	b := w.browser("alice")
	p := b.get("/connections")
	p = b.follow(b.post("/connections/connect", p, "connection", "google").want(t, http.StatusSeeOther)).
		want(t, http.StatusOK, "Connect your Google account", "You asked for this yourself", "See your calendars", "Connect").without(t, "Allow once")
	p = b.post(strings.TrimPrefix(p.url, w.url), p, "answer", "once").want(t, http.StatusOK)
	if w.vault.answers[0].Once {
		t.Error("a person's own connection was made for once")
	}
	b.get(callbackOf(t, p)).want(t, http.StatusOK, "Google is connected", "each one needs your word first")

	p = b.get("/connections")
	b.follow(b.post("/connections/reconnect", p, "account", "s1")).want(t, http.StatusOK, "Connect your Slack account again", "alice in Example")
	var reconnect vault.Ticket
	for _, k := range w.vault.tickets {
		if k.Reason == vault.Expired {
			reconnect = k
		}
	}
	if o := reconnect.Options; len(o) != 1 || o[0].Grant != "s1" || !o[0].VendorNeeded || reconnect.Owner.Caller != w.owner("alice").Caller || reconnect.Agent != (vault.Agent{}) {
		t.Errorf("ticket %+v", reconnect)
	}
}

// TestSandboxBanner: the pages say "sandbox" when nothing on them is real.
func TestSandboxBanner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, local, func(w *world) { w.cfg.Sandbox = true })
	w.browser("alice").get("/connections").want(t, http.StatusOK, "Sandbox.")
	newWorld(t, local).browser("alice").get("/connections").want(t, http.StatusOK).without(t, "Sandbox.")
}
