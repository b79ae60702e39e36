package e2e_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

var approvalID = regexp.MustCompile(`"approval": "(ap_[A-Za-z0-9_-]+)"`)

// approval is the id that a client may call with instead of the arguments.
func (a answer) approval(t *testing.T) string {
	t.Helper()
	m := approvalID.FindStringSubmatch(a.Text)
	if m == nil {
		t.Fatalf("the answer names no approval: %s", a.show())
	}
	return m[1]
}

func say(text string) map[string]any {
	return map[string]any{"channel": "general", "text": text}
}

// posted is what chat_post_message answers.
func posted(t *testing.T, a answer) (ts string) {
	t.Helper()
	var out struct{ TS, URL string }
	a.structured(t, &out)
	if out.TS == "" || out.URL == "" {
		t.Fatalf("nothing was posted: %s", a.show())
	}
	return out.TS
}

// TestR79ApproveByPage holds, on both transports, that a message is posted when
// its person has said so on the page: as it stood there, once, and for the one who asked.
func TestR79ApproveByPage(t *testing.T) {
	t.Parallel()
	for _, k := range []kind{{"v2", "modern", "http", "none"}, {"v1", "legacy", "stdio", "none"}} {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			c, b := inSandbox(t, k), newBrowser(t)
			first := c.call(t, "chat_post_message", say("one"))
			if first.consent(t).Reason != "not_connected" {
				t.Errorf("the first call lacks %q", first.consent(t).Reason)
			}
			b.consent(first.link(t), "alice") // the account, the agent's access and the message: one visit
			posted(t, c.call(t, "chat_post_message", say("one")))

			second := c.call(t, "chat_post_message", say("two"))
			if got := second.consent(t); got.Reason != "approval_required" || len(got.Scopes) != 0 {
				t.Errorf("the second call lacks %+v", got)
			}
			b.open(second.link(t))
			for _, said := range []string{"two", "general"} {
				if !strings.Contains(b.page.text(), said) {
					t.Errorf("the page does not show %q:\n%s", said, b.page.text())
				}
			}
			b.goOn("alice")
			alone := map[string]any{"approval": second.approval(t)}
			changed := say("three")
			changed["approval"] = second.approval(t)
			if a := c.call(t, "chat_post_message", changed); !a.IsError || !strings.Contains(a.Text, "not those that the person approved") {
				t.Errorf("a changed argument answered %s", a.show())
			}
			posted(t, c.call(t, "chat_post_message", alone))
			if a := c.call(t, "chat_post_message", alone); !a.IsError || !strings.Contains(a.Text, "already ran at") {
				t.Errorf("a repeat answered %s", a.show())
			}
			if a := c.call(t, "chat_post_message", say("three")); a.link(t) == second.link(t) || a.approval(t) == second.approval(t) {
				t.Errorf("another message is under the old approval: %s", a.show())
			}
		})
	}
}

// TestApproveInTheClient holds that a client on this desktop may ask in its own
// dialog, in both eras; and that it asks there about nothing but the call.
func TestApproveInTheClient(t *testing.T) {
	t.Parallel()
	for _, k := range []kind{{"v1", "legacy", "stdio", "form"}, {"v2", "modern", "stdio", "form"}} {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			c := inSandbox(t, k)
			newBrowser(t).consent(c.call(t, "connections_connect", map[string]any{"connection": "slack"}).link(t), "alice")
			for i, decision := range []string{"once", "decline"} {
				text := fmt.Sprintf("message %d", i)
				id := c.goCall(t, "chat_post_message", say(text))
				form := c.form(t, i+1)
				if !strings.Contains(form, "text: "+text) || !strings.Contains(form, "channel: general") {
					t.Errorf("the dialog says %q", form)
				}
				c.write(t, map[string]any{"op": "answer", "elicitation": i + 1, "action": "accept", "content": map[string]string{"decision": decision}})
				if a := c.await(t, id, patience); decision == "once" {
					posted(t, a)
				} else if !a.IsError || !strings.Contains(a.Text, "declined") {
					t.Errorf("after a no: %s", a.show())
				}
			}
		})
	}
}

// form is the message of a form elicitation.
func (c *client) form(t *testing.T, n int) string {
	t.Helper()
	m, _ := c.message(t, 0, patience, func(m message) bool { return m.Event == "elicitation" && m.Elicitation == n })
	var params struct {
		Mode, Message   string
		RequestedSchema json.RawMessage
	}
	unmarshal(t, string(m.Params), &params)
	if params.Mode != "form" || len(params.RequestedSchema) == 0 {
		t.Fatalf("elicitation %d is no form: %s", n, m.Params)
	}
	return params.Message
}

// TestR80WhatWasReadIsNoYes: a document is read, and what it could have asked
// for still needs its person's word on the very call.
func TestR80WhatWasReadIsNoYes(t *testing.T) {
	t.Parallel()
	c, b := inSandbox(t, kind{"v2", "modern", "http", "none"}), newBrowser(t)
	b.consent(c.call(t, "connections_connect", map[string]any{"connection": "slack"}).link(t), "alice")
	b.consent(c.call(t, "documents_search", map[string]any{"query": "plan"}).link(t), "alice")
	var found struct {
		Documents []struct{ ID string }
	}
	c.call(t, "documents_search", map[string]any{"query": "plan"}).structured(t, &found)
	var doc struct{ Text string }
	c.call(t, "documents_read", map[string]any{"id": found.Documents[0].ID}).structured(t, &doc)
	a := c.call(t, "chat_post_message", say(doc.Text[:40]))
	if got := a.consent(t); !a.IsError || got.Reason != "approval_required" {
		t.Fatalf("it answered %s", a.show())
	}
	b.consent(a.link(t), "alice")
	if other := c.call(t, "chat_post_message", say(doc.Text[:41])); other.consent(t).Reason != "approval_required" {
		t.Errorf("the yes to one message let another go: %s", other.show())
	}
	posted(t, c.call(t, "chat_post_message", say(doc.Text[:40])))
}
