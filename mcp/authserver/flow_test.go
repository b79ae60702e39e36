package authserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// good says whether /mcp would take the token.
func (w *world) good(token string) bool {
	_, err := w.Verify(w.t.Context(), token)
	return err == nil
}

// TestLogin is the whole way: register, authorize, the person's answer, code, tokens, refresh.
func TestLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(localRedirect)
	// An app takes whatever port is free.
	redirect := "http://127.0.0.1:50123/oauth/callback"
	code := w.code(id, redirect)
	a := w.redeem(code, id, redirect)
	if a.Status != http.StatusOK || a.Type != "Bearer" || a.Expires != 600 || a.Scope != "tools:read" {
		t.Fatalf("the token endpoint answered %d %s", a.Status, a.raw)
	}
	if c, n := a.header.Get("Content-Type"), a.header.Get("Cache-Control"); c != "application/json" || n != "no-store" {
		t.Errorf("the answer's headers are %q and %q", c, n)
	}
	bearer, err := w.Verify(t.Context(), a.Access)
	who, agent := bearer.Person, bearer.Agent
	if err != nil || strings.Join(bearer.Scopes, " ") != "tools:read" || who.Caller != person("alice").Caller {
		t.Fatalf("the token is %+v's, %v; want alice's", who, err)
	}
	want := vault.Agent{Issuer: w.base, ID: id, Name: "Test client", Host: "127.0.0.1"}
	if agent != want {
		t.Errorf("the agent is %+v, want %+v", agent, want)
	}
	if strings.Contains(a.Access, "alice") || w.v.Pseudonym(who.Caller) == "" {
		t.Error("the token names the person")
	}
	w.clock.add(9 * time.Minute)
	b := w.refresh(a.Refresh, id)
	if b.Status != http.StatusOK || b.Refresh == a.Refresh || !w.good(b.Access) {
		t.Fatalf("the refresh answered %d %s", b.Status, b.raw)
	}
	w.clock.add(3 * time.Minute)
	if w.good(a.Access) || !w.good(b.Access) {
		t.Error("after 12 minutes the first access token must be over and the second not")
	}
	w.clock.add(31 * 24 * time.Hour)
	if late := w.refresh(b.Refresh, id); late.Error != "invalid_grant" {
		t.Errorf("a refresh token that nobody used for 31 days answered %d %s", late.Status, late.raw)
	}
}

// TestRefreshEnds: however often it is refreshed, a login ends after 90 days.
func TestRefreshEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.redeem(w.code("desk", localRedirect), "desk", localRedirect)
	for day := 0; day < 80; day += 20 {
		w.clock.add(20 * 24 * time.Hour)
		if a = w.refresh(a.Refresh, "desk"); a.Status != http.StatusOK {
			t.Fatalf("day %d: %d %s", day+20, a.Status, a.raw)
		}
	}
	w.clock.add(11 * 24 * time.Hour)
	if a = w.refresh(a.Refresh, "desk"); a.Error != "invalid_grant" {
		t.Errorf("day 91: %d %s", a.Status, a.raw)
	}
}

// TestConfidentialClient proves itself by its secret, in either place, and by nothing else.
func TestConfidentialClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	form := func() url.Values {
		return url.Values{
			"grant_type": {"authorization_code"}, "code": {w.code(confidentialClient, webRedirect)}, "redirect_uri": {webRedirect}, "code_verifier": {verifier},
		}
	}
	if a := w.post("/oauth/token", form(), confidentialClient, confidentialSecret); a.Status != http.StatusOK {
		t.Errorf("with its secret in the header: %d %s", a.Status, a.raw)
	}
	f := form()
	f.Set("client_id", confidentialClient)
	f.Set("client_secret", "guessed")
	if a := w.post("/oauth/token", f); a.Status != http.StatusUnauthorized || a.Error != "invalid_client" {
		t.Errorf("with a wrong secret: %d %s", a.Status, a.raw)
	}
	f.Set("client_secret", confidentialSecret)
	if a := w.post("/oauth/token", f); a.Status != http.StatusOK {
		t.Errorf("with its secret in the form: %d %s", a.Status, a.raw)
	}
	f = form()
	f.Set("client_id", confidentialClient)
	if a := w.post("/oauth/token", f); a.Status != http.StatusUnauthorized {
		t.Errorf("without its secret: %d %s", a.Status, a.raw)
	}
	if a := w.redeem(w.code("desk", localRedirect), "desk", localRedirect, "client_secret", "x"); a.Status != http.StatusUnauthorized {
		t.Errorf("a public client with a secret: %d %s", a.Status, a.raw)
	}
}

