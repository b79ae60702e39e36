package provider_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/provider"
)

// TestTokenAnswers is R26: odd answers and what is made of them.
func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	asked := []string{"asked"}
	const form = "application/x-www-form-urlencoded"
	cases := map[string]struct {
		kind, body string
		life       time.Duration
		scopes     []string
		confirmed  bool
		refresh    string
	}{
		"plain":            {"application/json", `{"access_token":"a","expires_in":3600,"scope":"b a","refresh_token":"r"}`, time.Hour, []string{"a", "b"}, true, "r"},
		"text lifetime":    {"application/json", `{"access_token":"a","expires_in":"3600"}`, time.Hour, asked, false, ""},
		"fraction":         {"application/json", `{"access_token":"a","expires_in":3599.9}`, 3599 * time.Second, asked, false, ""},
		"exponent":         {"application/json", `{"access_token":"a","expires_in":3.6e3}`, time.Hour, asked, false, ""},
		"negative":         {"application/json", `{"access_token":"a","expires_in":-5}`, 0, asked, false, ""},
		"zero":             {"application/json", `{"access_token":"a","expires_in":0}`, 0, asked, false, ""},
		"absurd":           {"application/json", `{"access_token":"a","expires_in":1e300}`, 0, asked, false, ""},
		"no number":        {"application/json", `{"access_token":"a","expires_in":"NaN"}`, 0, asked, false, ""},
		"null lifetime":    {"application/json", `{"access_token":"a","expires_in":null}`, 0, asked, false, ""},
		"object lifetime":  {"application/json", `{"access_token":"a","expires_in":{}}`, 0, asked, false, ""},
		"empty scope":      {"application/json", `{"access_token":"a","scope":""}`, 0, asked, false, ""},
		"null scope":       {"application/json", `{"access_token":"a","scope":null}`, 0, asked, false, ""},
		"commas":           {"application/json", `{"access_token":"a","scope":"x,y, z"}`, 0, []string{"x", "y", "z"}, true, ""},
		"scope list":       {"application/json", `{"access_token":"a","scope":["y","x","x"]}`, 0, []string{"x", "y"}, true, ""},
		"number as scope":  {"application/json", `{"access_token":"a","scope":7}`, 0, asked, false, ""},
		"null refresh":     {"application/json", `{"access_token":"a","refresh_token":null}`, 0, asked, false, ""},
		"other case":       {"application/json", `{"access_token":"a","Access_Token":"b","SCOPE":"c"}`, 0, asked, false, ""},
		"null error":       {"application/json", `{"access_token":"a","error":null}`, 0, asked, false, ""},
		"form":             {form, "access_token=a&expires_in=60&scope=x%2Cy&refresh_token=r", time.Minute, []string{"x", "y"}, true, "r"},
		"form as text":     {"text/plain; charset=utf-8", "access_token=a&expires_in=60", time.Minute, asked, false, ""},
		"JSON as text":     {"text/plain", `{"access_token":"a"}`, 0, asked, false, ""},
		"JSON as HTML":     {"text/html", `{"access_token":"a"}`, 0, asked, false, ""},
		"nothing said":     {"", `{"access_token":"a"}`, 0, asked, false, ""},
		"201 in the large": {"application/json", `{"access_token":"a","x":{"access_token":"b"}}`, 0, asked, false, ""},
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			n.on(vendorToken, reply(http.StatusOK, v.kind, v.body))
			g, err := n.connection("oauth2", nil).Redeem(t.Context(), redemption())
			if err != nil {
				t.Fatal(err)
			}
			want := provider.Grant{
				Access: provider.NewSecret("a"), Refresh: provider.NewSecret(v.refresh),
				Expiry: end(v.life), Scopes: v.scopes, Confirmed: v.confirmed,
			}
			if diff := cmp.Diff(want, *g); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRefusedAnswers are a 200 that holds an error, or a token of no use.
func TestRefusedAnswers(t *testing.T) {
	t.Parallel()
	cases := []struct {
		vendor, body string
		class        provider.Class
		code         string
	}{
		{"oauth2", `{"error":"invalid_grant","access_token":"a"}`, provider.Rejected, "invalid_grant"},
		{"google", `{"error":"invalid_scope"}`, provider.Clean, "invalid_scope"},
		{"oauth2", `{"error":{"code":"x"}}`, provider.Clean, ""},
		{"oauth2", `{"access_token":"a","token_type":"DPoP"}`, provider.Ambiguous, "unsupported_token_type"},
		{"google", `{"access_token":"a","token_type":"user"}`, provider.Ambiguous, "unsupported_token_type"},
		{"slack", `{"ok":true,"access_token":"a","token_type":"bot"}`, provider.Ambiguous, "no_user_token"},
		{"slack", `{"ok":true,"authed_user":{"id":"U1"}}`, provider.Ambiguous, "no_access_token"},
		{"slack", `{"ok":false,"error":"fatal_error"}`, provider.Ambiguous, "fatal_error"},
		{"slack", `{"ok":false}`, provider.Clean, ""},
		{"salesforce", `{"access_token":"a","instance_url":"https://acme.my.salesforce.com.evil.example"}`, provider.Ambiguous, "untrusted_api_base"},
		{"salesforce", `{"access_token":"a","instance_url":"https://evil.example/.my.salesforce.com"}`, provider.Ambiguous, "untrusted_api_base"},
		{"salesforce", `{"access_token":"a","instance_url":"http://acme.my.salesforce.com"}`, provider.Ambiguous, "untrusted_api_base"},
		{"salesforce", `{"access_token":"a","instance_url":"https://u@acme.my.salesforce.com"}`, provider.Ambiguous, "untrusted_api_base"},
		{"salesforce", `{"access_token":"a","instance_url":"https://acme.my.salesforce.com:8443"}`, provider.Ambiguous, "untrusted_api_base"},
		{"salesforce", `{"access_token":"a"}`, provider.Ambiguous, "untrusted_api_base"},
	}
	for _, v := range cases {
		n := newInternet(t)
		n.on(tokenRoute(v.vendor), jsonReply(http.StatusOK, v.body))
		_, err := n.connection(v.vendor, nil).Redeem(t.Context(), redemption())
		t.Log(v.vendor, v.body)
		wantToken(t, err, v.class, v.code)
	}
}

// TestSlackTokens: a bot's token stands on top, a person's under authed_user at
// redemption and on top at refresh.
func TestSlackTokens(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on("POST slack.com/api/oauth.v2.access", n.fixture("slack/bot_token"))
	c := n.connection("slack", func(r *provider.Registration) { r.BotToken = true })
	g, err := c.Redeem(t.Context(), redemption())
	if err != nil || g.Access.Reveal() != "xoxb-bot-access" || !g.Refresh.IsZero() || !g.Expiry.IsZero() {
		t.Errorf("bot: %v, %v", g, err)
	}
	at, err := c.AuthCodeURL(t.Context(), provider.AuthRequest{State: state, RedirectURI: "https://x.example/callback/slack", Scopes: []string{"chat:write"}})
	if want := "https://slack.com/oauth/v2/authorize\n  client_id = client-1\n  redirect_uri = https://x.example/callback/slack\n  response_type = code\n  scope = chat:write\n  state = state-1\n"; err != nil || address(t, at) != want {
		t.Errorf("bot asks %s, %v", at, err)
	}
}

// TestRefreshKeeps: a refresh keeps rotated tokens even when the rest of the answer is odd.
func TestRefreshKeeps(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on(tokenRoute("salesforce"), jsonReply(http.StatusOK, `{"access_token":"a2","refresh_token":"r2","token_type":"odd","instance_url":"https://evil.example"}`))
	g, err := n.connection("salesforce", nil).Refresh(t.Context(), provider.NewSecret("r1"), []string{"api"})
	if err != nil {
		t.Fatal(err)
	}
	want := provider.Grant{Access: provider.NewSecret("a2"), Refresh: provider.NewSecret("r2"), Scopes: []string{"api"}}
	if diff := cmp.Diff(want, *g); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
