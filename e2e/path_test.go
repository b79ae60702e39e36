package e2e_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestCallThenConsentThenData is the main job, with each SDK over each
// transport in each era: no grant, a link, the person's consent, the data.
func TestCallThenConsentThenData(t *testing.T) {
	t.Parallel()
	for _, k := range everyClient("url") {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			c := inSandbox(t, k)
			wantTools(t, c.list(t))
			link, finish := startCall(t, c, k)
			done := newBrowser(t).consent(link, "alice")
			if done.Status != http.StatusOK {
				t.Fatalf("the visit ended with %d at %s:\n%s", done.Status, done.URL, done.text())
			}
			wantEvents(t, finish())
			started := time.Now()
			wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
			within(t, started, 10*time.Second, "a call with a grant")
		})
	}
}

// startCall makes a call that needs a person and answers the link as this
// kind of client gets it (DESIGN 4), and how to get the call's end.
func startCall(t *testing.T, c *client, k kind) (link string, finish func() answer) {
	t.Helper()
	id := c.goCall(t, "calendar_list_events", map[string]any{})
	again := func() answer { return c.call(t, "calendar_list_events", map[string]any{}) }
	if k.elicitation != "url" {
		return c.await(t, id, patience).link(t), again
	}
	if k.era == "legacy" {
		return c.await(t, id, patience).urlRequired(t)[0].URL, again
	}
	link, _ = c.elicitation(t, 1)
	return link, func() answer {
		c.answer(t, 1, "accept")
		return c.await(t, id, 2*patience)
	}
}

// wantTools checks what every tool must say of itself.
func wantTools(t *testing.T, tools []tool) {
	t.Helper()
	names := map[string]bool{}
	for _, tool := range tools {
		names[tool.Name] = true
		for _, hint := range []string{"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"} {
			if _, set := tool.Annotations[hint]; !set {
				t.Errorf("%s does not set %s", tool.Name, hint)
			}
		}
		if len(tool.OutputSchema) == 0 || tool.Title == "" && tool.Annotations["title"] == nil {
			t.Errorf("%s lacks an output schema or a title", tool.Name)
		}
	}
	for _, name := range []string{
		"calendar_list_events", "documents_search", "documents_read", "crm_query", "crm_update_record", "chat_post_message",
		"connections_list", "connections_connect",
	} {
		if !names[name] {
			t.Errorf("there is no tool %s", name)
		}
	}
}

// TestEverySandboxTool connects Google, Slack and Salesforce, each by the
// link that the first call to it gives, and gets data from each.
func TestEverySandboxTool(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	c := connect(t, clientConfig{SDK: "v2", Era: "modern", Elicitation: "none", URL: s.MCP, Token: s.token(t, "alice", "e2e-client")})
	c.list(t) // the SDK checks results against the schemas that it has listed
	b := newBrowser(t)
	for _, call := range []struct {
		tool, field string
		args        map[string]any
	}{
		{"calendar_list_events", "events", map[string]any{}},
		{"documents_search", "documents", map[string]any{"query": "plan"}},
		{"chat_post_message", "ts", map[string]any{"channel": "general", "text": "Hello from the end-to-end test"}},
		{"crm_query", "records", map[string]any{"query": "SELECT Id, Name FROM Account LIMIT 5"}},
	} {
		first := c.call(t, call.tool, call.args)
		if !first.IsError {
			t.Fatalf("%s answered without consent: %s", call.tool, first.show())
		}
		b.consent(first.link(t), "alice")
		var out map[string]any
		c.call(t, call.tool, call.args).structured(t, &out)
		if list, isList := out[call.field].([]any); out[call.field] == nil || isList && len(list) == 0 {
			t.Errorf("%s answered no %s: %v", call.tool, call.field, out)
		}
	}
	for _, vendor := range []string{"google", "slack", "salesforce"} {
		if !s.live(t, vendor, "alice") {
			t.Errorf("alice has no live grant at %s", vendor)
		}
	}
}

// live says whether the vendor knows a live grant of user.
func (s *sandbox) live(t *testing.T, vendor, user string) bool {
	t.Helper()
	for _, g := range s.grants(t) {
		if g.Vendor == vendor && g.User == user && g.Live {
			return true
		}
	}
	return false
}

// TestConsentInARealBrowser goes the whole way in Chromium: the sign-in, our
// page under its content security policy, the vendor, and back.
func TestConsentInARealBrowser(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	m := connect(t, clientConfig{SDK: "v2", Era: "modern", Elicitation: "url", Name: "Example Agent", URL: s.MCP, Token: s.token(t, "alice", "e2e-client")})
	link, finish := startCall(t, m, kind{"v2", "modern", "http", "url"})
	c := newChrome(t)
	c.open(link)
	c.click(sandboxSignIn + "alice")
	c.waitFor("Google")
	if path := os.Getenv("GRANTRY_SCREENSHOT"); path != "" {
		c.screenshot(path)
	}
	for _, word := range []string{"alice", "e2e-client"} {
		if !strings.Contains(c.text(), word) {
			t.Errorf("the consent page does not name %q:\n%s", word, c.text())
		}
	}
	c.click("Allow")
	c.waitFor(sandboxAllow + "alice")
	c.click(sandboxAllow + "alice")
	eventually(t, patience, "coming back from the vendor", func() bool { return strings.HasPrefix(c.url(), s.Base) })
	wantEvents(t, finish())
}

// TestSDKsSignInByThemselves gives the SDKs nothing but the URL: they find
// the issuer by our 401, register, and send their user there.
func TestSDKsSignInByThemselves(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	for _, k := range []kind{{"v1", "legacy", "http", "none"}, {"v2", "modern", "http", "none"}} {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			c := newClient(t, clientConfig{SDK: k.sdk, Era: k.era, Elicitation: k.elicitation, URL: s.MCP, OAuth: &clientOAuth{Redirect: a.URL}})
			c.signIn(t, newBrowser(t), a, "bob")
			wantTools(t, c.list(t))
		})
	}
}

// signIn does the person's part of the SDK's own OAuth and waits until the
// client is connected.
func (c *client) signIn(t *testing.T, b *browser, a *app, who string) {
	t.Helper()
	b.open(c.authorize(t))
	b.goOn(who)
	query := a.query(t)
	if query.Get("code") == "" {
		t.Fatalf("the issuer sent no code but %v", query)
	}
	c.write(t, map[string]any{"op": "code", "code": query.Get("code"), "iss": query.Get("iss")})
	c.ready(t)
}
