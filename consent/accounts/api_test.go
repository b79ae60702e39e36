package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/consent/accounts"
	"github.com/grantry/grantry/vault"
)

const api = "/me/v1/connected-accounts/"

// TestRequests: what connect and complete take, to the letter, with a word for each field that is wrong.
func TestRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	portal, spa := w.token("alice", "portal"), w.token("alice", "spa")
	long := func(n int) string { return strings.Repeat("x", n) }
	many := func(n int) []string {
		var out []string
		for i := range n {
			out = append(out, long(i+1))
		}
		return out
	}
	for what, c := range map[string]struct {
		token, field string
		change       fields
	}{
		"no connection":           {portal, "connection", fields{"connection": nil}},
		"long connection":         {portal, "connection", fields{"connection": long(129)}},
		"a number":                {portal, "connection", fields{"connection": 7}},
		"a list for a string":     {portal, "state", fields{"state": []string{}}},
		"long state":              {portal, "state", fields{"state": long(4097)}},
		"no redirect":             {portal, "redirect_uri", fields{"redirect_uri": nil}},
		"foreign redirect":        {portal, "redirect_uri", fields{"redirect_uri": "https://evil.example/cb"}},
		"redirect with a slash":   {portal, "redirect_uri", fields{"redirect_uri": back + "/"}},
		"redirect in capitals":    {portal, "redirect_uri", fields{"redirect_uri": strings.Replace(back, "portal", "PORTAL", 1)}},
		"redirect with a query":   {portal, "redirect_uri", fields{"redirect_uri": back + "?a=b"}},
		"short challenge":         {portal, "code_challenge", fields{"code_challenge": long(42)}},
		"no base64url":            {portal, "code_challenge", fields{"code_challenge": strings.Repeat("=", 43)}},
		"plain":                   {portal, "code_challenge_method", fields{"code_challenge_method": "plain"}},
		"method alone":            {portal, "code_challenge", fields{"code_challenge": nil}},
		"no scopes":               {portal, "scopes", fields{"scopes": []string{}}},
		"a scope twice":           {portal, "scopes", fields{"scopes": []string{calendar, calendar}}},
		"too many scopes":         {portal, "scopes", fields{"scopes": many(101)}},
		"a long scope":            {portal, "scopes", fields{"scopes": []string{long(256)}}},
		"an empty scope":          {portal, "scopes", fields{"scopes": []string{""}}},
		"an unknown scope":        {portal, "scopes", fields{"scopes": []string{"https://www.googleapis.com/auth/all.of.it"}}},
		"scopes in a string":      {portal, "scopes", fields{"scopes": calendar}},
		"params no object":        {portal, "authorization_params", fields{"authorization_params": "prompt=login"}},
		"an unknown field":        {portal, "Connection", fields{"Connection": "google"}},
		"public, no challenge":    {spa, "code_challenge", fields{"code_challenge": nil, "code_challenge_method": nil}},
		"unknown authorization":   {portal, "access_type", fields{"access_type": "offline"}},
		"a hint that is a number": {portal, "authorization_params", fields{"authorization_params": fields{"login_hint": 7}}},
	} {
		a := w.send(http.MethodPost, api+"connect", c.token, asking().encode(c.change))
		if a.status != http.StatusBadRequest || !strings.Contains(a.raw, `"field":"`+c.field+`"`) || !strings.Contains(a.raw, `"validation_errors"`) {
			t.Errorf("%s: %d %s", what, a.status, a.raw)
		}
	}
	w.send(http.MethodPost, api+"connect", portal, asking().encode(fields{"connection": "slack"})).want(t, http.StatusNotFound, "no_such_connection")
	for what, body := range map[string]string{
		"not JSON": "connection=google", "a list": "[]", "two values": "{}{}", "a name twice": `{"state":"a","state":"b"}`, "no UTF-8": "{\"state\":\"\xff\"}",
		"too large": `{"state":"` + long(70<<10) + `"}`,
	} {
		if a := w.send(http.MethodPost, api+"connect", portal, body); a.status != http.StatusBadRequest || a.fields["detail"] == "" {
			t.Errorf("%s: %d %s", what, a.status, a.raw)
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		w.send(http.MethodPost, api+"connect", portal, "{}", "Content-Type", kind).want(t, http.StatusUnsupportedMediaType)
	}
	for _, good := range []fields{
		{"code_challenge": nil, "code_challenge_method": nil},
		{"code_challenge_method": nil},
		{"scopes": nil},
		{"state": long(4096)},
		{"authorization_params": fields{"login_hint": "a@example.com", "prompt": "login", "max_age": 5, "ui_locales": "de"}},
	} {
		w.send(http.MethodPost, api+"connect", portal, asking().encode(good), "Content-Type", "application/json; charset=utf-8").want(t, http.StatusCreated)
	}
	for field, value := range map[string]any{"auth_session": long(65), "connect_code": long(47), "redirect_uri": nil, "code_verifier": long(42), "more": 1} {
		f := fields{"auth_session": "s", "connect_code": "c", "redirect_uri": back}
		w.send(http.MethodPost, api+"complete", portal, f.encode(fields{field: value})).want(t, http.StatusBadRequest, `"field":"`+field+`"`)
	}
}

// TestConfidentialWithoutChallenge: an application with a secret may do without one; then a verifier is not taken either.
func TestConfidentialWithoutChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.token("alice", "portal")
	c := w.connect(alice, fields{"code_challenge": nil, "code_challenge_method": nil})
	c.visit(w.browser("alice"), "alice")
	c.complete(alice, nil).want(t, http.StatusBadRequest)
	c.complete(alice, fields{"code_verifier": nil}).want(t, http.StatusCreated)
}

// TestBearer: whose token is taken, and what each refusal says.
func TestBearer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.token("alice", "portal")
	list := func(header ...string) answered { return w.send(http.MethodGet, api+"accounts", "", "", header...) }
	for what, c := range map[string]struct {
		value, challenge string
	}{
		"none": {"", `Bearer realm="grantry"`}, "basic": {"Basic " + good, `Bearer realm="grantry"`}, "two in one": {"Bearer " + good + ", Bearer x", `Bearer realm="grantry"`},
		"DPoP": {"DPoP " + good, `Bearer realm="grantry", error="invalid_token"`}, "for another audience": {"Bearer mcp", `Bearer realm="grantry", error="invalid_token"`},
	} {
		var header []string
		if c.value != "" {
			header = []string{"Authorization", c.value}
		}
		a := list(header...)
		if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != c.challenge || a.header.Get("Content-Type") != "application/json" ||
			a.header.Get("Cache-Control") != "no-store" || a.fields["status"] != 401.0 || a.fields["title"] != "Unauthorized" || a.fields["type"] == "" {
			t.Errorf("%s: %d %s %v", what, a.status, a.raw, a.header)
		}
	}
	list("Authorization", "bearer "+good).want(t, http.StatusOK)
	w.send(http.MethodGet, api+"accounts", w.token("alice", "unheard-of"), "").want(t, http.StatusForbidden, "unknown_client")
	w.send(http.MethodGet, api+"accounts", w.token("alice", "inside"), "").want(t, http.StatusForbidden, "address")
	for scope, call := range map[string][2]string{
		"create:me:connected_accounts": {http.MethodPost, "connect"}, "read:me:connected_accounts": {http.MethodGet, "connections"}, "delete:me:connected_accounts": {http.MethodDelete, "accounts/cac_1"},
	} {
		rest := strings.Fields(strings.ReplaceAll(everyOne, scope, "openid"))
		a := w.send(call[0], api+call[1], w.token("alice", "portal", rest...), "").want(t, http.StatusForbidden, scope)
		if !strings.Contains(a.header.Get("WWW-Authenticate"), `error="insufficient_scope", scope="`+scope+`"`) {
			t.Errorf("%v", a.header)
		}
	}
	w.tokens.mu.Lock()
	w.tokens.err = errors.New("the issuer is down")
	w.tokens.mu.Unlock()
	list("Authorization", "Bearer "+good).want(t, http.StatusServiceUnavailable)
}

// TestAddresses: other paths and methods, what a page of another origin may do, and the link for browsers.
func TestAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.token("alice", "portal")
	for _, path := range []string{"/me/", "/me/v1/factors", api, api + "connect/", api + "connect/x", api + "accounts/a/b"} {
		if a := w.send(http.MethodGet, path, good, ""); a.status != http.StatusNotFound || a.fields["detail"] == nil {
			t.Errorf("%s: %d %s", path, a.status, a.raw)
		}
	}
	for path, allow := range map[string]string{"connect": "POST", "complete": "POST", "accounts": "GET", "connections": "GET", "accounts/cac_1": "DELETE"} {
		a := w.send(http.MethodPatch, api+path, good, "").want(t, http.StatusMethodNotAllowed)
		if a.header.Get("Allow") != allow {
			t.Errorf("%s allows %s", path, a.header.Get("Allow"))
		}
		a = w.send(http.MethodOptions, api+path, "", "", "Origin", "https://spa.example", "Access-Control-Request-Method", allow).want(t, http.StatusNoContent)
		if h := a.header; h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Methods") != allow || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization, DPoP, Content-Type") {
			t.Errorf("%s: %v", path, h)
		}
	}
	for _, id := range []string{"cac_", "cac_0000", "a_0000", "cac_..", "cac_" + strings.Repeat("0", 100)} {
		w.send(http.MethodDelete, api+"accounts/"+id, good, "").want(t, http.StatusNotFound)
	}
	b := w.browser("alice")
	for _, ticket := range []string{"", "?ticket=", "?ticket=../signout", "?ticket=" + url.QueryEscape("//evil.example")} {
		if p := b.get(w.url + "/connected-accounts/connect" + ticket); p.status != http.StatusNotFound {
			t.Errorf("%q leads to %s (%d)", ticket, p.url, p.status)
		}
	}
}

// TestLists: pages of accounts and connections, and who is left out.
func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *accounts.Config) { c.Vault = crowd{c.Vault} })
	good := w.token("alice", "portal")
	seen, from := map[string]bool{}, ""
	for page := range 4 {
		a := w.send(http.MethodGet, api+"accounts?from="+url.QueryEscape(from), good, "").want(t, http.StatusOK)
		list, _ := a.fields["accounts"].([]any)
		for _, one := range list {
			id, _ := one.(map[string]any)["id"].(string)
			if seen[id] {
				t.Errorf("%s twice", id)
			}
			seen[id] = true
		}
		if from, _ = a.fields["next"].(string); (from == "") != (page == 2) || len(list) != []int{10, 10, 5}[page] {
			t.Fatalf("page %d: %s", page, a.raw)
		}
		if from == "" {
			break
		}
	}
	if len(seen) != 25 || seen["cac_25"] {
		t.Errorf("saw %v", seen)
	}
	w.send(http.MethodGet, api+"accounts?take=20&connection=even&connection=none", good, "").want(t, http.StatusOK, "cac_24", `"expires_at":"2027-`).without(t, "cac_23")
	for _, q := range []string{"accounts?take=0", "accounts?take=21", "accounts?take=x", "accounts?from=%21", "connections?take=-1", "accounts?" + strings.Repeat("connection=a&", 21)} {
		w.send(http.MethodGet, api+q, good, "").want(t, http.StatusBadRequest, `"source":"query"`)
	}
	a := w.send(http.MethodGet, api+"connections", good, "").want(t, http.StatusOK)
	if want := `{"connections":[{"name":"google","strategy":"google-oauth2","scopes":["` + calendar + `"]}]}`; a.raw != want {
		t.Errorf("connections: %s, want %s", a.raw, want)
	}
}

func (a answered) without(t *testing.T, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if strings.Contains(a.raw, s) {
			t.Errorf("says %q: %s", s, a.raw)
		}
	}
}

// crowd is a vault in which everybody has 26 accounts, the last of them revoked.
type crowd struct{ accounts.Vault }

// Accounts implements accounts.Vault.
func (crowd) Accounts(context.Context, vault.Caller) (out []vault.Account, err error) {
	for n := range 26 {
		a := vault.Account{ID: fmt.Sprintf("a_%d", n), Connection: []string{"even", "odd"}[n%2], State: vault.GrantActive, Created: time.UnixMilli(int64(n))}
		if a.EndsBy = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC); n == 25 {
			a.State = vault.GrantRevoked
		}
		out = append(out, a)
	}
	return out, nil
}

// TestRates: one application's calls for one person are counted, and the headers say how many are left.
func TestRates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *accounts.Config) { c.CallsPerMinute = 3 })
	good := w.token("alice", "portal")
	w.clock.add(time.Minute - time.Duration(w.clock.Now().Second())*time.Second) // the four are in one minute
	var last answered
	for range 4 {
		last = w.send(http.MethodGet, api+"accounts", good, "")
	}
	h := last.header
	last.want(t, http.StatusTooManyRequests, "too_many_requests")
	if h.Get("Retry-After") == "" || h.Get("X-RateLimit-Limit") != "3" || h.Get("X-RateLimit-Remaining") != "0" || h.Get("X-RateLimit-Reset") == "" {
		t.Errorf("%v", h)
	}
	w.send(http.MethodGet, api+"accounts", w.token("bob", "portal"), "").want(t, http.StatusOK)
	w.clock.add(time.Minute)
	w.send(http.MethodGet, api+"accounts", good, "").want(t, http.StatusOK)
}
