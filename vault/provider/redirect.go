package provider

import (
	"net"
	"net/url"
	"strings"
)

// RedirectURI is the connection's one redirect URI: publicURL, "/callback/"
// and the name. On loopback the host is the literal that the vendor takes. A
// vendor that takes https only makes it a *RedirectError. The vendor's rule
// counts only while its own authorization page is used.
func (c *Connection) RedirectURI(publicURL string) (string, error) {
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", &ConfigError{Connection: c.reg.Name, Field: "public_url", Reason: "must be an absolute http or https address"}
	}
	rule := c.redirectRule()
	if loopback(u.Hostname()) && rule.Host != "" {
		u.Host = withHost(u, rule.Host)
	}
	out := strings.TrimSuffix(u.Scheme+"://"+u.Host+u.EscapedPath(), "/") + "/callback/" + c.reg.Name
	if u.Scheme == "http" && (rule.Loopback == HTTPSOnly || !loopback(u.Hostname())) {
		return "", &RedirectError{Connection: c.reg.Name, Provider: c.reg.Provider.Title, URI: out, Rule: rule}
	}
	return out, nil
}

// AnyPort says whether the vendor takes any port of a registered loopback
// redirect URI (RFC 8252 §7.3).
func (c *Connection) AnyPort() bool { return c.redirectRule().Loopback == LoopbackAnyPort }

func (c *Connection) redirectRule() RedirectRule {
	if c.reg.Endpoints.Authorization != "" { // not the vendor's own console
		return RedirectRule{Loopback: LoopbackExact}
	}
	return c.reg.Provider.Redirect
}

func withHost(u *url.URL, host string) string {
	if port := u.Port(); port != "" {
		return net.JoinHostPort(host, port)
	}
	return host
}
