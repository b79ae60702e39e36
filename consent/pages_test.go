package consent_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	sendMail   = "https://www.googleapis.com/auth/gmail.send"
	editEvents = "https://www.googleapis.com/auth/calendar.events"
)

// own is a ticket that alice made for herself, with two scopes that she may leave out.
func (w *world) own() vault.Ticket {
	t := w.request("alice")
	t.Agent, t.Tool = vault.Agent{}, ""
	t.Options[0].Scopes = []string{calendarScope, sendMail}
	t.Options[0].Missing, t.Options[0].Optional = t.Options[0].Scopes, t.Options[0].Scopes
	return t
}

func (f *fakeVault) lastAnswer(t *testing.T) vault.Answer {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.answers) == 0 {
		t.Fatal("the vault got no answer")
	}
	return f.answers[len(f.answers)-1]
}

// TestTerms: what a person chooses besides yes arrives at the vault: a shorter
// time, what they left out, which agents; a form that says nothing of boxes leaves all in.
func TestTerms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		own  bool
		form []string
		want vault.Answer
	}{
		"nothing said":   {false, []string{"answer", "allow"}, vault.Answer{}},
		"a shorter time": {false, []string{"answer", "allow", "for", "168h0m0s"}, vault.Answer{TTL: 7 * 24 * time.Hour}},
		"once":           {false, []string{"answer", "once", "for", "1h0m0s"}, vault.Answer{Once: true}},
		"once by time":   {false, []string{"answer", "allow", "for", "once"}, vault.Answer{Once: true}},
		"another's move": {false, []string{"answer", "allow", "move", "k1"}, vault.Answer{Move: "k1"}},
		"unticked":       {true, []string{"answer", "allow", "scopes", "shown", "scope", calendarScope}, vault.Answer{Without: []string{sendMail}}},
		"no boxes":       {true, []string{"answer", "allow"}, vault.Answer{}},
		"agents":         {true, []string{"answer", "allow", "agents", "k1", "agents", "k2", "for", "1h0m0s"}, vault.Answer{Agents: []string{"k1", "k2"}, TTL: time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			req := w.request("alice")
			if c.own {
				req = w.own()
			}
			h := w.vault.add(req)
			b := w.browser("alice")
			b.post("/consent/"+h, b.get("/consent/"+h), c.form...).want(t, http.StatusOK)
			got := w.vault.lastAnswer(t)
			if got.Once != c.want.Once || got.TTL != c.want.TTL || got.Move != c.want.Move ||
				strings.Join(got.Without, " ") != strings.Join(c.want.Without, " ") || strings.Join(got.Agents, " ") != strings.Join(c.want.Agents, " ") {
				t.Errorf("the vault got %+v", got)
			}
		})
	}
}

// TestTermsRefused: a form that none of our pages makes does nothing.
func TestTermsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.request("alice"))
	b := w.browser("alice")
	p := b.get("/consent/" + h)
	for _, form := range [][]string{
		{"answer", "allow", "for", "forever"}, {"answer", "allow", "for", "-1h"}, {"answer", "allow", "approve", "always"}, {"approve", "always"}, {"for", "1h"},
	} {
		b.post("/consent/"+h, p, form...).want(t, http.StatusBadRequest, "That was no answer")
	}
	if len(w.vault.answers) != 0 {
		t.Error("an answer went on")
	}
}

// TestOwnConnect: the page of a person's own connect offers what they may leave
// out, ticked, and the agents that they know, unticked.
func TestOwnConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.agents = []vault.KnownAgent{
		{Key: "k1", Agent: vault.Agent{Issuer: "https://login.example", ID: "client-17", Name: "Claude Code"}, Last: w.clock.Now().Add(-3 * time.Hour)},
		{Key: "k2", Agent: vault.Agent{ID: "stdio:x", Name: "Stopped one"}, Stopped: w.clock.Now()},
	}
	p := w.browser("alice").get("/consent/"+w.vault.add(w.own())).
		want(t, http.StatusOK, "Connect your Google account", "Only if you want", "Send mail as you", "Which of your agents may use it?", "client-17", "last seen 3 hours ago").
		without(t, "Stopped one")
	for _, box := range []string{
		`<input type="checkbox" name="scope" value="` + sendMail + `" checked>`, `<input type="checkbox" name="agents" value="k1">`,
		`<input type="hidden" name="scopes" value="shown">`,
	} {
		if !strings.Contains(p.body, box) {
			t.Errorf("the page lacks %s", box)
		}
	}
}

