package config

import (
	"net/netip"
	"strings"
)

func workloadKeys() rule[Workload] {
	return object(
		field("client_secret", secret(), func(w *Workload) *SecretRef { return &w.ClientSecret }, "A reference. This, or jwks."),
		field("jwks", keySet(), func(w *Workload) *string { return &w.JWKS }, "private_key_jwt: the workload's public keys, as file:PATH or https URL."),
		field("connections", mapOf("CONNECTION", checkName, listOf(scope())), func(w *Workload) *map[string][]string { return &w.Connections },
			"The connections it may use, each with the widest scopes of a token for it.").or("{}"),
		field("audiences", listOf(text()), func(w *Workload) *[]string { return &w.Audiences },
			"Audiences of subject tokens, besides {public_url}/; never those of MCP tokens.").or("[]"),
		field("addresses", listOf(network()), func(w *Workload) *[]netip.Prefix { return &w.Addresses }, "Addresses or ranges it may call from; empty = anywhere.").or("[]"),
		field("redirect_uris", listOf(redirectURI()), func(w *Workload) *[]string { return &w.RedirectURIs },
			"If set, it may sign people in at the built-in server, and have them connect accounts at /me/v1.").or("[]"),
		field("unattended", listOf(text()), func(w *Workload) *[]string { return &w.Unattended },
			"Connections for work without a user present, whose request the workload signs (jwks).").or("[]"),
		field("proxy", mapOf("CONNECTION", checkName, listOf(proxyRule())), func(w *Workload) *map[string][]string { return &w.Proxy },
			"Requests that it may send through the proxy: method and path; * is a whole segment, and at the end all the rest.").or("{}"),
		field("allow_wider", boolean(), func(w *Workload) *bool { return &w.AllowWider },
			"Whether a token may be wider than the ceiling where the vendor cannot narrow it; the consent page then says so.").or("false"),
	)
}

// proxyRule is "METHOD /path".
func proxyRule() rule[string] {
	return scalar("request", func(_ *reader, _, s string) (string, string) {
		method, path, _ := strings.Cut(s, " ")
		switch method {
		case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		default:
			return "", "must begin with a method, such as \"GET /calendar/*\""
		}
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " ?#\\%;") || strings.Contains(path, "//") || strings.Contains(path, "/..") {
			return "", "must be a method and a clean path, such as \"GET /calendar/*\""
		}
		for segment := range strings.SplitSeq(path, "/") {
			if segment != "" && strings.Trim(segment, ". ") == "" {
				return "", "must be a method and a clean path, such as \"GET /calendar/*\""
			}
			if strings.Contains(segment, "*") && segment != "*" {
				return "", "must have * as a whole segment: any one, or all the rest where it is the last"
			}
		}
		return s, ""
	})
}
