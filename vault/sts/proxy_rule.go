package sts

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// Rule lets a workload send some requests: a method and a path. In the path "*"
// as a whole segment is any one segment, and as the last one all the rest, which is not nothing.
type Rule struct {
	text     string
	method   string
	segments []string
	rest     bool // the last segment was "*"
	exact    bool // no segment was
}

// ErrRule says what a rule must look like.
var ErrRule = errors.New(`must be a method and a clean path, such as "GET /calendar/*"; * is a whole segment, and at the end the rest`)

// ParseRule reads "METHOD /path".
func ParseRule(text string) (Rule, error) {
	method, path, _ := strings.Cut(text, " ")
	known := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	if !slices.Contains(known, method) || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "%") {
		return Rule{}, ErrRule
	}
	if plain, err := readPath((Target{Path: path}).Encoded()); err != nil || plain != path {
		return Rule{}, ErrRule
	}
	r := Rule{text: text, method: method, segments: strings.Split(path[1:], "/"), exact: true}
	for _, s := range r.segments {
		if strings.Contains(s, "*") && s != "*" {
			return Rule{}, ErrRule
		}
		r.exact = r.exact && s != "*"
	}
	if n := len(r.segments) - 1; r.segments[n] == "*" {
		r.segments, r.rest = r.segments[:n], true
	}
	return r, nil
}

// String is the rule as the configuration has it.
func (r Rule) String() string { return r.text }

// Allows says whether the rule lets that request go, whose path comes from
// [ReadTarget]. A path that carries requests of its own must be named in full.
func (r Rule) Allows(method, path string) bool {
	if method != r.method || !strings.HasPrefix(path, "/") {
		return false
	}
	got := strings.Split(path[1:], "/")
	if many(got) && !r.exact {
		return false
	}
	n := len(r.segments)
	if len(got) < n || !r.rest && len(got) > n || r.rest && strings.Join(got[n:], "") == "" {
		return false
	}
	for i, want := range r.segments {
		if got[i] != want && (want != "*" || got[i] == "") {
			return false
		}
	}
	return true
}

// batches are the endpoints where a request's body says which requests are
// meant: Google's /batch, OData's $batch (Microsoft), Salesforce's composite, and the like.
var batches = []string{"batch", "$batch", "composite", "graphql", "soap", "xmlrpc", "jsonrpc"}

// many says whether a path is such an endpoint, in any spelling that a vendor may take.
func many(segments []string) bool {
	return slices.ContainsFunc(segments, func(s string) bool {
		parts := strings.FieldsFunc(strings.ToLower(strings.Map(plainLetter, s)), func(c rune) bool { return strings.ContainsRune(":.(), ", c) })
		return slices.ContainsFunc(parts, func(p string) bool { return slices.Contains(batches, p) })
	})
}

// plainLetter is the letter that some server may take c for.
func plainLetter(c rune) rune {
	switch {
	case c >= '！' && c <= '～': // the full-width forms of ASCII
		return c - '！' + '!'
	case c == 'ſ':
		return 's'
	case c == 'ı', c == 'İ':
		return 'i'
	}
	return c
}

// rules are those of a workload, by connection.
type rules map[string][]Rule

func parseRules(all map[string][]string) (rules, error) {
	out := rules{}
	for name, list := range all {
		for _, text := range list {
			r, err := ParseRule(text)
			if err != nil {
				return nil, err
			}
			out[name] = append(out[name], r)
		}
	}
	return out, nil
}

// find answers the first rule that lets a request go. Where several do it is the one that names it most closely, so that a yes "for an hour" is for no more than that.
func (r rules) find(method string, t Target) (found Rule, ok bool) {
	for _, one := range r[t.Connection] {
		if one.Allows(method, t.Path) && (!ok || one.closer(found)) {
			found, ok = one, true
		}
	}
	return found, ok
}

// closer says whether r names less than other does.
func (r Rule) closer(other Rule) bool {
	if r.exact != other.exact {
		return r.exact
	}
	return len(r.segments) > len(other.segments)
}
