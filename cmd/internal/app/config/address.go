package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// address is host:port to listen on.
func address() rule[string] {
	return scalar("address", func(_ *reader, _, s string) (string, string) {
		if !isAddress(s) {
			return "", wantAddress
		}
		return s, ""
	})
}

const wantAddress = "must be host:port, such as 127.0.0.1:8787"

func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && isPort(port) && (host == "" || isHost(host))
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// isHost takes an IP address or a host name.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if s == "" || len(s) > 253 {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if !isLower(c) && !isUpper(c) && !isDigit(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isLoopback takes 127.0.0.0/8, ::1 and localhost.
func isLoopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// listensOnLoopback says so of a host:port; no host means every address.
func listensOnLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && isLoopback(host)
}

// hostPort is a host name or IP address with an optional port, in lower case.
func hostPort() rule[string] {
	return scalar("host", func(_ *reader, _, s string) (string, string) {
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			host, port = strings.Trim(s, "[]"), "1"
		}
		if !isHost(host) || !isPort(port) {
			return "", "must be a host name, with a port if need be, such as grantry.example.com"
		}
		return strings.ToLower(s), ""
	})
}

// hostName is a host name or IP address, or with wildcard "*.example.com".
func hostName(wildcard bool) rule[string] {
	return scalar("host", func(_ *reader, _, s string) (string, string) {
		name := s
		if rest, ok := strings.CutPrefix(s, "*."); ok && wildcard && strings.Contains(rest, ".") {
			name = rest
		}
		if !isHost(name) {
			return "", "must be a host name, such as api.example.com, without https:// and path"
		}
		return strings.ToLower(s), ""
	})
}

// origin is scheme://host[:port] as a browser sends it.
func origin() rule[string] {
	return scalar("origin", func(_ *reader, _, s string) (string, string) {
		u, err := url.Parse(s)
		if err != nil || u.Scheme == "" || !isHost(u.Hostname()) || u.Scheme+"://"+u.Host != strings.TrimSuffix(s, "/") {
			return "", "must be an origin, such as https://app.example.com, without path"
		}
		return originOf(u), ""
	})
}

// originOf is scheme://host[:port] in lower case, without a default port.
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host
}

// network is an IP address or a CIDR range.
func network() rule[netip.Prefix] {
	return scalar("address range", func(_ *reader, _, s string) (netip.Prefix, string) {
		if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			return netip.PrefixFrom(addr, addr.BitLen()), ""
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return netip.Prefix{}, "must be an IP address or a range, such as 10.0.0.0/8"
		}
		return p.Masked(), ""
	})
}

// webURL parses an absolute http or https URL.
func webURL(s string) (u *url.URL, why string) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, "must be a URL, such as https://login.example.com"
	case u.User != nil:
		return nil, "must not hold a user name or password"
	case !isHost(u.Hostname()) || u.Port() != "" && !isPort(u.Port()):
		return nil, "must be a URL with a valid host name"
	case strings.Contains(s, "#"):
		return nil, "must not have a fragment (#)"
	}
	return u, ""
}

// publicURL is where people and clients find us: no path, https outside loopback.
func publicURL() rule[string] {
	return scalar("URL", func(_ *reader, _, s string) (string, string) {
		u, why := webURL(s)
		switch {
		case why != "":
			return "", why
		case u.Path != "" && u.Path != "/" || strings.Contains(s, "?"):
			return "", "must have no path and no query: Grantry needs a host name, or a port, of its own"
		case u.Scheme == "http" && !isLoopback(u.Hostname()):
			return "", "must be https outside loopback: tokens and sign-ins travel over it"
		}
		return originOf(u), ""
	})
}

// vendorURL is an address that secrets are sent to. Plain http is for
// loopback alone; finish checks that public_url is loopback then, too.
func vendorURL() rule[string] { return scalar("URL", parseVendorURL) }

func parseVendorURL(r *reader, path, s string) (string, string) {
	u, why := webURL(s)
	if why == "" && u.Scheme == "http" {
		if !isLoopback(u.Hostname()) {
			return "", "must be https: plain http is for loopback only"
		}
		r.loopback = append(r.loopback, path)
	}
	return s, why
}

// issuerURL is a vendorURL without a query (OpenID Connect Discovery §2). It
// is kept to the letter: issuers are compared as strings.
func issuerURL() rule[string] {
	return scalar("URL", func(r *reader, path, s string) (string, string) {
		if strings.Contains(s, "?") {
			return "", "must not have a query (?)"
		}
		return parseVendorURL(r, path, s)
	})
}

// redirectURI is where a client takes its answer: https, http on loopback, or
// an app's own scheme in reverse-domain form (RFC 8252 §7.1).
func redirectURI() rule[string] {
	return scalar("URL", func(_ *reader, _, s string) (string, string) {
		u, err := url.Parse(s)
		if err == nil && strings.Contains(u.Scheme, ".") && !strings.Contains(s, "#") {
			return s, ""
		}
		u, why := webURL(s)
		if why == "" && u.Scheme == "http" && !isLoopback(u.Hostname()) {
			why = "must be https, http on loopback, or an app's own scheme such as com.example.app:/callback"
		}
		return s, why
	})
}
