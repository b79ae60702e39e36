package provider

// genericOIDC is any OpenID Connect provider, by the discovery document of its issuer.
func genericOIDC() *Provider {
	return &Provider{
		Name: "oidc", Title: "OpenID Connect", Discover: true,
		Auth: AuthBasic, // RFC 8414 §2: the default when the document lists none
		PKCE: PKCEAlways,
		Scope: ScopeRules{
			Param: "scope", Separator: " ",
			// What the document's scopes_supported does not list is left out, openid apart.
			Always: []string{"openid", "email", "profile", "offline_access"},
			Text:   signInText(),
		},
		Authorize: AuthorizeRules{
			// OpenID Connect Core §11: offline_access needs prompt=consent.
			Reconnect: map[string]string{"prompt": "consent"}, LoginHint: "login_hint",
		},
		Identity: IdentityRules{
			ID: []string{"sub"}, Email: "email", Verified: "email_verified", Name: "name|preferred_username", IDToken: true,
		},
		// What is not known is taken for strict: it rotates, has no grace, kills the family.
		// Fewer scopes are standard (OpenID Connect Core §12); whether a server holds to it shows in its answer.
		Refresh:  RefreshRules{Rotates: true, SingleUse: true, Family: true, Narrows: NarrowsListed},
		Revoke:   RevokeRules{Style: RevokeRFC7009, Radius: "grant"},
		Errors:   genericErrors(),
		Redirect: RedirectRule{Loopback: LoopbackExact},
		Unverified: []string{
			"everything that the discovery document does not say",
		},
	}
}

// genericErrors are RFC 6750 §3.1, in the header and in the bodies that copy it.
func genericErrors() ErrorRules {
	return ErrorRules{
		DeadCodes:  []string{"invalid_token"},
		ScopeCodes: []string{"insufficient_scope"},
		ScopeField: "scope",
		CodePaths:  []string{"error", "code"},
	}
}