// TestWidened: what is new stands apart from what was allowed before, and an
// earlier agent of the same name and host is offered to be replaced.
func TestWidened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.accounts = []vault.Account{{ID: "g1", Connection: "google", Label: "alice@corp.example", State: vault.GrantActive}}
	w.vault.owners["g1"] = "sub-alice"
	req := w.request("alice")
	req.Reason = vault.UnderScoped
	req.Options = []vault.Option{{Connection: "google", Scopes: []string{calendarScope, editEvents}, Missing: []string{editEvents}, Grant: "g1", VendorNeeded: true}}
	now := w.clock.Now()
	at := func(connection string, end time.Duration) []vault.Access {
		return []vault.Access{{Connection: connection, Expires: now.Add(end)}}
	}
	same := func(key string, met time.Duration, access []vault.Access) vault.KnownAgent {
		return vault.KnownAgent{Key: key, Agent: vault.Agent{ID: "stdio:" + key, Name: "Claude Code", Host: "claude.example"}, Group: "g", First: now.Add(met), Access: access}
	}
	other := same("other", -time.Hour, at("google", time.Hour))
	other.Group = "h"
	once := same("once", -time.Hour, at("google", time.Hour))
	once.Access[0].Once = true
	vouched := same("vouched", -time.Hour, at("google", time.Hour))
	req.Agent.Verified, vouched.Agent.Verified = false, true
	w.vault.agents = []vault.KnownAgent{
		{Key: w.vault.AgentKey(req.Agent), Agent: req.Agent, Group: "g", First: now, Access: at("google", time.Hour)},
		same("earlier", -time.Hour, at("google", time.Hour)), other, once, vouched,
		same("over", -time.Hour, at("google", -time.Hour)),
		same("later", time.Hour, at("google", time.Hour)),
		same("elsewhere", -time.Hour, at("slack", time.Hour)),
		same("nothing", -time.Hour, nil),
	}
	h := w.vault.add(req)
	b := w.browser("alice")
	p := b.get("/consent/"+h).want(t, http.StatusOK, "Claude Code wants to read and change your Google Calendar", "New: it will be able to See, create, change and delete events",
		"As before, it may See your calendars", "Should its access go over", "alice@corp.example")
	for key, offered := range map[string]bool{
		"earlier": true, "": true, "other": false, "over": false, "once": false, "vouched": false, "later": false, "elsewhere": false, "nothing": false,
	} {
		if got := strings.Contains(p.body, `name="move" value="`+key+`"`); got != offered {
			t.Errorf("a move from %q is offered: %v", key, got)
		}
	}
}

// write makes a ticket for a call of alice's, and its approval.
func (w *world) write(wr vault.Write, account string) vault.Ticket {
	t := w.request("alice")
	t.Approval, t.Tool, t.Reason = "ap_"+wr.Tool, wr.Tool, vault.ApprovalRequired
	w.vault.approvals[t.Approval] = vault.Approval{ID: t.Approval, Owner: t.Owner.Caller, Agent: t.Agent, Write: wr, Account: account}
	if account != "" {
		t.Kind = vault.KindApprove
		t.Options = []vault.Option{{Connection: "slack", Scopes: []string{"chat:write"}, Grant: account}}
	}
	return t
}

func (w *world) slack() {
	w.vault.accounts = []vault.Account{{ID: "s1", Connection: "slack", Label: "alice in Acme", State: vault.GrantActive}}
	w.vault.owners["s1"] = "sub-alice"
}

