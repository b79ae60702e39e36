package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/grantry/grantry/vault"
)

// The visits of this file lead alice to the pages that stand beside the way: how
// a visit to a vendor or to the issuer can end, and what is asked only now and then.

// embedded has the browser say that it is a web view in another app.
func (c *chrome) embedded() {
	c.t.Helper()
	const agent = "Mozilla/5.0 (Linux; Android 15; Pixel 9; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/140.0 Mobile Safari/537.36"
	do(c, "being a web view", func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent})
		return chromedp.Void{}, err
	})
}

// update shows what stands there now beside what would, and a yes for an hour stands on the page of agents.
func (v *visits) update(t *testing.T) {
	r := v.agent(t, "agent-one")
	call := func(tool string, args map[string]any) answer { return r.legacy(t, tool, args).final(t) }
	v.alice.open(call("connections_connect", map[string]any{"connection": "salesforce"}).link(t))
	v.alice.press("allow")
	v.alice.click(sandboxAllow + "alice")
	v.alice.expect(http.StatusOK, "is connected")
	var found struct{ Records []struct{ ID string } }
	call("crm_query", map[string]any{"query": "SELECT Id FROM Opportunity ORDER BY Name LIMIT 1"}).structured(t, &found)
	change := map[string]any{"object": "Opportunity", "id": found.Records[0].ID, "fields": map[string]any{
		"NextStep": "Call Dana on Monday\nSend both variants", "Amount": 150000,
	}}
	v.alice.open(call("crm_update_record", change).link(t))
	v.alice.expect(http.StatusOK, "What would change")
	v.alice.look("update")
	do(v.alice, "allowing for an hour", chromedp.Click(chromedp.CSS("button[name=approve][value=hour]"), chromedp.NodeVisible))
	v.alice.expect(http.StatusOK, "may go on")
	call("crm_update_record", change).ok(t)
	v.alice.open(v.Base + "/agents")
	v.alice.expect(http.StatusOK, "Runs without asking you")
	v.alice.look("agents-standing")
}

// atTheVendor is how a visit to a vendor ends that makes no grant.
func (v *visits) atTheVendor(t *testing.T) {
	r := v.agent(t, "agent-five")
	link := r.calendar(t).link(t)
	for _, end := range []struct {
		name, kind, endpoint, says string
		status, times              int
	}{
		{"vendor-scopes", "narrow_scopes", "", "allowed less than what is needed", http.StatusBadRequest, 1},
		{"vendor-no-refresh", "drop_refresh", "", "gave access for a short time only", http.StatusBadGateway, 1},
		{"vendor-down", "status", "token", "did not answer", http.StatusBadGateway, 1},
	} {
		v.fault(t, map[string]any{"vendor": "google", "kind": end.kind, "endpoint": end.endpoint, "times": end.times})
		v.alice.open(link)
		v.alice.press("allow")
		v.alice.click(sandboxAllow + "alice")
		v.alice.expect(end.status, end.says)
		v.alice.look(end.name)
	}
	v.alice.open(link)
	v.alice.expect(http.StatusOK, "you can try again")
	v.alice.look("connect-after-failure")
	v.alice.press("allow")
	v.alice.waitFor(sandboxAllow + "alice")
	v.alice.click("Decline")
	v.alice.expect(http.StatusOK, "You declined at Google")
	v.alice.look("vendor-declined")
}

// broken is an account whose vendor ended it, and another one that comes back instead.
func (v *visits) broken(t *testing.T) {
	v.alice.open(v.Connections)
	v.alice.click("Google")
	v.alice.press("allow")
	v.alice.click(sandboxAllow + "alice")
	v.alice.expect(http.StatusOK, "is connected")
	for _, name := range []string{"agent-one", "agent-six", "agent-seven"} {
		v.alice.open(v.agent(t, name).calendar(t).link(t))
		v.alice.press("allow")
		v.alice.expect(http.StatusOK, "may go on")
	}
	v.fault(t, map[string]any{"vendor": "google", "kind": "revoke", "user": "alice"})
	if a := v.agent(t, "agent-six").calendar(t); !a.IsError || a.consent(t).Reason != "revoked" {
		t.Errorf("with a dead grant a call answered %s", a.show())
	}
	v.alice.open(v.Connections)
	v.alice.expect(http.StatusOK, "Ended by Google")
	v.alice.look("connections-broken")
	v.alice.click("Connect again")
	v.alice.press("allow")
	v.alice.click(sandboxAllow + "bob")
	v.alice.expect(http.StatusConflict, "Is this the Google account you mean?")
	v.alice.look("held-account")
	v.alice.press("refuse")
	v.alice.expect(http.StatusOK, "Given back")
	v.alice.look("held-refused")
}

