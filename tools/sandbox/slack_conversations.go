package sandbox

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// message is one line in a channel.
type message struct {
	Channel, User, TS, Thread, Text string
	Bot                             bool
}

var slackTS = regexp.MustCompile(`^\d{10}\.\d{6}$`)

const slackTextMax = 40_000 // characters

// channelFor finds a channel by id, name or #name. A private one exists for its members only.
func channelFor(c slackCall, want string) (channel, bool) {
	for _, ch := range channels() {
		if ch.id == want || ch.name == strings.TrimPrefix(want, "#") {
			return ch, !ch.private || ch.has(c.person)
		}
	}
	return channel{}, false
}

func (s *Sandbox) messages(id string) []message {
	out := seededMessages(id, s.cfg.Now())
	s.view(func(st *state) {
		for _, m := range st.Messages {
			if m.Channel == id {
				out = append(out, m)
			}
		}
	})
	slices.SortStableFunc(out, func(a, b message) int { return strings.Compare(a.TS, b.TS) })
	return out
}

func (s *Sandbox) postMessage(w http.ResponseWriter, _ *http.Request, c slackCall) {
	ch, found := channelFor(c, c.arg("channel"))
	text, thread := c.arg("text"), c.arg("thread_ts")
	switch {
	case !found:
		slackNo(w, "channel_not_found")
	case ch.archived:
		slackNo(w, "is_archived")
	case !ch.has(c.person) && !(c.token.Bot && c.has("chat:write.public")):
		slackNo(w, "not_in_channel")
	case strings.TrimSpace(text) == "" && c.arg("blocks") == "" && c.arg("attachments") == "":
		slackNo(w, "no_text")
	case utf8.RuneCountInString(text) > slackTextMax:
		slackNo(w, "msg_too_long")
	case thread != "" && !s.hasMessage(ch.id, thread):
		slackNo(w, "thread_not_found") // unverified: Slack names no error for this in chat.postMessage
	default:
		m := s.post(message{Channel: ch.id, User: c.person.slackID, Text: text, Thread: thread, Bot: c.token.Bot})
		writeJSON(w, http.StatusOK, reply{"ok": true, "channel": ch.id, "ts": m.TS, "message": m.body()})
	}
}

func (s *Sandbox) hasMessage(id, ts string) bool {
	return slackTS.MatchString(ts) && slices.ContainsFunc(s.messages(id), func(m message) bool { return m.TS == ts })
}

// post gives the message its timestamp, which is its id: no two are the same, and later ones are larger.
func (s *Sandbox) post(m message) message {
	s.update(func(st *state) {
		now := s.cfg.Now()
		m.TS = fmt.Sprintf("%010d.%06d", now.Unix(), now.Nanosecond()/1000)
		if n := len(st.Messages); n > 0 && m.TS <= st.Messages[n-1].TS {
			sec, frac, _ := strings.Cut(st.Messages[n-1].TS, ".")
			a, _ := strconv.Atoi(sec)
			b, _ := strconv.Atoi(frac)
			m.TS = fmt.Sprintf("%010d.%06d", a+(b+1)/1_000_000, (b+1)%1_000_000)
		}
		if m.Bot {
			m.User = slackBotUser
		}
		st.Messages = append(st.Messages, m)
	})
	return m
}

func (m message) body() reply {
	out := reply{"type": "message", "user": m.User, "text": m.Text, "ts": m.TS, "team": slackTeam}
	if m.Thread != "" {
		out["thread_ts"] = m.Thread
	}
	if m.Bot {
		out["bot_id"], out["app_id"] = "B07SBXGRBOT", slackApp
	}
	return out
}