// TestWriteShown: the page of a write shows the call as it will run: tool,
// account, every argument in full, and what hides or turns text as a mark.
func TestWriteShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slack()
	long := strings.Repeat("All of it. ", 2000)
	raw, err := json.Marshal(map[string]any{
		"channel": "#general", "text": "to <b>you</b> \u202eyadnoM\u200b\r\x07\ufe0f\u3164", "long": long, "count": 12345678901234567, "deep": map[string]any{"list": []any{"one", true, nil, map[string]any{}}}, "empty": "",
	})
	if err != nil {
		t.Fatal(err)
	}
	h := w.vault.add(w.write(vault.Write{Tool: "chat_post_message", Title: "Post a chat message", Arguments: raw}, "s1"))
	b := w.browser("alice")
	p := b.get("/consent/"+h).want(t, http.StatusOK,
		"Claude Code wants to post a chat message", "chat_post_message", "Slack, alice in Acme", "#general", strings.TrimSpace(long), "12345678901234567", "one", "true", "null", "empty text",
		"<b>you</b>", "⟦U+202E⟧ yadnoM ⟦U+200B⟧ ⟦U+000D⟧ ⟦U+0007⟧ ⟦U+FE0F⟧ ⟦U+3164⟧", "For 1 hour", "Today", "Decline").
		without(t, "\u202e", "\u200b", "\x07", "It will be able to")
	checkInert(t, p)
	b.post("/consent/"+h, p, "approve", "hour").want(t, http.StatusOK, "exactly the call that you saw", "Claude Code may go on")
	if a := w.vault.lastAnswer(t); a.Approve != vault.ApproveHour || a.Once || a.Connection != "slack" {
		t.Errorf("the vault got %+v", a)
	}
}

// TestUpdateShown: of an update the page shows what goes, what comes and what stays.
func TestUpdateShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slack()
	p := w.browser("alice").get("/consent/"+w.vault.add(w.write(vault.Write{
		Tool: "documents_update", Arguments: json.RawMessage(`{"text":"one\n2\nthree"}`),
		Changes: []vault.Change{{Field: "text", Was: "one\ntwo\nthree", Becomes: "one\n2\nthree"}},
	}, "s1"))).want(t, http.StatusOK, "text one taken away: two added: 2 three")
	if strings.Count(p.body, "<del>") != 1 || strings.Count(p.body, "<ins>") != 1 {
		t.Error("the change is not shown as one line for another")
	}
}

// TestDestroyShown: what deletes is asked for each time.
func TestDestroyShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slack()
	h := w.vault.add(w.write(vault.Write{Tool: "records_delete", Destroy: true, Arguments: json.RawMessage(`{}`)}, "s1"))
	w.browser("alice").get("/consent/"+h).want(t, http.StatusOK, "deletes", "You are asked each time", "It sends nothing besides").without(t, "For 1 hour", "Today")
}

// TestOneVisit: where connection, access and approval lack, one page asks for all.
func TestOneVisit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.write(vault.Write{Tool: "events_create", Title: "Create an event", Arguments: json.RawMessage(`{"title":"Lunch"}`)}, ""))
	b := w.browser("alice")
	p := b.get("/consent/"+h).want(t, http.StatusOK, "Claude Code wants to create an event", "Lunch", "For this it also needs your word on an account",
		"It will be able to", "For how long?", "This call only", "Next: google.vendor.example", "Allow once", "For 1 hour")
	moved := b.post("/consent/"+h, p, "approve", "once", "for", "24h0m0s").want(t, http.StatusOK, "Next: vendor.example")
	if a := w.vault.lastAnswer(t); a.Approve != vault.ApproveOnce || a.TTL != 24*time.Hour || a.Once {
		t.Errorf("the vault got %+v", a)
	}
	b.get(callbackOf(t, moved)).want(t, http.StatusOK, "Google is connected", "exactly the call that you saw")
}

// TestR13Held: another account than expected waits, unused, on a page that names
// both and whose vault it is, until the person says that it is theirs or gives it back.
func TestR13Held(t *testing.T) {
	t.Parallel()
	for _, failure := range []vault.FlowFailure{vault.FlowAccount, vault.FlowEmail} {
		t.Run(string(failure), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.browser("alice")
			h := w.vault.add(w.request("alice"))
			moved := b.allow(h)
			w.vault.fail = &vault.FlowError{Failure: failure, Got: "new@vendor.example", Want: "old@vendor.example", Held: true}
			w.vault.set(h, func(t *vault.Ticket) {
				t.Held = &vault.Held{Failure: failure, Connection: "google", Got: "new@vendor.example", Want: "old@vendor.example", Until: w.clock.Now().Add(10 * time.Minute)}
			})
			p := b.get(callbackOf(t, moved)).want(t, map[vault.FlowFailure]int{vault.FlowAccount: http.StatusConflict, vault.FlowEmail: http.StatusForbidden}[failure],
				"alice@example.com’s vault on testbox", "new@vendor.example", "old@vendor.example", "Yes, new@vendor.example is mine", "No, give it back")
			again := b.get("/consent/"+h).want(t, http.StatusOK, "new@vendor.example", "old@vendor.example")
			if again.field(t, "csrf") != p.field(t, "csrf") {
				t.Error("the page after the vendor has another form than the ticket's")
			}
			stranger := w.browser("bob")
			stranger.get("/consent/"+h).want(t, http.StatusForbidden).without(t, "vendor.example")
			second := w.browser("alice")
			second.post("/consent/"+h, second.get("/consent/"+h), "answer", "confirm").want(t, http.StatusForbidden, "Confirm it in the other browser")
			b.post("/consent/"+h, p, "answer", "confirm").want(t, http.StatusOK, "Google is connected", "new@vendor.example", "alice@example.com’s vault on testbox")
			b.post("/consent/"+h, p, "answer", "confirm").want(t, http.StatusGone)
		})
	}
}

