package config

import (
	"strings"

	"github.com/grantry/grantry/vault/provider"
)

func connectionKeys() rule[Connection] {
	return object(
		field("provider", text(), func(c *Connection) *string { return &c.Provider },
			"google, microsoft, slack, github, box, salesforce, oidc (any vendor with discovery) or oauth2 (any other); `grantry providers list` shows them."),
		field("client_id", identifier(), func(c *Connection) *string { return &c.ClientID }, "Your client id at the vendor."),
		field("client_secret", secret(), func(c *Connection) *SecretRef { return &c.ClientSecret }, "A reference: env:NAME, file:PATH or exec:COMMAND."),
		field("client_auth", oneOf(provider.AuthPost, provider.AuthBasic, provider.AuthNone), func(c *Connection) *provider.ClientAuth { return &c.ClientAuth },
			"How the client proves itself at the token endpoint.").computed("as the provider wants it"),
		field("issuer", issuerURL(), func(c *Connection) *string { return &c.Issuer }, "oidc: the issuer, where discovery starts."),
		field("tenant", tenant(), func(c *Connection) *string { return &c.Tenant }, "microsoft: the tenant, for an app of one organization."),
		field("scopes", listOf(scope()), func(c *Connection) *[]string { return &c.Scopes }, "Asked for when a tool names none.").or("[]"),
		field("api_hosts", listOf(hostName(true)), func(c *Connection) *[]string { return &c.APIHosts },
			"oidc, oauth2: the hosts that may receive a token; *.example.com takes every host below.").or("[]"),
		field("token", oneOf("user", "bot"), func(c *Connection) *string { return &c.Token }, "slack: whose token.").computed("user"),
		field("endpoints", endpointKeys(), func(c *Connection) *provider.Endpoints { return &c.Endpoints },
			"Other addresses than the provider's: sovereign clouds, GitHub Enterprise, Salesforce sandboxes, tests. Plain http for loopback only."),
		field("accounts", accountKeys(), func(c *Connection) *Accounts { return &c.Accounts }, "Which accounts may be connected; without it all."),
		field("allow", allowKeys(), func(c *Connection) *Allow { return &c.Allow }, "Who may connect: people whose claim holds one of the values; without it everybody."),
	)
}

func endpointKeys() rule[provider.Endpoints] {
	return object(
		field("issuer", issuerURL(), func(e *provider.Endpoints) *string { return &e.Issuer }, "The issuer of ID tokens."),
		field("authorization", vendorURL(), func(e *provider.Endpoints) *string { return &e.Authorization }, "The authorization endpoint."),
		field("token", vendorURL(), func(e *provider.Endpoints) *string { return &e.Token }, "The token endpoint."),
		field("revocation", vendorURL(), func(e *provider.Endpoints) *string { return &e.Revocation }, "The revocation endpoint."),
		field("userinfo", vendorURL(), func(e *provider.Endpoints) *string { return &e.Userinfo }, "The userinfo endpoint."),
		field("jwks", vendorURL(), func(e *provider.Endpoints) *string { return &e.JWKS }, "The keys of ID tokens."),
		field("api", vendorURL(), func(e *provider.Endpoints) *string { return &e.API }, "Replaces scheme and host of the provider's API; its path is put in front."),
	)
}

func accountKeys() rule[Accounts] {
	return object(
		field("domains", listOf(hostName(false)), func(a *Accounts) *[]string { return &a.Domains }, "Domains of the accounts.").or("[]"),
		field("tenants", listOf(tenant()), func(a *Accounts) *[]string { return &a.Tenants }, "Tenants, workspaces or organizations.").or("[]"),
	)
}

func allowKeys() rule[Allow] {
	return object(
		field("claim", text(), func(a *Allow) *string { return &a.Claim }, "A claim of the signed-in person, such as groups."),
		field("any", listOf(text()), func(a *Allow) *[]string { return &a.Any }, "The values, one of which must be there.").or("[]"),
	)
}

// scope is one scope (RFC 6749 §3.3), without the separators that vendors use.
func scope() rule[string] {
	return scalar("scope", func(_ *reader, _, s string) (string, string) {
		if s == "" || strings.ContainsAny(s, " ,\"\\") {
			return "", "must be one scope; write several as a list"
		}
		return s, ""
	})
}

// tenant is an id, a domain or one of the vendor's words: it becomes part of a URL.
func tenant() rule[string] {
	return scalar("tenant", func(_ *reader, _, s string) (string, string) {
		if !isHost(s) {
			return "", "must be a tenant's id or domain"
		}
		return s, ""
	})
}
