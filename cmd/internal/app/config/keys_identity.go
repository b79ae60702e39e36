package config

import (
	"strings"
	"time"
)

func identityKeys() rule[Identity] {
	return object(
		field("issuer", issuerURL(), func(i *Identity) *string { return &i.Issuer },
			"The OpenID Connect issuer whose access tokens MCP clients bring and where browsers sign in."),
		field("client_id", identifier(), func(i *Identity) *string { return &i.ClientID },
			"Grantry's client id at the issuer, with the redirect URI {public_url}/signin/callback."),
		field("client_secret", secret(), func(i *Identity) *SecretRef { return &i.ClientSecret },
			"A reference: env:NAME, file:PATH or exec:COMMAND."),
		field("audiences", listOf(text()), func(i *Identity) *[]string { return &i.Audiences },
			"Audiences of access tokens to accept at /mcp, besides {public_url}/mcp.").or("[]"),
		field("also", listOf(issuerKeys()), func(i *Identity) *[]Issuer { return &i.Also },
			"More issuers whose access tokens are accepted. At an issuer where Grantry has a client secret, tokens that cannot be read are asked about.").or("[]"),
		field("subject_claims", listOf(text()), func(i *Identity) *[]string { return &i.SubjectClaims },
			"The claims that tell people apart, such as [tid, oid] for Entra; never an e-mail address.").or("[sub]"),
		field("agent_claims", listOf(text()), func(i *Identity) *[]string { return &i.AgentClaims },
			"Where an agent's client id is looked for, in this order.").or("[act.sub, client_id, azp, appid, cid]"),
		field("require_scopes", boolean(), func(i *Identity) *bool { return &i.RequireScopes },
			"Whether tokens must carry Grantry's own scopes: tools:read, tools:write, connections:manage.").or("false"),
		field("max_age", duration(), func(i *Identity) *time.Duration { return &i.MaxAge },
			"How old a browser's sign-in at the issuer may be.").or("8h"),
		field("upstream", upstreamKeys(), func(i *Identity) *UpstreamIssuer { return &i.Upstream },
			"Built-in server: where people sign in, instead of by a one-time link. Excludes issuer."),
		field("registration", boolean(), func(i *Identity) *bool { return &i.Registration },
			"Built-in server: whether clients may register themselves.").or("true"),
	)
}

func issuerKeys() rule[Issuer] {
	return object(
		field("issuer", issuerURL(), func(i *Issuer) *string { return &i.Issuer }, "The issuer."),
		field("audiences", listOf(text()), func(i *Issuer) *[]string { return &i.Audiences },
			"Audiences of its access tokens, besides {public_url}/mcp.").or("[]"),
		field("client_id", identifier(), func(i *Issuer) *string { return &i.ClientID }, "Grantry's client id there, if it has one."),
		field("client_secret", secret(), func(i *Issuer) *SecretRef { return &i.ClientSecret }, "A reference."),
	)
}

func upstreamKeys() rule[UpstreamIssuer] {
	return object(
		field("issuer", issuerURL(), func(u *UpstreamIssuer) *string { return &u.Issuer }, "The OpenID Connect issuer."),
		field("client_id", identifier(), func(u *UpstreamIssuer) *string { return &u.ClientID }, "Grantry's client id there."),
		field("client_secret", secret(), func(u *UpstreamIssuer) *SecretRef { return &u.ClientSecret }, "A reference."),
	)
}

func clientKeys() rule[Client] {
	return object(
		field("client_secret", secret(), func(c *Client) *SecretRef { return &c.ClientSecret }, "A reference; leave it out for a public client."),
		field("redirect_uris", listOf(redirectURI()), func(c *Client) *[]string { return &c.RedirectURIs }, "Where the client takes its answers.").or("[]"),
		field("binding", oneOf("browser", "app"), func(c *Client) *string { return &c.Binding },
			"browser: a connected account is bound to the browser's signed-in user; app: the app vouches for its user.").or("browser"),
	)
}

// checkClientName takes the issuer's client ids; without an issuer finish
// asks for a name.
func checkClientName(_ *reader, s string) string {
	if s == "" || len(s) > 255 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "must be a name, or a client id of the issuer: up to 255 visible ASCII characters"
	}
	return ""
}
