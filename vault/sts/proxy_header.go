package sts

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// The proxy's own headers.
const (
	hostHeader     = "Grantry-Host"     // which of the connection's API hosts is meant
	approvalHeader = "Grantry-Approval" // the write that its person has approved

	// ProxyError is on an answer of ours below [ProxyPath], with the error's code, and on none of the vendor's.
	ProxyError = "Grantry-Error"
)

// hop are the headers of one connection (RFC 9110 §7.6.1), which go nowhere.
var hop = []string{"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// own are the caller's headers that the vendor must not believe or see: whose
// request it is, where it came from, and what we set ourselves.
var own = []string{
	"authorization", "cookie", "cookie2", "forwarded", "via", "host", "content-length", "expect", "origin", "referer", "max-forwards",
	"accept-encoding", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "x-host", "x-rewrite-url", "x-original-url", "x-original-host", "front-end-https",
}

var ownPrefixes = []string{"proxy-", "x-forwarded", "x-original-", "grantry-", "sec-", "access-control-", "cf-", "x-envoy-", "x-amzn-"}

// credentialParts are parts of the names of headers by which a caller could say whose request it is.
var credentialParts = []string{"authorization", "cookie", "api-key", "apikey", "auth-token", "access-token", "private-token", "session-token", "impersonat"}

// forwarded are a caller's headers as they go on. A header that asks for another
// method or another protocol is refused: dropping it would make another request of it.
func forwarded(r *http.Request) (http.Header, error) {
	out := http.Header{}
	gone := listed(r.Header.Values("Connection"))
	for name, values := range r.Header {
		lower := strings.ToLower(name)
		dashed := strings.ReplaceAll(lower, "_", "-")
		switch {
		case strings.Contains(dashed, "method-override") || dashed == "x-http-method":
			return nil, refuse(http.StatusBadRequest, "invalid_request", "a header asks for another method; send the request with the method that is meant").as("override")
		case lower == "upgrade" || lower == "http2-settings" || slices.Contains(gone, "upgrade"):
			return nil, refuse(http.StatusBadRequest, "invalid_request", "the proxy changes to no other protocol").as("upgrade")
		case dashed != lower, slices.Contains(gone, lower), slices.Contains(hop, lower), isOwn(lower):
		default:
			out[name] = slices.Clone(values)
		}
	}
	return out, nil
}

func isOwn(lower string) bool {
	return slices.Contains(own, lower) ||
		slices.ContainsFunc(ownPrefixes, func(p string) bool { return strings.HasPrefix(lower, p) }) ||
		slices.ContainsFunc(credentialParts, func(p string) bool { return strings.Contains(lower, p) })
}

// listed are the names in a Connection header, in lower case.
func listed(values []string) (out []string) {
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			out = append(out, strings.ToLower(textproto.TrimString(name)))
		}
	}
	return out
}

// theirs are a vendor's headers that are for a browser at the vendor's own
// origin, or that would speak for ours.
var theirs = []string{
	"set-cookie", "set-cookie2", "www-authenticate", "proxy-authenticate", "authorization", "authentication-info", "proxy-authentication-info",
	"strict-transport-security", "public-key-pins", "public-key-pins-report-only", "expect-ct", "alt-svc", "clear-site-data", "refresh", "nel", "report-to", "reporting-endpoints",
	"service-worker-allowed", "sourcemap", "x-sourcemap", "x-frame-options", "x-xss-protection", "origin-agent-cluster", "permissions-policy", "feature-policy",
	"referrer-policy", "timing-allow-origin", "content-disposition", "cache-control", "pragma", "expires", "age", "location", "server", "via",
}

var theirPrefixes = []string{"proxy-", "content-security-policy", "access-control-", "cross-origin-", "grantry-", "x-content-type-options", "x-permitted-cross-domain"}

// answered puts a vendor's headers into an answer. One that has the token in it is dropped.
func answered(to, from http.Header, token string) {
	gone := listed(from.Values("Connection"))
	for name, values := range from {
		lower := strings.ToLower(name)
		switch {
		case slices.Contains(hop, lower), slices.Contains(gone, lower), slices.Contains(theirs, lower):
		case slices.ContainsFunc(theirPrefixes, func(p string) bool { return strings.HasPrefix(lower, p) }):
		case slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, token) }):
		default:
			to[name] = slices.Clone(values)
		}
	}
	if d := from.Get("Content-Disposition"); strings.HasPrefix(strings.ToLower(d), "attachment") && !strings.Contains(d, token) {
		to.Set("Content-Disposition", d)
	}
}

// sandboxed keeps whatever an answer is from running as a page of ours in a browser.
func sandboxed(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", "attachment")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}
