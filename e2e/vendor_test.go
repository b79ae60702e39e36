package e2e_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/storetest/port"
)

// vendors is Google and Slack by emulate, with a recorder in front of what
// carries tokens, and a config that points Grantry at them.
type vendors struct {
	*emulated
	google, slack *recorder
	listen, base  string
}

// startVendors runs them for a Grantry that will listen on its own port.
func startVendors(t *testing.T) *vendors {
	t.Helper()
	return startVendorsFor(t, "http")
}

// startVendorsFor runs them for a Grantry that is http or https.
func startVendorsFor(t *testing.T, scheme string) *vendors {
	t.Helper()
	v := &vendors{listen: port.Get(t).Addr()}
	v.base = scheme + "://" + v.listen
	v.emulated = startEmulate(t, v.base)
	v.google, v.slack = newRecorder(t, v.emulated.Google), newRecorder(t, v.emulated.Slack)
	return v
}

// secrets is the environment that the config refers to.
func (v *vendors) secrets() []string {
	return []string{"GOOGLE_SECRET=emulate-google-secret", "SLACK_SECRET=emulate-slack-secret"}
}

// yaml is a whole config; extra is appended to it.
func (v *vendors) yaml(extra string) string {
	return fmt.Sprintf(`listen: %[1]s
tools: { writes: allow }
connections:
  google:
    provider: google
    client_id: emulate-google
    client_secret: env:GOOGLE_SECRET
    endpoints:
      issuer: %[2]s
      authorization: %[2]s/o/oauth2/v2/auth
      jwks: %[2]s/oauth2/v3/certs
      token: %[3]s/oauth2/token
      revocation: %[3]s/oauth2/revoke
      userinfo: %[3]s/oauth2/v2/userinfo
      api: %[3]s
  slack:
    provider: slack
    client_id: emulate-slack
    client_secret: env:SLACK_SECRET
    endpoints:
      authorization: %[4]s/oauth/v2/authorize
      token: %[5]s/api/oauth.v2.access
      revocation: %[5]s/api/auth.revoke
      userinfo: %[5]s/api/auth.test
      api: %[5]s
%[6]s`, v.listen, v.emulated.Google, v.google.URL, v.emulated.Slack, v.slack.URL, extra)
}

// tokens answers every secret that crossed the wire so far: what the token
// endpoints gave, and codes and verifiers that were sent to them.
func (v *vendors) tokens(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, e := range append(v.google.exchanges("/oauth2/token"), v.slack.exchanges("/oauth.v2.access")...) {
		out = append(out, wireSecrets(t, e)...)
	}
	return append(out, "emulate-google-secret", "emulate-slack-secret")
}

// wireSecrets answers the secrets of one exchange with a token endpoint.
func wireSecrets(t *testing.T, e exchange) []string {
	t.Helper()
	sent, err := url.ParseQuery(e.Body)
	if err != nil {
		t.Fatalf("the token request is no form: %v", err)
	}
	var out []string
	for _, name := range []string{"code", "code_verifier", "refresh_token"} {
		if secret := sent.Get(name); len(secret) > 11 {
			out = append(out, secret)
		}
	}
	var body struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token"`
		User    struct {
			Access string `json:"access_token"`
		} `json:"authed_user"`
	}
	unmarshal(t, e.Answer, &body)
	for _, secret := range []string{body.Access, body.Refresh, body.ID, body.User.Access} {
		if secret != "" {
			out = append(out, secret)
		}
	}
	return out
}

