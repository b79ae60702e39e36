package provider

// genericOAuth2 is any OAuth 2.0 server, by the addresses in the configuration.
func genericOAuth2() *Provider {
	return &Provider{
		Name: "oauth2", Title: "OAuth 2.0", Configured: true,
		Auth:  AuthBasic, // RFC 6749 §2.3.1: every server must take it
		PKCE:  PKCEAlways,
		Scope: ScopeRules{Param: "scope", Separator: " ", Text: map[string]ScopeText{}},
		Identity: IdentityRules{
			ID: []string{"sub|id|user_id|account_id"}, Email: "email", Verified: "email_verified", Name: "name|login|username",
		},
		Token: TokenRules{ErrorAt200: true},
		// What is not known is taken for strict: it rotates, has no grace, kills the family.
		Refresh:  RefreshRules{Rotates: true, SingleUse: true, Family: true},
		Revoke:   RevokeRules{Style: RevokeRFC7009, Radius: "grant"},
		Errors:   genericErrors(),
		Redirect: RedirectRule{Loopback: LoopbackExact},
		Unverified: []string{
			"everything that the configuration does not say",
		},
	}
}
