package chat_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/chat"
	"github.com/grantry/grantry/tools/tooltest"
	"github.com/grantry/grantry/vault/provider"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGolden(t *testing.T) {
	t.Parallel()
	tooltest.Golden(t, *update, chat.Tools())
}

func post(t *testing.T) tools.Tool {
	t.Helper()
	return tooltest.Find(t, chat.Tools(), "chat_post_message")
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	tooltest.Refuses(t, post(t), []tooltest.Mistake{
		{Args: `{}`, Path: "channel", Says: "is missing; required: channel, text"},
		{Args: `{"channel":"C1"}`, Path: "text", Says: "is missing"},
		{Args: `{"channel":"","text":"x"}`, Path: "channel", Says: "must not be empty"},
		{Args: `{"channel":"C1","text":""}`, Path: "text", Says: "must not be empty"},
		{Args: `{"channel":"C1","text":["x"]}`, Path: "text", Says: "must be a string, not a list"},
		{Args: `{"channel":"C1","text":"` + strings.Repeat("x", 12001) + `"}`, Path: "text", Says: "at most 12000"},
		{Args: `{"channel":"C1","text":"` + strings.Repeat("&", 9000) + `"}`, Path: "text", Says: "at most 40000"},
		{Args: `{"channel":"C1","text":"x","thread":"yesterday"}`, Path: "thread", Says: "such as 1712345678.123456"},
		{Args: `{"channel":"C1","text":"x","thread":""}`, Path: "thread", Says: "Leave it out"},
		{Args: `{"channel":"C1","text":"x","thread":1700000000.000100}`, Path: "thread", Says: "must be a string, not a number"},
		{Args: `{"channel":"C1","text":"x","thread_ts":"1"}`, Path: "thread_ts", Says: `did you mean "thread"?`},
		{Args: `{"channel":"C1","text":"x","Text":"y"}`, Path: "Text", Says: `did you mean "text"?`},
		{Args: `{"channel":"C1","text":"x","text":"y"}`, Path: "text", Says: "is given twice"},
	})
}

// slack plays the two methods that the tool calls.
type slack struct {
	post, link string // answers; "" = as they should be
	status     int
	fail       int // how many posts answer status

	mu    sync.Mutex
	posts []map[string]any
	auth  []string
}

func (s *slack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	s.auth = append(s.auth, r.Header.Get("Authorization"))
	switch r.Method + " " + r.URL.Path {
	case "POST /api/chat.postMessage":
		var m map[string]any
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			_, _ = io.WriteString(w, `{"ok":false,"error":"invalid_json"}`)
			return
		}
		s.posts = append(s.posts, m)
		if len(s.posts) <= s.fail {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(s.status)
			_, _ = io.WriteString(w, `{"ok":false,"error":"ratelimited"}`)
			return
		}
		answer(w, s.post, fmt.Sprintf(`{"ok":true,"channel":"C042","ts":"1700000000.000100","message":{"text":%q}}`, m["text"]))
	case "GET /api/chat.getPermalink":
		q := r.URL.Query()
		answer(w, s.link, fmt.Sprintf(`{"ok":true,"permalink":"https://acme.slack.com/archives/%s/p%s"}`, q.Get("channel"), strings.ReplaceAll(q.Get("message_ts"), ".", "")))
	default:
		http.NotFound(w, r)
	}
}

func answer(w io.Writer, own, usual string) {
	if own == "" {
		own = usual
	}
	_, _ = io.WriteString(w, own)
}

func TestPost(t *testing.T) {
	t.Parallel()
	s := &slack{}
	src := tooltest.NewSource(t, "slack", s)
	text := `Hi <!channel>, <@U1> & <https://evil.example|our site> @here &lt;`
	args, _ := json.Marshal(map[string]string{"channel": "#general", "text": text, "thread": "1699999999.000200"})
	got := tooltest.Call[chat.Posted](t, post(t), src, string(args))
	want := chat.Posted{Channel: "C042", TS: "1700000000.000100", URL: "https://acme.slack.com/archives/C042/p1700000000000100"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	sent := map[string]any{
		"channel": "#general", "thread_ts": "1699999999.000200", "parse": "none", "link_names": false, "unfurl_links": false, "unfurl_media": false,
		"text": `Hi &lt;!channel&gt;, &lt;@U1&gt; &amp; &lt;https://evil.example|our site&gt; @here &amp;lt;`,
	}
	if diff := cmp.Diff([]map[string]any{sent}, s.posts); diff != "" {
		t.Error(diff)
	}
	if s.auth[0] != "Bearer "+tooltest.Token {
		t.Errorf("authorized by %q", s.auth[0])
	}
}

// TestAPostedMessageIsNoError: once it is posted, what comes after must not lead to a second one.
func TestAPostedMessageIsNoError(t *testing.T) {
	t.Parallel()
	for _, link := range []string{`{"ok":false,"error":"canary"}`, `canary`, `{"ok":true}`} {
		got := tooltest.Call[chat.Posted](t, post(t), tooltest.NewSource(t, "slack", &slack{link: link}), `{"channel":"C042","text":"x"}`)
		if got.TS != "1700000000.000100" || got.URL != "https://slack.com/app_redirect?channel=C042&message_ts=1700000000.000100" {
			t.Errorf("%s: %+v", link, got)
		}
	}
}

func TestPostIsSentAgainOnlyWhenItWasNotDone(t *testing.T) {
	t.Parallel()
	lost := &slack{fail: 1, status: 503}
	e := tooltest.Fails[*tools.APIError](t, post(t), tooltest.NewSource(t, "slack", lost), `{"channel":"C042","text":"x"}`)
	if len(lost.posts) != 1 || e.Status != 503 || e.Temporary || !e.Unsure || !strings.Contains(e.Reason, "look before you try again") {
		t.Errorf("%d posts, %v", len(lost.posts), e)
	}
	throttled := &slack{fail: 1, status: 429}
	tooltest.Call[chat.Posted](t, post(t), tooltest.NewSource(t, "slack", throttled), `{"channel":"C042","text":"x"}`)
	if len(throttled.posts) != 2 || throttled.posts[1]["text"] != "x" {
		t.Errorf("posts %v", throttled.posts)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]tools.APIError{
		`{"ok":false,"error":"channel_not_found"}`: {Code: "channel_not_found", Reason: "has no such channel, or this account may not see it"},
		`{"ok":false,"error":"not_in_channel"}`:    {Code: "not_in_channel", Reason: "says that this account is not a member of the channel; join it first"},
		`{"ok":false,"error":"canary"}`:            {Reason: "did not accept the request"},
		`{"ok":false,"error":"ratelimited"}`:       {Code: "ratelimited", Reason: "is throttling this account", Temporary: true},
		`{"ok":true,"message":"canary"}`:           {Reason: "gave an answer that could not be read; it may have done what was asked all the same, so look before you try again", Unsure: true},
	} {
		got := tooltest.Fails[*tools.APIError](t, post(t), tooltest.NewSource(t, "slack", &slack{post: body}), `{"channel":"C042","text":"x"}`)
		want.Provider, want.Status = "slack", http.StatusOK
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	missing := &slack{post: `{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"identify"}`}
	e := tooltest.Fails[*provider.ScopeError](t, post(t), tooltest.NewSource(t, "slack", missing), `{"channel":"C042","text":"x"}`)
	if diff := cmp.Diff([]string{"chat:write"}, e.Scopes); diff != "" {
		t.Error(diff)
	}
}