// TestConsentIsRemembered where an answer can reach nobody but the client, in the
// browser that gave it, for what it gave; and asked every time everywhere else.
func TestConsentIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app := "https://app.example/client.json"
	w.docs.put(app, map[string]any{"client_id": app, "client_name": "App", "redirect_uris": []string{webRedirect, localRedirect}})
	registered := w.register(webRedirect)
	asks := func(b *browser, client, redirect string, change ...string) bool {
		t.Helper()
		p := b.open(w.asking(client, redirect, change...))
		if p.status != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", client, p.status, p.body)
		}
		if strings.HasPrefix(p.location.String(), w.base+"/consent/") {
			b.open(w.allow(p.location, "alice"))
			return true
		}
		return false
	}
	b := w.browser("alice")
	for _, c := range []struct {
		client, redirect string
		again            bool
	}{{app, webRedirect, false}, {app, localRedirect, true}, {confidentialClient, webRedirect, false}, {"desk", localRedirect, true}, {registered, webRedirect, true}} {
		if !asks(b, c.client, c.redirect) {
			t.Errorf("%s at %s: the first request asked nobody", c.client, c.redirect)
		}
		if got := asks(b, c.client, c.redirect); got != c.again {
			t.Errorf("%s at %s: the second request asks: %t, want %t", c.client, c.redirect, got, c.again)
		}
	}
	if !asks(b, app, webRedirect, "scope", "tools:write") {
		t.Error("a wider scope was given without asking")
	}
	if !asks(w.browser("alice"), app, webRedirect) {
		t.Error("another browser was not asked")
	}
	if !asks(b, app, webRedirect, "prompt", "consent") {
		t.Error("prompt=consent asked nobody")
	}
	w.clock.add(91 * 24 * time.Hour)
	if !asks(b, app, webRedirect) {
		t.Error("a yes of 91 days ago counted")
	}
}

// TestPersonAddsScopes: clients ask for what a 401 named, so the person may add the
// rest on the page, and has what they gave at the next login, too.
func TestPersonAddsScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	scope := func(p page) string {
		t.Helper()
		if p.location == nil || p.location.Query().Get("code") == "" {
			t.Fatalf("%d %v %s", p.status, p.location, p.body)
		}
		form := url.Values{"grant_type": {"authorization_code"}, "code": {p.location.Query().Get("code")}, "redirect_uri": {webRedirect}, "code_verifier": {verifier}}
		return w.post("/oauth/token", form, confidentialClient, confidentialSecret).Scope
	}
	p := b.open(w.asking(confidentialClient, webRedirect))
	if got := scope(b.open(w.allow(p.location, "alice", "tools:write", "nonsense"))); got != "tools:read tools:write" {
		t.Errorf("with writing added the token has %q", got)
	}
	if got := scope(b.open(w.asking(confidentialClient, webRedirect))); got != "tools:read tools:write" {
		t.Errorf("at the next login it has %q", got)
	}
}

// TestR53EveryAnswerNamesTheIssuer: codes, refusals and errors carry iss, and metadata says so and lists S256 alone.
func TestR53EveryAnswerNamesTheIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	check := func(what string, p page, wantError string) {
		t.Helper()
		if p.status != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", what, p.status, p.body)
		}
		q := p.location.Query()
		if got := q["iss"]; len(got) != 1 || got[0] != w.base {
			t.Errorf("%s: iss is %q", what, got)
		}
		if q.Get("state") != "the-state" || q.Get("error") != wantError || (q.Get("code") == "") != (wantError != "") {
			t.Errorf("%s: the answer is %v", what, q)
		}
	}
	p := b.open(w.asking("desk", localRedirect))
	check("allowed", b.open(w.allow(p.location, "alice")), "")
	p = b.open(w.asking("desk", localRedirect))
	handle := strings.TrimPrefix(p.location.Path, "/consent/")
	tk, err := w.v.Decline(t.Context(), handle, person("alice"))
	if err != nil {
		t.Fatal(err)
	}
	check("declined", b.open(w.base+tk.Client.Continue), "access_denied")
	for change, want := range map[string]string{
		"code_challenge=": "invalid_request", "response_type=token": "unauthorized_client", "response_type=": "invalid_request",
		"resource=https://other.example/mcp": "invalid_target", "scope=everything": "invalid_scope", "prompt=none": "interaction_required",
		"request=eyJ": "request_not_supported", "request_uri=https://x.example/": "request_not_supported", "response_mode=fragment": "invalid_request",
	} {
		name, value, _ := strings.Cut(change, "=")
		check(change, b.open(w.asking("desk", localRedirect, name, value)), want)
	}
	var m map[string]any
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/mcp"} {
		m = w.json(path)
		if m["issuer"] != w.base || m["authorization_response_iss_parameter_supported"] != true {
			t.Errorf("%s says %v", path, m)
		}
		if methods, _ := m["code_challenge_methods_supported"].([]any); len(methods) != 1 || methods[0] != "S256" {
			t.Errorf("%s lists the challenge methods %v", path, m["code_challenge_methods_supported"])
		}
	}
}
