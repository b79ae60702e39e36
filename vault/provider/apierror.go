package provider

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// verdict is what an API's answer says about the token.
type verdict struct {
	dead  bool
	scope *ScopeError
}

// judge reads an answer's status, headers and the first 64 KiB of an error's
// body, and leaves the body as it was.
func (c *Connection) judge(resp *http.Response) verdict {
	rules := c.reg.Provider.Errors
	failed := resp.StatusCode >= 400
	if !failed && (!rules.At200 || !isJSON(resp)) {
		return verdict{}
	}
	doc := peek(resp)
	codes := rules.codes(doc)
	if scopes, ok := c.missing(resp, doc, codes); ok {
		return verdict{scope: &ScopeError{Provider: c.reg.Provider.Name, Scopes: scopes}}
	}
	return verdict{dead: resp.StatusCode == http.StatusUnauthorized ||
		failed && slices.Contains(rules.DeadStatuses, resp.StatusCode) ||
		overlap(codes, rules.DeadCodes)}
}

// missing says whether the answer is "scope missing", and the scopes it names
// as far as the catalog knows them.
func (c *Connection) missing(resp *http.Response, doc any, codes []string) (scopes []string, ok bool) {
	p := c.reg.Provider
	if throttled(resp) || resp.StatusCode == http.StatusUnauthorized && !p.Errors.ScopeIn401 {
		return nil, false
	}
	named, header := challenged(resp.Header)
	switch {
	case header:
	case overlap(codes, p.Errors.ScopeCodes):
		if p.Errors.ScopeField != "" {
			named = splitScopes(lookup(doc, p.Errors.ScopeField))
		}
	case p.Errors.AcceptedHeader != "":
		if named = c.unaccepted(resp); len(named) == 0 {
			return nil, false
		}
	default:
		return nil, false
	}
	return c.known(named), true
}

// known is named normalized, without what neither the catalog nor the
// registration knows; where one is enough, the narrowest.
func (c *Connection) known(named []string) []string {
	p := c.reg.Provider
	own := p.normalizeAll(c.reg.Scopes)
	var out []string
	for _, s := range named {
		if n := p.Normalize(s); p.listed(n) || slices.Contains(own, n) {
			out = append(out, n)
		}
	}
	if p.Errors.AnyOf {
		return p.narrowest(out)
	}
	return Union(out, nil)
}

// unaccepted is what a call accepts when the token has none of it (GitHub,
// which answers 404 for what a token may not see).
func (c *Connection) unaccepted(resp *http.Response) []string {
	p := c.reg.Provider
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusNotFound {
		return nil
	}
	accepted := splitScopes(resp.Header.Get(p.Errors.AcceptedHeader))
	granted, said := resp.Header[http.CanonicalHeaderKey(p.Errors.GrantedHeader)]
	if len(accepted) == 0 || !said {
		return nil // a GitHub App's token has no scopes
	}
	have := splitScopes(strings.Join(granted, ","))
	if slices.ContainsFunc(accepted, func(s string) bool { return p.Covers(have, s) }) {
		return nil
	}
	return accepted
}

// throttled says whether a refusal is about the rate of calls.
func throttled(resp *http.Response) bool {
	return resp.StatusCode == http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "" ||
		resp.StatusCode == http.StatusForbidden && resp.Header.Get("X-RateLimit-Remaining") == "0"
}

var (
	insufficient = regexp.MustCompile(`(?i)\berror="?insufficient_scope\b`)
	scopeParam   = regexp.MustCompile(`(?i)\bscope="([^"]*)"`)
)

// challenged reads WWW-Authenticate (RFC 6750 §3.1).
func challenged(h http.Header) (scopes []string, ok bool) {
	for _, v := range h.Values("WWW-Authenticate") {
		if !insufficient.MatchString(v) {
			continue
		}
		if m := scopeParam.FindStringSubmatch(v); m != nil {
			scopes = append(scopes, splitScopes(m[1])...)
		}
		ok = true
	}
	return scopes, ok
}

// codes are the error codes of a body: at the provider's paths, or the whole
// body when it is a short text (Salesforce's identity service).
func (r ErrorRules) codes(doc any) []string {
	if s, ok := doc.(string); ok {
		return []string{s}
	}
	var out []string
	for _, path := range r.CodePaths {
		for _, v := range walk(doc, path) {
			if s := text(v); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// peek reads up to 64 KiB of the body, puts them back, and answers the JSON
// value, or the text when it is short and no JSON, or nil.
func peek(resp *http.Response) any {
	head, err := io.ReadAll(io.LimitReader(resp.Body, peekCap))
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = failing{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), resp.Body}
	if doc, err := decodeJSON(head); err == nil {
		return doc
	}
	if s := strings.TrimSpace(string(head)); len(s) <= 64 {
		return s
	}
	return nil
}

// failing is a reader that ends with an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func isJSON(resp *http.Response) bool {
	return strings.Contains(strings.ToLower(resp.Header.Get("Content-Type")), "json")
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
