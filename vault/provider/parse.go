package provider

import (
	"encoding/json"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxToken is the longest token that is taken; it must fit into a header.
	maxToken = 128 << 10
	// maxLife is the longest lifetime that is believed.
	maxLife = 100 * 365 * 24 * time.Hour
)

// decodeToken reads a token answer: JSON, or a form as GitHub sends when it is
// not asked for JSON. A name that comes twice makes it unreadable.
func decodeToken(a *answer) (map[string]any, error) {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	body := strings.TrimSpace(string(a.body))
	if kind == "application/x-www-form-urlencoded" || kind == "text/plain" && !strings.HasPrefix(body, "{") {
		return decodeForm(body)
	}
	v, err := decodeJSON(a.body)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errInvalid
	}
	return m, nil
}

func decodeForm(body string) (map[string]any, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, errInvalid
	}
	out := make(map[string]any, len(values))
	for name, v := range values {
		if len(v) != 1 {
			return nil, errDuplicate
		}
		out[name] = v[0]
	}
	return out, nil
}

// oauthCode is an error code as RFC 6749 §5.2 means it. Anything else that
// stands in its place may be the vendor's prose, or an echo.
var oauthCode = regexp.MustCompile(`^[a-z]+(_[a-z0-9]+){0,7}$`)

func cleanCode(code string) string {
	if len(code) > 48 || !oauthCode.MatchString(code) {
		return ""
	}
	return code
}

// failure is the error that a decoded answer carries; failed is true even when
// its code is not one.
func (p *Provider) failure(doc map[string]any) (code string, failed bool) {
	raw, has := doc["error"]
	s, _ := raw.(string)
	if p.Token.OKField != "" && doc[p.Token.OKField] == false {
		return cleanCode(s), true // Slack
	}
	return cleanCode(s), has && raw != nil && raw != ""
}

// grant reads the tokens of a decoded answer. code is not "" when there are
// none that can be used.
func (c *Connection) grant(doc map[string]any, redeemed bool, asked []string) (g *Grant, code string) {
	p := c.reg.Provider
	top := doc
	// Slack: the person's token stands apart at redemption and on top at refresh.
	if user := p.Token.User; user != "" && !c.reg.BotToken {
		if m, ok := doc[user].(map[string]any); ok && (redeemed || m["access_token"] != nil) {
			doc = m
		} else if redeemed {
			return nil, "no_user_token"
		}
	}
	access, ok := doc["access_token"].(string)
	if !ok || !sendable(access) {
		return nil, "no_access_token"
	}
	if t, ok := doc["token_type"].(string); ok && redeemed && !bearerType(p, t) {
		return nil, "unsupported_token_type"
	}
	g = &Grant{
		Access: NewSecret(access), Expiry: c.after(doc["expires_in"], p.Token.DefaultExpiry),
		RefreshEnd: c.after(doc["refresh_token_expires_in"], 0),
	}
	if s, ok := doc["refresh_token"].(string); ok && len(s) <= maxToken {
		g.Refresh = NewSecret(s)
	}
	if s, ok := top["id_token"].(string); ok && len(s) <= maxToken {
		g.IDToken = NewSecret(s)
	}
	g.Scopes, g.Confirmed = c.granted(doc, asked)
	if field := p.Token.APIBase; field != "" {
		named, _ := top[field].(string)
		g.APIBase = c.checkBase(named)
		if redeemed && g.APIBase == "" && c.api == nil {
			return nil, "untrusted_api_base"
		}
	}
	return g, ""
}

// bearerType says whether a token of this type goes into "Authorization:
// Bearer". Slack names its own kinds.
func bearerType(p *Provider, t string) bool {
	return strings.EqualFold(t, "bearer") || p.Token.User != "" && (t == "bot" || t == "user")
}

// sendable says whether s can stand in a header: visible ASCII (RFC 6750 §2.1 is narrower).
func sendable(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// granted is the scopes that the answer lists, normalized; where it lists none
// they are as asked (RFC 6749 §5.1) and confirmed is false.
func (c *Connection) granted(doc map[string]any, asked []string) (scopes []string, confirmed bool) {
	p := c.reg.Provider
	var listed []string
	switch v := doc["scope"].(type) {
	case string:
		listed = splitScopes(v)
	case []any:
		for _, s := range v {
			if s, ok := s.(string); ok {
				listed = append(listed, s)
			}
		}
	}
	if len(listed) == 0 || p.Scope.NotReturned {
		return p.normalizeAll(asked), false
	}
	return p.normalizeAll(slices.DeleteFunc(listed, unprintable)), true
}

// after reads expires_in and its like, which vendors send as number, text or
// fraction. What is not a lifetime (negative, zero, absurd) counts as not sent: then life is taken.
func (c *Connection) after(v any, life time.Duration) time.Time {
	var s string
	switch v := v.(type) {
	case json.Number:
		s = v.String()
	case string:
		s = strings.TrimSpace(v)
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 1 && f <= maxLife.Seconds() {
		life = time.Duration(f) * time.Second
	}
	if life <= 0 {
		return time.Time{}
	}
	return c.cfg.Now().Add(life)
}
