package consent

import (
	"fmt"
	"html"
	"html/template"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// text is words for a page: ours as the message file has them, and what came
// from outside escaped, each value isolated in a <bdi> of its own (R08). Only
// this file and visible.go make one.
type text = template.HTML

// messages are the words of all pages, by section and key (messages.txt).
type messages map[string]string

// parseMessages reads "[section]", "key = words" and "# comment" lines.
func parseMessages(file string) (messages, error) {
	m, section := messages{}, ""
	for n, line := range strings.Split(file, "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		default:
			key, words, ok := strings.Cut(line, " = ")
			key = section + "." + strings.TrimSpace(key)
			if _, twice := m[key]; !ok || twice {
				return nil, fmt.Errorf("line %d of the messages is no \"key = words\", or says %s twice", n+1, key)
			}
			m[key] = strings.TrimSpace(words)
		}
	}
	return m, nil
}

func (m messages) has(key string) bool { _, ok := m[key]; return ok }

// say is a message with {names} filled in. Values of type text and int go in as
// they are; everything else came from outside.
func (m messages) say(key string, values ...any) text {
	words, ok := m[key]
	if !ok {
		return isolated("{" + key + "}") // a test holds that there is none
	}
	var pairs []string
	for i := 0; i+1 < len(values); i += 2 {
		pairs = append(pairs, fmt.Sprintf("{%s}", values[i]), string(isolated(values[i+1])))
	}
	return text(strings.NewReplacer(pairs...).Replace(words))
}

func isolated(value any) text {
	switch v := value.(type) {
	case text:
		return v
	case int:
		return text(strconv.Itoa(v))
	}
	return text("<bdi>" + template.HTMLEscapeString(shown(fmt.Sprint(value), 120)) + "</bdi>")
}

// ours are words of the catalog: plain text, but not from outside.
func ours(s string) text { return text(template.HTMLEscapeString(s)) }

var tag = regexp.MustCompile(`<[^>]*>`)

// bare is a text where there can be no markup: a title, a log line.
func bare(t text) string { return html.UnescapeString(tag.ReplaceAllString(string(t), "")) }

// tell is a message page: its title, its text, and more where there is more.
func (m messages) tell(status int, tone tone, key string, values ...any) message {
	out := message{Status: status, Tone: tone, Title: m.say(key+".title", values...)}
	for _, part := range []string{".text", ".more"} {
		if m.has(key + part) {
			out.Text = append(out.Text, m.say(key+part, values...))
		}
	}
	return out
}

// list joins with commas and "and".
func (m messages) list(parts []text) text {
	switch n := len(parts); n {
	case 0:
		return ""
	case 1:
		return parts[0]
	default:
		front := parts[0]
		for _, p := range parts[1 : n-1] {
			front = m.say("words.comma", "front", front, "last", p)
		}
		return m.say("words.and", "front", front, "last", parts[n-1])
	}
}

// ago says how long before now t was.
func (m messages) ago(now, t time.Time) text {
	if d := now.Sub(t); d >= time.Minute {
		return m.say("words.ago", "span", m.span(d))
	}
	return m.say("words.now")
}

// until says when t is, seen from now.
func (m messages) until(now, t time.Time) text {
	if d := t.Sub(now); d >= time.Minute {
		return m.say("words.in", "span", m.span(d))
	}
	return m.say("words.soon")
}

// span is a duration in its largest whole unit: "30 days", "1 hour".
func (m messages) span(d time.Duration) text {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / u.size); n == 1 {
			return m.say("words." + u.name)
		} else if n > 1 {
			return m.say("words."+u.name+"s", "n", n)
		}
	}
	return m.say("words.moment")
}
