package sts

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The standard's names (RFC 8693).
const (
	GrantType = "urn:ietf:params:oauth:grant-type:token-exchange"

	typePrefix  = "urn:ietf:params:oauth:token-type:"
	typeAccess  = typePrefix + "access_token"
	typeRefresh = typePrefix + "refresh_token"
	typeJWT     = typePrefix + "jwt"
	typeProxy   = "urn:grantry:proxy-token"
)

const (
	maxSubject  = 16 << 10 // bytes of a subject token
	maxScopes   = 100
	maxScope    = 255
	maxText     = 512 // of a name, a hint, an address
	maxValues   = 8   // of audience and resource, each
	maxMinTTL   = 24 * time.Hour
	undefinedJS = "undefined" // what a JavaScript client writes for a parameter that it has not
)

// request is an exchange as the standard form says it, read once.
type request struct {
	base        string // where it was sent to
	names       dialect
	subject     string
	subjectType string
	connection  string // "" = by audience or resource
	audience    []string
	resource    []string
	scopes      []string // none = all that there are, below the ceiling
	account     string   // label or id, "" = the only one or the default
	minTTL      time.Duration
	proxy       bool // it asks for a proxy token
}

// parse reads a form. What it does not know it leaves alone (RFC 6749 §3.2). Its errors are *refusal.
func parse(form url.Values) (request, error) {
	r := request{names: standard}
	if form.Get("grant_type") == Auth0GrantType {
		r.names = auth0
	}
	f := reader{form: form}
	r.subjectType = f.one("subject_token_type", maxText)
	r.subject = f.one("subject_token", maxSubject)
	r.connection = f.one("connection", maxText)
	r.audience, r.resource = f.several("audience"), f.several("resource")
	r.scopes = f.scopes()
	r.account = f.account()
	r.minTTL = f.seconds("min_ttl")
	requested := f.one("requested_token_type", maxText)
	if f.one("actor_token", maxSubject) != "" || f.one("actor_token_type", maxText) != "" {
		f.fail("actor_token is not taken: the actor is the client itself")
	}
	r.proxy = requested == typeProxy
	f.repeated()
	switch {
	case r.subject == "":
		f.fail("subject_token is missing")
	case strings.HasPrefix(r.subject, proxyPrefix):
		f.fail("a proxy token is no subject token; it is for " + ProxyPath + " alone")
	case r.subjectType == "":
		f.fail("subject_token_type is missing")
	case r.subjectType != typeAccess && r.subjectType != typeRefresh && r.subjectType != typeJWT:
		f.fail("subject_token_type must be that of an access token, a refresh token or, for a worker's assertion, a JWT")
	case !r.names.answers(requested, r.subjectType):
		f.fail("requested_token_type cannot be answered for this grant_type and subject_token_type")
	}
	return r, f.err()
}

// reader collects what is wrong with a form; the first counts.
type reader struct {
	form url.Values
	bad  *refusal
}

func (f *reader) fail(text string) {
	if f.bad == nil {
		f.bad = refuse(http.StatusBadRequest, "invalid_request", text)
	}
}

func (f *reader) err() error {
	if f.bad == nil {
		return nil
	}
	return f.bad
}

// one is a parameter that may be there once; an empty one is none (RFC 6749 §3.2).
func (f *reader) one(name string, limit int) string {
	values := f.form[name]
	if len(values) == 0 {
		return ""
	}
	switch v := values[0]; {
	case len(v) > limit:
		f.fail(name + " is too long")
	case strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c == 0x7f }):
		f.fail(name + " has characters that do not belong there")
	default:
		return v
	}
	return ""
}

// several is a parameter that may be repeated (RFC 8693 §2.1). "undefined" is what is not there.
func (f *reader) several(name string) (out []string) {
	if len(f.form[name]) > maxValues {
		f.fail(name + " is there too often")
		return nil
	}
	for _, v := range f.form[name] {
		if v = (&reader{form: url.Values{name: {v}}}).one(name, maxText); v != "" && v != undefinedJS {
			out = append(out, v)
		}
	}
	return out
}

// repeated refuses what is there more than once and may not be (RFC 6749 §3.2).
func (f *reader) repeated() {
	for name, values := range f.form {
		if len(values) > 1 && name != "audience" && name != "resource" {
			f.fail("a parameter is there more than once")
		}
	}
}

// scopes are without doubles, in their order. Their characters are those of RFC 6749 §3.3.
func (f *reader) scopes() (out []string) {
	seen := map[string]bool{}
	for s := range strings.FieldsSeq(f.one("scope", maxScopes*(maxScope+1))) {
		if len(s) > maxScope || strings.ContainsFunc(s, notInScope) {
			f.fail("scope holds something that is none")
			return nil
		}
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	if len(out) > maxScopes {
		f.fail("scope holds too many scopes")
	}
	return out
}

func notInScope(c rune) bool { return c < 0x21 || c > 0x7e || c == '"' || c == '\\' }

// account is account or, by its other name, login_hint.
func (f *reader) account() string {
	account, hint := f.one("account", maxText), f.one("login_hint", maxText)
	switch {
	case account == "":
		return hint
	case hint != "" && hint != account:
		f.fail("account and login_hint name two accounts; one of them is enough")
	}
	return account
}

func (f *reader) seconds(name string) time.Duration {
	v := f.one(name, maxText)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 31)
	d := time.Duration(n) * time.Second
	if err != nil || d > maxMinTTL {
		f.fail(name + " must be a number of seconds, a day at most")
		return 0
	}
	return d
}