func (s *Sandbox) getPermalink(w http.ResponseWriter, _ *http.Request, c slackCall) {
	ch, found := channelFor(c, c.arg("channel"))
	switch {
	case !found:
		slackNo(w, "channel_not_found")
	case !s.hasMessage(ch.id, c.arg("message_ts")):
		slackNo(w, "message_not_found")
	default:
		ts := c.arg("message_ts")
		link := s.cfg.BaseURL + "/slack/archives/" + ch.id + "/p" + strings.Replace(ts, ".", "", 1)
		for _, m := range s.messages(ch.id) {
			if m.TS == ts && m.Thread != "" {
				link += "?" + url.Values{"thread_ts": {m.Thread}, "cid": {ch.id}}.Encode()
			}
		}
		writeJSON(w, http.StatusOK, reply{"ok": true, "channel": ch.id, "permalink": link})
	}
}

// slackWindow cuts a page out of n results.
func slackWindow(c slackCall, n, size int) (from, to int, cursor, bad string) {
	if raw := c.arg("limit"); raw != "" && raw != "0" {
		asked, err := strconv.Atoi(raw)
		if err != nil || asked < 1 || asked > 1000 {
			return 0, 0, "", "invalid_limit"
		}
		size = asked
	}
	if raw := c.arg("cursor"); raw != "" {
		plain, err := base64.StdEncoding.DecodeString(raw)
		if err == nil {
			from, err = strconv.Atoi(strings.TrimPrefix(string(plain), "next:"))
		}
		if err != nil || from < 0 || from > n {
			return 0, 0, "", "invalid_cursor"
		}
	}
	to = min(from+size, n)
	if to < n {
		cursor = base64.StdEncoding.EncodeToString([]byte("next:" + strconv.Itoa(to)))
	}
	return from, to, cursor, ""
}

// listConversations needs a scope for each type that is asked for.
func (s *Sandbox) listConversations(w http.ResponseWriter, _ *http.Request, c slackCall) {
	types := strings.Split(cmp.Or(c.arg("types"), "public_channel"), ",")
	for _, t := range types {
		needed, known := map[string]string{"public_channel": "channels:read", "private_channel": "groups:read", "im": "im:read", "mpim": "mpim:read"}[strings.TrimSpace(t)]
		if !known {
			slackNo(w, "invalid_types")
			return
		}
		if !c.has(needed) {
			slackMissing(w, needed, c)
			return
		}
	}
	hits := slices.DeleteFunc(channels(), func(ch channel) bool {
		kind := "public_channel"
		if ch.private {
			kind = "private_channel"
		}
		hidden := ch.private && !ch.has(c.person) || ch.archived && c.arg("exclude_archived") == "true"
		return hidden || !slices.Contains(types, kind)
	})
	from, to, cursor, bad := slackWindow(c, len(hits), 100)
	if bad != "" {
		slackNo(w, bad)
		return
	}
	out := []reply{}
	for _, ch := range hits[from:to] {
		out = append(out, ch.body(c.person))
	}
	writeJSON(w, http.StatusOK, reply{"ok": true, "channels": out, "response_metadata": reply{"next_cursor": cursor}})
}

// history gives the newest first, without replies, as Slack does.
func (s *Sandbox) history(w http.ResponseWriter, _ *http.Request, c slackCall) {
	ch, found := channelFor(c, c.arg("channel"))
	needed := "channels:history"
	if ch.private {
		needed = "groups:history"
	}
	switch {
	case !found:
		slackNo(w, "channel_not_found")
		return
	case !c.has(needed):
		slackMissing(w, needed, c)
		return
	case !ch.has(c.person):
		slackNo(w, "not_in_channel")
		return
	}
	oldest, latest := c.arg("oldest"), cmp.Or(c.arg("latest"), "9")
	hits := slices.DeleteFunc(s.messages(ch.id), func(m message) bool {
		return m.Thread != "" && m.Thread != m.TS || m.TS <= oldest || m.TS >= latest
	})
	slices.Reverse(hits)
	from, to, cursor, bad := slackWindow(c, len(hits), 100)
	if bad != "" {
		slackNo(w, bad)
		return
	}
	out := []reply{}
	for _, m := range hits[from:to] {
		out = append(out, m.body())
	}
	body := reply{"ok": true, "messages": out, "has_more": cursor != "", "pin_count": 0}
	if cursor != "" {
		body["response_metadata"] = reply{"next_cursor": cursor}
	}
	writeJSON(w, http.StatusOK, body)
}