// TestGoogleAndSlackByEmulate uses vendors that we did not write, over stdio:
// real PKCE, Slack's ok:false world and user tokens, and Google's API client
// against a foreign server. Afterwards no token lies about anywhere.
func TestGoogleAndSlackByEmulate(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	c := connect(t, h.overStdio(t, clientConfig{SDK: "v2", Era: "modern", Elicitation: "url"}, "--log-level", "debug"))
	c.list(t)
	b := newBrowser(t)
	answers := []answer{consented(t, c, b, 1, "calendar_list_events", map[string]any{})}

	got := wantEvents(t, answers[0])
	if len(got.Events) != 1 || got.Events[0].ID != "evt_review" {
		t.Errorf("the next seven days of alice hold %+v, want evt_review alone", got.Events)
	}
	answers = append(answers, documents(t, c, b)...)
	answers = append(answers, consented(t, c, b, c.elicitations()+1, "chat_post_message", map[string]any{"channel": "launch", "text": "Posted by the end-to-end test"}))
	var posted struct{ Channel, TS, URL string }
	answers[len(answers)-1].structured(t, &posted)
	if posted.TS == "" || posted.Channel == "" {
		t.Errorf("chat_post_message answered %+v", posted)
	}
	if !strings.Contains(v.slack.exchanges("/chat.postMessage")[0].Header.Get("Authorization"), "xoxp-") {
		t.Error("the message was not posted with alice's user token")
	}

	scan := newCanary(t, v.tokens(t)...)
	c.stop(t)
	scan.cleanDir(t, h.Dir)
	scan.cleanPages(t, b, v.base)
	scan.clean(t, "what grantry logged and the client saw", []byte(c.output()))
	for _, a := range answers {
		scan.clean(t, "a result", []byte(a.show()))
	}
}

// documents searches Drive and reads what it finds, as bob would not.
func documents(t *testing.T, c *client, b *browser) []answer {
	t.Helper()
	found := consented(t, c, b, c.elicitations()+1, "documents_search", map[string]any{"query": "Launch"})
	var list struct {
		Documents []struct{ ID, Title string } `json:"documents"`
	}
	found.structured(t, &list)
	if len(list.Documents) == 0 || list.Documents[0].ID != "drv_plan" {
		t.Fatalf("documents_search found %+v, want drv_plan", list.Documents)
	}
	read := c.call(t, "documents_read", map[string]any{"id": "drv_plan"})
	var doc struct {
		Text     string `json:"text"`
		MimeType string `json:"mime_type"`
	}
	read.structured(t, &doc)
	if !strings.Contains(doc.Text, "first Monday of spring") {
		t.Errorf("documents_read answered %+v", doc)
	}
	return []answer{found, read}
}

// consented makes a call; if it asks a person for the n-th time, alice
// consents.
func consented(t *testing.T, c *client, b *browser, n int, name string, args map[string]any) answer {
	t.Helper()
	id := c.goCall(t, name, args)
	link, _ := c.elicitation(t, n)
	c.answer(t, n, "accept")
	b.consent(link, "alice")
	return c.await(t, id, patience).ok(t)
}

// TestRevokeAtTheVendor disconnects an account and looks whether the vendor
// was told, with the token that it had given.
func TestRevokeAtTheVendor(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	c := connect(t, h.overStdio(t, clientConfig{SDK: "v1", Era: "legacy", Elicitation: "none"}))
	b := newBrowser(t)
	b.consent(c.call(t, "calendar_list_events", map[string]any{}).link(t), "alice")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))

	var list struct {
		Accounts []struct{ ID, Connection, State string } `json:"accounts"`
	}
	c.call(t, "connections_list", map[string]any{}).structured(t, &list)
	if len(list.Accounts) != 1 || list.Accounts[0].Connection != "google" {
		t.Fatalf("connections_list answered %+v", list)
	}
	if _, stderr, code := h.run(t, "connections", "revoke", list.Accounts[0].ID); code != 0 {
		t.Fatalf("connections revoke ended with %d: %s", code, stderr)
	}
	told := v.google.exchanges("/oauth2/revoke")
	if len(told) != 1 {
		t.Fatalf("the vendor was told %d times", len(told))
	}
	if a := c.call(t, "calendar_list_events", map[string]any{}); !a.IsError {
		t.Errorf("a call after the revocation answered %s", a.show())
	}
}
