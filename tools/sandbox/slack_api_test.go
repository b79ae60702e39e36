package sandbox_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const slackScopes = "chat:write,channels:read,channels:history,groups:read"

func TestSlackPosting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("slack", "alice", slackScopes), "authed_user", "access_token")
	posted := w.method("chat.postMessage", token, url.Values{"channel": {"#sales"}, "text": {"Offer is out & signed"}})
	want(t, "ok", posted["ok"], any(true))
	want(t, "channel is the id", str(posted, "channel"), "C07SBXSALES")
	want(t, "text", str(posted, "message", "text"), "Offer is out & signed")

	inThread := w.postJSON(w.vendor("slack").API+"/api/chat.postMessage", token, map[string]any{"channel": "C07SBXSALES", "text": "Congratulations!", "thread_ts": str(posted, "ts")}).object(t)
	want(t, "thread", str(inThread, "message", "thread_ts"), str(posted, "ts"))
	if str(inThread, "ts") <= str(posted, "ts") {
		t.Error("a later message has a later timestamp")
	}
	link := str(w.method("chat.getPermalink", token, url.Values{"channel": {"C07SBXSALES"}, "message_ts": {str(posted, "ts")}}), "permalink")
	if page := w.get(link, ""); page.status != http.StatusOK || !strings.Contains(string(page.body), "Offer is out &amp; signed") {
		t.Errorf("permalink %s: status %d", link, page.status)
	}
	newest := list(w.method("conversations.history", token, url.Values{"channel": {"C07SBXSALES"}}), "messages")
	want(t, "newest first, replies not shown", str(newest[0], "text"), "Offer is out & signed")
	if len(newest) < 5 {
		t.Errorf("#sales has %d messages", len(newest))
	}
}

func TestSlackRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("slack", "alice", slackScopes), "authed_user", "access_token")
	for _, c := range []struct{ channel, text, thread, error string }{
		{"#nowhere", "hi", "", "channel_not_found"},
		{"", "hi", "", "channel_not_found"},
		{"#oncall", "hi", "", "not_in_channel"},
		{"#summer-party", "hi", "", "is_archived"},
		{"#general", " ", "", "no_text"},
		{"#general", strings.Repeat("é", 40_001), "", "msg_too_long"},
		{"#general", strings.Repeat("é", 40_000), "", ""},
		{"#general", "hi", "1763400000.000001", "thread_not_found"},
		{"#leadership", "hi", "", ""},
	} {
		got := w.method("chat.postMessage", token, url.Values{"channel": {c.channel}, "text": {c.text}, "thread_ts": {c.thread}})
		want(t, c.channel+" "+c.error, str(got, "error"), c.error)
	}
	bob := str(w.connect("slack", "bob", "chat:write"), "authed_user", "access_token")
	private := w.method("chat.postMessage", bob, url.Values{"channel": {"#leadership"}, "text": {"hi"}})
	want(t, "a private channel of others", str(private, "error"), "channel_not_found")
	want(t, "no such method", str(w.method("chat.explode", token, nil), "error"), "unknown_method")
}

func TestSlackMissingScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("slack", "alice", "users:read,channels:read"), "authed_user", "access_token")
	for _, c := range []struct {
		method string
		args   url.Values
		needed string
	}{
		{"chat.postMessage", url.Values{"channel": {"#general"}, "text": {"hi"}}, "chat:write"},
		{"conversations.history", url.Values{"channel": {"C07SBXSALES"}}, "channels:history"},
		{"conversations.history", url.Values{"channel": {"C07SBXLEADS"}}, "groups:history"},
		{"conversations.list", url.Values{"types": {"public_channel,private_channel"}}, "groups:read"},
	} {
		got := w.method(c.method, token, c.args)
		want(t, c.method, str(got, "error"), "missing_scope")
		want(t, c.method, str(got, "needed"), c.needed)
		want(t, c.method, str(got, "provided"), "users:read,channels:read")
	}
	info := w.method("users.info", token, url.Values{"user": {"U07SBXBOB01"}})
	want(t, "e-mail without its scope", str(info, "user", "profile", "email"), "")
	res := w.post(w.vendor("slack").API+"/api/chat.postMessage", nil, "Authorization", "Bearer "+token)
	want(t, "x-oauth-scopes", res.header.Get("X-OAuth-Scopes"), "users:read,channels:read")
	want(t, "x-accepted-oauth-scopes", res.header.Get("X-Accepted-OAuth-Scopes"), "chat:write")
}

func TestSlackChannelPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("slack", "alice", slackScopes), "authed_user", "access_token")
	args := url.Values{"types": {"public_channel,private_channel"}, "limit": {"4"}, "exclude_archived": {"true"}}
	seen := map[string]bool{}
	for range 5 {
		page := w.method("conversations.list", token, args)
		for _, ch := range list(page, "channels") {
			seen[str(ch, "name")] = true
		}
		cursor := str(page, "response_metadata", "next_cursor")
		if cursor == "" {
			break
		}
		args.Set("cursor", cursor)
	}
	for _, name := range []string{"general", "sales", "eng", "leadership"} {
		if !seen[name] {
			t.Errorf("#%s is not listed", name)
		}
	}
	want(t, "archived", seen["summer-party"], false)
	want(t, "cursor", str(w.method("conversations.list", token, url.Values{"cursor": {"!"}}), "error"), "invalid_cursor")
}
