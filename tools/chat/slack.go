package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault/provider"
)

const (
	slackAPI     = "https://slack.com/api/"
	maxSlackText = 40000 // characters; Slack cuts longer texts
)

func slackNeed() provider.Need {
	return provider.Need{Provider: "slack", Groups: [][]string{{"chat:write"}}}
}

// slackMessage is the body of chat.postMessage. Nothing in the text is made a
// mention (parse, link_names), and no link is fetched for a preview: a preview
// could carry the text's contents to whoever owns the address.
type slackMessage struct {
	Channel     string `json:"channel"`
	Text        string `json:"text"`
	Thread      string `json:"thread_ts,omitempty"`
	Parse       string `json:"parse"`
	LinkNames   bool   `json:"link_names"`
	UnfurlLinks bool   `json:"unfurl_links"`
	UnfurlMedia bool   `json:"unfurl_media"`
}

// slackAnswer is what Slack answers, always with status 200.
type slackAnswer struct {
	OK        bool   `json:"ok"`
	Error     string `json:"error"`
	Channel   string `json:"channel"`
	TS        string `json:"ts"`
	Permalink string `json:"permalink"`
}

// slackPost is chat.postMessage (https://docs.slack.dev/reference/methods/chat.postMessage).
// It has no idempotency key, so it is never sent again when its answer is lost.
func slackPost(ctx context.Context, c *tools.Client, in PostArguments) (Posted, error) {
	body, err := json.Marshal(slackMessage{Channel: in.Channel, Text: escape(in.Text), Thread: in.Thread, Parse: "none"})
	if err != nil {
		return Posted{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, slackAPI+"chat.postMessage", bytes.NewReader(body))
	if err != nil {
		return Posted{}, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	answer, err := slackCall(c, req)
	if err != nil {
		return Posted{}, err
	}
	if answer.TS == "" || answer.Channel == "" {
		return Posted{}, c.Unreadable(http.StatusOK)
	}
	return Posted{Channel: answer.Channel, TS: answer.TS, URL: slackLink(ctx, c, answer.Channel, answer.TS)}, nil
}

// slackLink is the message's address (chat.getPermalink). The message stands
// whether or not Slack tells it, so that a failure answers the general address.
func slackLink(ctx context.Context, c *tools.Client, channel, ts string) string {
	q := url.Values{"channel": {channel}, "message_ts": {ts}}.Encode()
	fallback := "https://slack.com/app_redirect?" + q
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, slackAPI+"chat.getPermalink?"+q, nil)
	if err != nil {
		return fallback
	}
	answer, err := slackCall(c, req)
	if err != nil || answer.Permalink == "" {
		return fallback
	}
	return answer.Permalink
}

func slackCall(c *tools.Client, req *http.Request) (slackAnswer, error) {
	answer, err := tools.JSON[slackAnswer](c, req)
	if err != nil {
		return answer, err
	}
	if !answer.OK {
		return answer, c.Refused(http.StatusOK, answer.Error)
	}
	return answer, nil
}

// escape takes from text what Slack would read as a mention or a link behind
// other words (https://docs.slack.dev/messaging/formatting-message-text#escaping).
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

func checkSlackText(text string) error {
	if n := utf8.RuneCountInString(escape(text)); n > maxSlackText {
		return &tools.InputError{Path: "text", Reason: "is too long once &, < and > are escaped; at most 40000 characters are allowed then"}
	}
	return nil
}
