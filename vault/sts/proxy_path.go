package sts

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ProxyPath is where the app serves the proxy, below PublicURL.
const ProxyPath = "/proxy/"

const (
	maxPath  = 4 << 10 // bytes as they came
	maxQuery = 8 << 10
)

// Target is what a request to the proxy asks for.
type Target struct {
	Connection string
	Path       string // decoded, clean, from its slash on; what is matched, and what is sent
	Query      string // as it came
}

// ReadTarget reads a request's target as it stands in its first line. It takes
// one spelling of a path only: whatever two servers may read in two ways is an error, and never mended.
func ReadTarget(uri string) (Target, error) {
	raw, query, _ := strings.Cut(uri, "?")
	rest, ok := strings.CutPrefix(raw, ProxyPath)
	name, path, below := strings.Cut(rest, "/")
	switch {
	case !ok || !below || strings.Trim(name, ".") == "" || strings.ContainsFunc(name, notInName):
		return Target{}, unclean("the path must be " + ProxyPath + "{connection}/{path}")
	case len(path) >= maxPath || len(query) > maxQuery:
		return Target{}, unclean("the path or the query is too long")
	}
	path, err := readPath("/" + path)
	if err != nil {
		return Target{}, err
	}
	return Target{Connection: name, Path: path, Query: query}, checkQuery(query)
}

// Encoded is the path as it is sent.
func (t Target) Encoded() string { return (&url.URL{Path: t.Path}).EscapedPath() }

func unclean(text string) *refusal {
	return refuse(http.StatusBadRequest, "invalid_request", text).as("path")
}

func notInName(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
}

// notInPath says what may not stand unencoded in a path: RFC 3986 §3.3 without ";", which some servers cut a segment at.
func notInPath(c rune) bool { return notInName(c) && !strings.ContainsRune("/~!$&'()*+,=:@%", c) }

// foreign are characters that stand for a separator, or that some server folds to one.
const foreign = "/\\%?#;／．＼％；？＃∕⁄⧸․‥…﹨⧵﹪﹒"

func readPath(raw string) (string, error) {
	if strings.ContainsFunc(raw, notInPath) {
		return "", unclean("the path has characters that do not belong there unencoded")
	}
	segments := strings.Split(raw[1:], "/")
	for i, s := range segments {
		plain, err := url.PathUnescape(s)
		switch {
		case err != nil || !utf8.ValidString(plain):
			return "", unclean("the path is not encoded as it should be")
		case strings.ContainsFunc(plain, func(c rune) bool { return unicode.IsControl(c) || strings.ContainsRune(foreign, c) }):
			return "", unclean("the path has an encoded separator or a control character")
		case plain == "" && i < len(segments)-1:
			return "", unclean("the path has an empty segment")
		case plain != "" && strings.Trim(plain, ". ") == "":
			return "", unclean("the path has a segment of dots")
		}
		segments[i] = plain
	}
	return "/" + strings.Join(segments, "/"), nil
}

// overrides are parameters by which some servers take another method than the request's, and tokens some prefer to the header's.
var overrides = []string{"_method", "_httpmethod", "x-http-method-override", "x-http-method", "x-method-override", "$httpmethod", "access_token", "oauth_token"}

// checkQuery refuses what would make another request of it. It is sent as it came.
func checkQuery(raw string) error {
	if strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' || c == '\\' }) {
		return unclean("the query has characters that do not belong there unencoded")
	}
	for part := range strings.FieldsFuncSeq(raw, func(c rune) bool { return c == '&' || c == ';' }) {
		plain, err := url.QueryUnescape(part)
		if err != nil || strings.ContainsFunc(plain, unicode.IsControl) {
			return unclean("the query has a control character, or is not encoded as it should be")
		}
		key, _, _ := strings.Cut(part, "=")
		if key, err = url.QueryUnescape(key); err != nil || slices.Contains(overrides, strings.ToLower(strings.TrimSpace(key))) {
			return unclean("the query names another method or another token; send the request as it is meant, the proxy adds the token")
		}
	}
	return nil
}
