package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// proxied is an answer of the proxy, or of the token endpoint.
type proxied struct {
	status int
	ours   string // Grantry-Error
	text   string
	fields map[string]any
}

func (p proxied) str(name string) string { s, _ := p.fields[name].(string); return s }

func readProxied(t *testing.T, resp *http.Response) proxied {
	t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	p := proxied{status: resp.StatusCode, ours: resp.Header.Get("Grantry-Error"), text: string(text)}
	_ = json.Unmarshal(text, &p.fields) // a vendor's answer need be none
	return p
}

// pass exchanges for a proxy token; without an account it goes the way of the link first.
func (a *application) pass(t *testing.T, user, connection, scope string) string {
	t.Helper()
	for range 2 {
		resp, err := a.http.PostForm(a.Base+"/oauth/token", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "requested_token_type": {"urn:grantry:proxy-token"}, "client_id": {a.name}, "client_secret": {a.workload},
			"connection": {connection}, "scope": {scope}, "subject_token": {a.subject(t, user)}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		})
		if err != nil {
			t.Fatal(err)
		}
		p := readProxied(t, resp)
		if token := p.str("access_token"); token != "" {
			return token
		}
		newBrowser(t).consent(p.str("consent_uri"), user)
	}
	t.Fatal("no proxy token")
	return ""
}

// through sends a request to the proxy.
func (a *application) through(t *testing.T, token, method, path, body string) proxied {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, a.Base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return readProxied(t, resp)
}

// TestProxy has the real program and its vendors: events are read without a token in the application's hands, also after
// the vendor has forgotten the token; a message waits for its person; and no path is mended on its way in.
func TestProxy(t *testing.T) {
	t.Parallel()
	a := startApplication(t)
	token := a.pass(t, "alice", "google", calendarEvents)
	const events = "/proxy/google/calendar/v3/calendars/primary/events?maxResults=5"
	titles := func(p proxied) string {
		var out []string
		items, _ := p.fields["items"].([]any)
		for _, i := range items {
			out = append(out, fmt.Sprint(i.(map[string]any)["summary"]))
		}
		return strings.Join(out, "\n")
	}
	want := strings.Join(a.titles(t, a.source(t, a.subject(t, "alice"))), "\n")
	if got := a.through(t, token, http.MethodGet, events, ""); got.status != http.StatusOK || got.ours != "" || titles(got) != want {
		t.Errorf("%d %s", got.status, got.text)
	}
	a.fault(t, map[string]any{"vendor": "google", "kind": "expire", "user": "alice"})
	if got := a.through(t, token, http.MethodGet, events, ""); got.status != http.StatusOK || titles(got) != want {
		t.Errorf("with an expired token: %d %s", got.status, got.text)
	}
	if got := a.through(t, token, http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); got.status != http.StatusUnauthorized {
		t.Errorf("at /mcp: %d %s", got.status, got.text)
	}
	if got := a.through(t, token, http.MethodGet, "/me/v1/connected-accounts/accounts", ""); got.status != http.StatusUnauthorized {
		t.Errorf("at /me: %d %s", got.status, got.text)
	}
	for line, status := range map[string]int{
		"GET /proxy/google/calendar/../calendar/v3/users/me/calendarList": 400, "GET /proxy/google//calendar/v3/users/me/calendarList": 400, "GET /proxy/google/calendar/v3/%2e%2e/v3/x": 400,
		"GET /proxy/google/calendar/v3/a%2fb": 400, "GET /%70roxy/google/calendar/v3/users/me/calendarList": 400, "GET /proxy/google/batch/calendar/v3": 403, "DELETE " + events: 403,
	} {
		if got := a.line(t, token, "", line); got.status != status || got.ours == "" {
			t.Errorf("%s: %d %s, want %d", line, got.status, got.text, status)
		}
	}
	if got := a.line(t, token, "evil.example", "GET "+events); got.status != http.StatusForbidden || got.ours == "" {
		t.Errorf("another host name: %d %s", got.status, got.text)
	}
}

// TestProxyMessage: a message waits for its person's yes, and goes once.
func TestProxyMessage(t *testing.T) {
	t.Parallel()
	a := startApplication(t)
	token := a.pass(t, "alice", "slack", "chat:write")
	post := func() proxied {
		return a.through(t, token, http.MethodPost, "/proxy/slack/api/chat.postMessage", `{"channel":"C_GENERAL","text":"by the proxy"}`)
	}
	first := post()
	if first.status != http.StatusForbidden || first.ours != "approval_required" || first.str("approval") == "" {
		t.Fatalf("%d %s", first.status, first.text)
	}
	b := newBrowser(t)
	b.consent(first.str("consent_uri"), "alice")
	if got := post(); got.ours != "" || got.status != http.StatusOK {
		t.Errorf("after the yes: %d %s", got.status, got.text)
	}
	if got := post(); got.ours != "approval_required" || got.str("approval") == first.str("approval") {
		t.Errorf("once more: %d %s", got.status, got.text)
	}
	text := b.open(a.Base + "/activity").text()
	if n := strings.Count(text, "sent a request to Slack"); n != 1 || !strings.Contains(text, "POST /api/chat.postMessage") {
		t.Errorf("%d lines:\n%s", n, text)
	}
}

// line sends a request that no client would send, with that Host, "" being the right one.
func (a *application) line(t *testing.T, token, host, line string) proxied {
	t.Helper()
	u, err := url.Parse(a.Base)
	if err != nil {
		t.Fatal(err)
	}
	if host == "" {
		host = u.Host
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n", line, host, token)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return readProxied(t, resp)
}