// TestHeldRefused: the no gives it back, and the ticket can be answered again.
func TestHeldRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	h := w.vault.add(w.request("alice"))
	w.vault.set(h, func(t *vault.Ticket) {
		t.Held = &vault.Held{Failure: vault.FlowEmail, Connection: "google", Got: "x", Want: "y"}
	})
	b.post("/consent/"+h, b.get("/consent/"+h), "answer", "refuse").want(t, http.StatusOK, "Given back", "Google is told")
	b.get("/consent/"+h).want(t, http.StatusOK, "Claude Code wants to read your Google Calendar")
}

// TestEmbedded: a browser within another app gets the link to take elsewhere, before anything else happens.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	const ios = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	for agent, inside := range map[string]bool{
		"Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 Version/4.0 Chrome/120.0 Mobile Safari/537.36": true,
		ios + "Mobile/15E148":                                                                           true,
		ios + "Mobile/15E148 [FBAN/FBIOS;FBAV/450.0]":                                                   true,
		ios + "Mobile/15E148 Instagram 300.0":                                                           true,
		"Mozilla/5.0 (X11) Chrome/120.0 Electron/28.0 Safari/1":                                         true,
		ios + "Version/17.0 Mobile/15E148 Safari/604.1":                                                 false,
		"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36": false,
		"Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0":                        false,
	} {
		w := newWorld(t)
		h := w.vault.add(w.request("alice"))
		b := w.browser("alice")
		b.head.Set("User-Agent", agent)
		p := b.get("/consent/"+h).want(t, http.StatusOK)
		if got := strings.Contains(p.body, `>`+w.url+"/consent/"+h+`</p>`); got != inside {
			t.Errorf("%s: elsewhere %v, want %v", agent, got, inside)
		}
		b.get("/consent/"+h+"?here=1").want(t, http.StatusOK)
	}
}

// TestRefusals: what the vault refuses has a page that says why and what to do.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"rule":         {&vault.RuleError{Connection: "google", Claim: "groups"}, http.StatusForbidden, "“groups”"},
		"nothing left": {vault.ErrNoScopes, http.StatusBadRequest, "at least one thing ticked"},
		"agent":        {&vault.StoppedError{Stop: vault.Stop{StopScope: vault.StopScope{Agent: "k"}}}, http.StatusConflict, "You have stopped Claude Code"},
		"account":      {&vault.StoppedError{Stop: vault.Stop{StopScope: vault.StopScope{Account: "g"}}}, http.StatusConflict, "use of this account"},
		"all":          {&vault.StoppedError{}, http.StatusConflict, "all your agents"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.vault.allowErr = c.err
			h := w.vault.add(w.request("alice"))
			b := w.browser("alice")
			b.post("/consent/"+h, b.get("/consent/"+h), "answer", "allow").want(t, c.status, c.says)
		})
	}
}

// TestLimitsShown: what a vendor did not grant, and the day on which it will end
// the connection, are said when it is made.
func TestLimitsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.limits = func(t *vault.Ticket, a *vault.Account) {
		t.Lost, a.EndsBy = []string{sendMail}, time.Date(2026, time.December, 6, 12, 0, 0, 0, time.UTC)
	}
	b := w.browser("alice")
	to := callbackOf(t, b.allow(w.vault.add(w.request("alice"))))
	for range 2 { // also when it is reloaded
		b.get(to).want(t, http.StatusOK, "Google is connected", "did not grant everything", "Missing Send mail as you", "will end this connection on 6 December 2026")
	}
}