// signInFailures are what the sign-in can end with, in a browser in which nobody is signed in.
func (v *visits) signInFailures(t *testing.T) {
	c, thief := v.alice.other(t), v.alice.other(t)
	c.open(v.Connections)
	c.waitFor(sandboxSignIn + "alice")
	at, err := url.Parse(c.url())
	if err != nil {
		t.Fatal(err)
	}
	back := func(more string) string { return v.Base + "/signin/callback?state=" + at.Query().Get("state") + more }
	thief.open(back("&code=x"))
	thief.expect(http.StatusForbidden, "started in another browser")
	thief.look("signin-other-browser")
	c.open(back("&code=x"))
	c.expect(http.StatusBadRequest, "This sign-in is over")
	c.look("signin-over")
	c.open(v.Connections)
	c.waitFor(sandboxSignIn + "alice")
	if at, err = url.Parse(c.url()); err != nil {
		t.Fatal(err)
	}
	c.open(back("&error=access_denied&iss=" + url.QueryEscape(at.Scheme+"://"+at.Host+"/issuer")))
	c.expect(http.StatusForbidden, "You were not signed in")
	c.look("signin-refused")
	c.click("Try again")
	c.click(sandboxSignIn + "bob")
	c.expect(http.StatusOK, "Nothing is connected yet")
	for _, page := range []string{"agents", "activity"} {
		c.open(v.Base + "/" + page)
		c.look(page + "-of-nobody")
	}
	c.open(v.Base + "/signout")
	do(c, "signing out", chromedp.Click(chromedp.CSS("form[action='/signout'] button"), chromedp.NodeVisible))
	c.expect(http.StatusOK, "You are signed out")
	c.look("signed-out")
}

// stopAll stops everything and lets it go on.
func (v *visits) stopAll(*testing.T) {
	v.alice.open(v.Base + "/agents")
	v.alice.click("Stop all agents")
	v.alice.expect(http.StatusOK, "Everything is stopped")
	v.alice.look("stopped-all")
	v.alice.open(v.Base + "/agents")
	v.alice.expect(http.StatusOK, "Everything is stopped since")
	v.alice.look("agents-all-stopped")
	v.alice.click("Let agents ask again")
	v.alice.expect(http.StatusOK, "Agents may ask you again")
}

// request opens a ticket of alice's that no tool of this build asks for.
func (e *overHTTPS) request(t *testing.T, v *vault.Vault, need *vault.ConsentError, w *vault.Write) string {
	t.Helper()
	ticket, _, err := v.OpenTicket(t.Context(), vault.TicketRequest{
		Owner: vault.Person{Caller: vault.Caller{Issuer: e.issuer.URL, Subject: "alice"}, Email: "alice@example.com"},
		Agent: vault.Agent{Issuer: e.issuer.URL, ID: "desk-agent", Name: "Desk Agent", Host: "desk.example"}, Tool: "files_delete", Need: need, Write: w,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e.Base + "/consent/" + v.Handle(ticket)
}

// rare are requests that no tool of this build makes: several accounts could
// serve, and something would be deleted; and a link in a browser inside another app.
func (e *overHTTPS) rare(t *testing.T, c, app *chrome) {
	v := e.home.beside(t, time.Now)
	several := e.request(t, v, &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{
		{Connection: "google", Scopes: []string{"https://www.googleapis.com/auth/drive.readonly"}, VendorNeeded: true},
		{Connection: "erp", Scopes: []string{"orders.read"}, VendorNeeded: true},
	}}, nil)
	c.asked(several, "alice")
	c.expect(http.StatusOK, "Which account should it use?")
	c.look("several")
	c.press("decline")
	c.expect(http.StatusOK, "Nothing was connected")
	c.look("declined")
	deletes := e.request(t, v, &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{
		{Connection: "slack", Scopes: []string{"chat:write"}, VendorNeeded: true},
	}}, &vault.Write{
		Tool: "files_delete", Title: "Delete a message", Destroy: true, Digest: make([]byte, 32),
		Arguments: json.RawMessage(`{"channel":"launch","ts":"1764412345.000200","reason":null}`),
	})
	c.open(deletes)
	c.expect(http.StatusOK, "This deletes something")
	c.look("destroy")
	if strings.Contains(c.text(), "For 1 hour") {
		t.Error("what deletes may be allowed for an hour")
	}
	app.embedded()
	app.open(deletes)
	app.expect(http.StatusOK, "Open this in your own browser")
	app.look("embedded")
	do(app, "touching the link", chromedp.Click(chromedp.CSS("#link"), chromedp.NodeVisible))
	if got := do(app, "reading what is selected", chromedp.Evaluate[string]("getSelection().toString()")); got != deletes {
		t.Errorf("one touch selects %q, want the whole link", got)
	}
}

// held asks whose account it is that came back, where its address is another than its person's.
func (e *overHTTPS) heldEmail(t *testing.T, carol *chrome) {
	e.vendors.google.inject(fault{Path: "/oauth2/token", Edit: func(answer string) string {
		return strings.Replace(answer, "{", `{"refresh_token_expires_in":604799,`, 1)
	}})
	_, link := e.agent(t, "carol")
	carol.asked(link, "carol")
	carol.press("allow")
	carol.click("alice@example.com")
	carol.expect(http.StatusForbidden, "Is this Google account yours?")
	carol.look("held-email")
	carol.press("confirm")
	carol.expect(http.StatusOK, "is in testing there")
	carol.look("connected-testing")
	carol.open(e.Base + "/connections")
	carol.expect(http.StatusOK, "its app is still in testing")
	carol.look("connections-testing")
}
