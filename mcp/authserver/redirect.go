package authserver

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxAddress is how long a redirect URI or a client id may be, in bytes.
const maxAddress = 2000

// errRedirect says that a redirect URI is none that a client may have.
var errRedirect = errors.New("not an https address, an http address on this machine, or an app's own scheme")

// target is what a redirect URI leads to.
type target int

const (
	targetWeb   target = iota // an https site, which its owner alone answers at
	targetLocal               // this machine: any program may wait there
	targetApp                 // a scheme of its own: any app may claim it
)

// targetOf checks a redirect URI that a client registers (RFC 9700 §2.1, RFC 8252 §7).
func targetOf(uri string) (target, error) {
	if len(uri) > maxAddress || strings.ContainsFunc(uri, func(c rune) bool { return c <= ' ' || c > '~' }) || strings.ContainsAny(uri, "#\\*\"<>") {
		return 0, errRedirect
	}
	u, err := url.Parse(uri)
	if err != nil || u.User != nil || u.Fragment != "" {
		return 0, errRedirect
	}
	switch u.Scheme {
	case "https":
		if u.Hostname() == "" {
			return 0, errRedirect
		}
		if thisMachine(u.Hostname()) {
			return targetLocal, nil
		}
		return targetWeb, nil
	case "http":
		if _, _, ok := loopback(uri); ok {
			return targetLocal, nil
		}
		return 0, errRedirect
	}
	if !appScheme(uri, u.Scheme) {
		return 0, errRedirect
	}
	return targetApp, nil
}

func thisMachine(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// appScheme takes the scheme of an app, and none that a browser acts on by itself.
func appScheme(uri, scheme string) bool {
	switch scheme {
	case "", "javascript", "data", "vbscript", "file", "blob", "filesystem", "about", "view-source", "jar", "ws", "wss", "ftp",
		"mailto", "tel", "sms", "chrome", "chrome-extension", "edge", "moz-extension", "resource", "intent", "ms-settings", "search-ms", "shell":
		return false
	}
	rest, ok := strings.CutPrefix(uri, scheme+":/") // "scheme:" in other letters is another string
	return ok && rest != ""
}

// loopback splits an http address on this machine into its host and what follows
// the port: those may differ in the port and in nothing else, so they are compared as text.
func loopback(uri string) (host, rest string, ok bool) {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
		rest, ok := strings.CutPrefix(uri, host)
		if !ok {
			continue
		}
		if port, given := strings.CutPrefix(rest, ":"); given {
			end := len(port)
			if i := strings.IndexAny(port, "/?"); i >= 0 {
				end = i
			}
			if n, err := strconv.ParseUint(port[:end], 10, 16); err != nil || n == 0 {
				return "", "", false
			}
			rest = port[end:]
		}
		return host, rest, rest == "" || rest[0] == '/' || rest[0] == '?'
	}
	return "", "", false
}

// redirectAllowed says whether asked is one of the registered redirect URIs: the
// same text, or on this machine the same but for the port, which an app
// cannot know beforehand (RFC 8252 §7.3).
func redirectAllowed(registered []string, asked string) bool {
	host, rest, local := loopback(asked)
	for _, uri := range registered {
		if uri == asked {
			return true
		}
		if h, r, ok := loopback(uri); ok && local && h == host && r == rest {
			return true
		}
	}
	return false
}

// shownTarget is what a person is shown of a redirect URI: its host, or an app's scheme.
func shownTarget(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		return u.Hostname()
	}
	return u.Scheme + ":"
}
