package consent

import (
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
	Text  text
	Scope string // as a form sends it
	Write bool
	Known bool // Text is ours; otherwise it quotes the scope's name
}

// permissionsOf puts scopes into plain words, doubles removed.
func (h *Handler) permissionsOf(p *provider.Provider, scopes []string) []permission {
	var out []permission
	seen := map[text]bool{}
	for _, s := range scopes {
		one := h.permissionOf(p, s)
		if one.Text != "" && !seen[one.Text] {
			seen[one.Text] = true
			out = append(out, one)
		}
	}
	return out
}

func (h *Handler) permissionOf(p *provider.Provider, scope string) permission {
	one := permission{Scope: scope}
	if p != nil {
		if words, ok := p.Describe(scope); ok {
			one.Text, one.Write, one.Known = ours(words.Can), words.Write, true
			return one
		}
	}
	if key := standardScope(scope); key != "" {
		one.Text, one.Known = h.say(key), true
		return one
	}
	one.Text = h.say("scope.unknown", "scope", shown(scope, 80))
	return one
}

// standardScope are the words for scopes of OpenID Connect Core §5.4 and §11.
func standardScope(scope string) (key string) {
	switch scope {
	case "openid", "profile":
		return "scope.profile"
	case "email":
		return "scope.email"
	case "offline_access", "refresh_token":
		return "scope.offline"
	}
	return ""
}

// identityOnly says whether a scope only tells whose account it is, or keeps the connection alive.
func identityOnly(p *provider.Provider, scope string) bool {
	if standardScope(scope) != "" {
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
func phrase(t text) text { return text(lowerFirst(string(t))) }

func lowerFirst(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if next, _ := utf8.DecodeRuneInString(s[size:]); unicode.IsUpper(next) {
		return s // an abbreviation
	}
	return string(unicode.ToLower(r)) + s[size:]
}

func titleOf(p *provider.Provider, connection string) string {
	if p != nil && p.Title != "" {
		return p.Title
	}
	return shown(connection, 40)
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }
