package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rotating is a Google connection whose OAuth is oidc-provider's, with
// single-use refresh tokens and reuse detection, and whose API is emulate's.
type rotating struct {
	*vendors
	issuer *issuer
	tokens *recorder // in front of oidc-provider's token endpoint
	home   *home
}

func startRotating(t *testing.T, accessTTL int) *rotating {
	t.Helper()
	v := startVendors(t)
	scopes := []string{"email", "profile"}
	for _, name := range []string{
		"calendar", "calendar.readonly", "calendar.events", "calendar.events.readonly", "drive", "drive.readonly", "drive.metadata.readonly",
		"userinfo.email", "userinfo.profile",
	} {
		scopes = append(scopes, "https://www.googleapis.com/auth/"+name)
	}
	i := startIssuer(t, issuerConfig{
		Clients: []map[string]any{confidential("rotating", "the-secret-of-the-rotating-client", v.base+"/callback/google")},
		Scopes:  scopes, RefreshAlways: true, TTL: map[string]int{"AccessToken": accessTTL},
	})
	r := &rotating{vendors: v, issuer: i, tokens: newRecorder(t, i.URL)}
	r.home = newHome(t, fmt.Sprintf(`listen: %[1]s
notify: "exec:cat >> notices"
%[2]s`, v.listen, rotatingGoogle(i.URL, r.tokens.URL, v.google.URL)), "ROTATING_SECRET=the-secret-of-the-rotating-client")
	return r
}

// rotatingGoogle is the connections part of a config: Google's OAuth is that of
// an oidc-provider at issuer, with something in front of its token endpoint.
func rotatingGoogle(issuer, token, api string) string {
	return fmt.Sprintf(`connections:
  google:
    provider: google
    client_id: rotating
    client_secret: env:ROTATING_SECRET
    endpoints:
      issuer: %[1]s
      authorization: %[1]s/auth
      jwks: %[1]s/jwks
      userinfo: %[1]s/me
      revocation: %[1]s/token/revocation
      token: %[2]s/token
      api: %[3]s
`, issuer, token, api)
}

// client is one more `grantry stdio` on the same vault.
func (r *rotating) client(t *testing.T) *client {
	t.Helper()
	return connect(t, r.home.overStdio(t, clientConfig{SDK: "v2", Era: "legacy", Elicitation: "none"}, "--agent", "refresher"))
}

// wantHealthyFamily fails the test if a refresh token went out twice or was
// refused: with this provider either would kill the grant.
func (r *rotating) wantHealthyFamily(t *testing.T, spends int) {
	t.Helper()
	tokens, statuses := r.issuer.refreshes(t)
	if len(tokens) != spends {
		t.Errorf("the provider saw %d refreshes, want %d", len(tokens), spends)
	}
	seen := map[string]bool{}
	for i, token := range tokens {
		if seen[token] {
			t.Errorf("refresh %d sent a token that was spent before", i+1)
		}
		seen[token] = true
		if statuses[i] != http.StatusOK {
			t.Errorf("refresh %d was answered %d", i+1, statuses[i])
		}
	}
}

// TestRotationSurvivesRefusals lets the API refuse the access token again and
// again: each time one refresh, never with an old token, also after a kill.
func TestRotationSurvivesRefusals(t *testing.T) {
	t.Parallel()
	r := startRotating(t, 3600)
	c := r.client(t)
	newBrowser(t).consent(c.call(t, "calendar_list_events", map[string]any{}).link(t), "alice")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
	r.wantHealthyFamily(t, 0)
	for spends := 1; spends <= 3; spends++ {
		r.google.inject(fault{
			Path: "/calendar/v3", Status: http.StatusUnauthorized, Header: http.Header{"Content-Type": {"application/json"}},
			Body: `{"error":{"code":401,"message":"Invalid Credentials","status":"UNAUTHENTICATED"}}`,
		})
		wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
		r.wantHealthyFamily(t, spends)
	}
	c.stop(t)
	wantEvents(t, r.client(t).call(t, "calendar_list_events", map[string]any{}))
	r.wantHealthyFamily(t, 3)
}

// TestManyProcessesSpendOnce lets the token expire and then four processes
// ask at the same time: one spend, all served.
func TestManyProcessesSpendOnce(t *testing.T) {
	t.Parallel()
	const ttl = 5
	r := startRotating(t, ttl)
	clients := []*client{r.client(t), r.client(t), r.client(t), r.client(t)}
	newBrowser(t).consent(clients[0].call(t, "calendar_list_events", map[string]any{}).link(t), "alice")
	time.Sleep(ttl*time.Second + 500*time.Millisecond)
	var calls []func() answer
	for range 3 {
		for _, c := range clients {
			id := c.goCall(t, "calendar_list_events", map[string]any{})
			calls = append(calls, func() answer { return c.await(t, id, 2*patience) })
		}
	}
	for _, end := range calls {
		wantEvents(t, end())
	}
	r.wantHealthyFamily(t, 1)
}

// TestSpentElsewhere kills the token family at the provider, as a thief or a
// restored backup would: the person gets a link and can mend it.
func TestSpentElsewhere(t *testing.T) {
	t.Parallel()
	r := startRotating(t, 3600)
	c := r.client(t)
	b := newBrowser(t)
	b.consent(c.call(t, "calendar_list_events", map[string]any{}).link(t), "alice")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
	issued := r.issuer.issued(t, "rotating")
	stolen := issued[len(issued)-1] // the refresh token of the last answer
	for range 2 {                   // the second use is the reuse that kills the family
		postForm(t, r.issuer.URL+"/token", "grant_type", "refresh_token", "refresh_token", stolen,
			"client_id", "rotating", "client_secret", "the-secret-of-the-rotating-client")
	}
	r.google.inject(fault{Path: "/calendar/v3", Times: 2, Status: http.StatusUnauthorized, Body: `{"error":{"code":401,"message":"Invalid Credentials"}}`})
	a := c.call(t, "calendar_list_events", map[string]any{})
	if !a.dead(t) {
		t.Fatalf("with a dead grant the call answered %s", a.show())
	}
	link := a.link(t)
	b.consent(link, "alice")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
	c.stop(t)
	r.wantNotices(t, "request", "grant_ended", "request "+link)
}

// wantNotices reads what the notify command was told: events, each with its link where one is given.
func (r *rotating) wantNotices(t *testing.T, want ...string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.home.data(), "notices"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) != len(want) {
		t.Fatalf("the notify command was told %d times, want %d:\n%s", len(lines), len(want), data)
	}
	for i, line := range lines {
		var n struct{ Event, Person, Connection, Reason, URL string }
		unmarshal(t, line, &n)
		event, link, _ := strings.Cut(want[i], " ")
		if n.Event != event || n.Person == "" || n.Connection != "google" || n.Reason == "" || !strings.HasPrefix(n.URL, r.base) || link != "" && n.URL != link {
			t.Errorf("notice %d is %s, want %s", i+1, line, want[i])
		}
	}
}

// TestFamilyDiesUnderConcurrency kills the token family at the provider while
// four processes ask: the dead token goes out once, every caller gets the same link, and one visit mends all.
func TestFamilyDiesUnderConcurrency(t *testing.T) {
	t.Parallel()
	const ttl = 5
	r := startRotating(t, ttl)
	clients := []*client{r.client(t), r.client(t), r.client(t), r.client(t)}
	b := newBrowser(t)
	b.consent(clients[0].call(t, "calendar_list_events", map[string]any{}).link(t), "alice")
	issued := r.issuer.issued(t, "rotating")
	for range 2 {
		postForm(t, r.issuer.URL+"/token", "grant_type", "refresh_token", "refresh_token", issued[len(issued)-1],
			"client_id", "rotating", "client_secret", "the-secret-of-the-rotating-client")
	}
	stolen, _ := r.issuer.refreshes(t)
	time.Sleep(ttl*time.Second + 500*time.Millisecond)
	var calls []func() answer
	for range 3 {
		for _, c := range clients {
			id := c.goCall(t, "calendar_list_events", map[string]any{})
			calls = append(calls, func() answer { return c.await(t, id, 2*patience) })
		}
	}
	links := map[string]bool{}
	for _, end := range calls {
		links[end().link(t)] = true
	}
	if len(links) != 1 {
		t.Errorf("twelve callers got %d links, want the same one", len(links))
	}
	sent, _ := r.issuer.refreshes(t)
	if n := len(sent) - len(stolen); n != 1 {
		t.Errorf("the dead family was asked %d times, want once", n)
	}
	for link := range links {
		b.consent(link, "alice")
	}
	for _, c := range clients {
		wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
	}
}

// TestTokenEndpointDown holds that an outage is no reason for a consent and
// that the grant survives it. A refresh goes out once more after two seconds: both must fail.
func TestTokenEndpointDown(t *testing.T) {
	t.Parallel()
	r := startRotating(t, 3600)
	c := r.client(t)
	newBrowser(t).consent(c.call(t, "calendar_list_events", map[string]any{}).link(t), "alice")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
	r.google.inject(fault{Path: "/calendar/v3", Times: 1, Status: http.StatusUnauthorized, Body: `{"error":{"code":401,"message":"Invalid Credentials"}}`})
	r.tokens.inject(fault{Path: "/token", Times: 2, Status: http.StatusServiceUnavailable, Body: "<html>down</html>"})
	a := c.call(t, "calendar_list_events", map[string]any{})
	if !a.IsError || consentLink.MatchString(a.Text) {
		t.Errorf("while the token endpoint was down the call answered %s, want an error without a link", a.show())
	}
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{})) // the API takes the old token again
	for _, status := range r.statuses(t) {
		if status != http.StatusOK {
			t.Errorf("the provider answered a refresh with %d", status)
		}
	}
}

func (r *rotating) statuses(t *testing.T) []int {
	t.Helper()
	_, statuses := r.issuer.refreshes(t)
	return statuses
}
