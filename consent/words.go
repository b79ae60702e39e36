package consent

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/grantry/grantry/vault/provider"
)

// shown makes text from outside fit to print: no control or formatting
// characters (bidirectional overrides, zero-width ones), single spaces, at most n characters.
// html/template does the escaping.
func shown(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError, unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > n {
		s = strings.TrimSpace(string(runes[:n-1])) + "…"
	}
	return s
}

// permission is one scope as the page shows it.
type permission struct {
	Text  string
	Raw   string
	Write bool
	Known bool // Text is ours; otherwise it quotes the scope's name
}

// permissionsOf puts scopes into plain words, doubles removed.
func permissionsOf(p *provider.Provider, scopes []string) []permission {
	var out []permission
	seen := map[string]bool{}
	for _, s := range scopes {
		one := permissionOf(p, s)
		if one.Text != "" && !seen[one.Text] {
			seen[one.Text] = true
			out = append(out, one)
		}
	}
	return out
}

func permissionOf(p *provider.Provider, scope string) permission {
	one := permission{Raw: shown(scope, 120)}
	text, ok := provider.ScopeText{}, false
	if p != nil {
		if text, ok = p.Scope.Text[scope]; !ok {
			text, ok = p.Scope.Text[p.Normalize(scope)]
		}
	}
	if !ok {
		text.Can, ok = standardScope(scope)
	}
	if one.Text, one.Write, one.Known = text.Can, text.Write, ok; !ok {
		one.Text = "Use the permission “" + shown(scope, 80) + "”"
	}
	return one
}

// standardScope are the scopes of OpenID Connect Core §5.4 and §11.
func standardScope(scope string) (string, bool) {
	switch scope {
	case "openid", "profile":
		return "See whose account it is: your name and picture", true
	case "email":
		return "See the account's e-mail address", true
	case "offline_access", "refresh_token":
		return "Stay connected while you are away", true
	}
	return "", false
}

// identityOnly says whether a scope only tells whose account it is, or keeps the connection alive.
func identityOnly(p *provider.Provider, scope string) bool {
	if _, ok := standardScope(scope); ok {
		return true
	}
	if p == nil {
		return false
	}
	n := p.Normalize(scope)
	return slices.ContainsFunc(append([]string{"openid", "email", "profile"}, p.Scope.Always...), func(s string) bool {
		return p.Normalize(s) == n
	})
}

// phrase is a permission in the middle of a sentence: "see the events on your calendars".
func phrase(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if next, _ := utf8.DecodeRuneInString(s[size:]); unicode.IsUpper(next) {
		return s // an abbreviation
	}
	return string(unicode.ToLower(r)) + s[size:]
}

// list joins with commas and "and".
func list(parts []string) string {
	switch len(parts) {
	case 0:
		return ""
	case 1:
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

func titleOf(p *provider.Provider, connection string) string {
	if p != nil && p.Title != "" {
		return p.Title
	}
	return shown(connection, 40)
}

// ago says how long before now t was, for people.
func ago(now, t time.Time) string {
	switch d := now.Sub(t); {
	case d < time.Minute:
		return "just now"
	default:
		return span(d) + " ago"
	}
}

// span is a duration in its largest whole unit: "30 days", "1 hour".
func span(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / u.size); n == 1 {
			return "1 " + u.name
		} else if n > 1 {
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return "less than a minute"
}

func clock(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }
