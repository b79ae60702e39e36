package chat_test

import (
	"strings"
	"testing"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/chat"
	"github.com/grantry/grantry/tools/tooltest"
	"github.com/grantry/grantry/vault/provider"
)

func TestAgainstTheSandbox(t *testing.T) {
	t.Parallel()
	src := tooltest.Connect(t, "slack", "chat:write")
	got := tooltest.Call[chat.Posted](t, post(t), src, `{"channel":"#general","text":"Hello <!channel>"}`)
	if !strings.HasPrefix(got.Channel, "C") || got.TS == "" || !strings.Contains(got.URL, got.Channel) {
		t.Errorf("got %+v", got)
	}
	reply := tooltest.Call[chat.Posted](t, post(t), src, `{"channel":"`+got.Channel+`","text":"and again","thread":"`+got.TS+`"}`)
	if reply.Channel != got.Channel || reply.TS == got.TS {
		t.Errorf("got %+v", reply)
	}
	e := tooltest.Fails[*tools.APIError](t, post(t), src, `{"channel":"C0NOWHERE00","text":"x"}`)
	if e.Code != "channel_not_found" {
		t.Errorf("%+v", e)
	}

	narrow := tooltest.Connect(t, "slack", "channels:read")
	scope := tooltest.Fails[*provider.ScopeError](t, post(t), narrow, `{"channel":"#general","text":"x"}`)
	if len(scope.Scopes) != 1 || scope.Scopes[0] != "chat:write" {
		t.Errorf("scopes %q", scope.Scopes)
	}
}
