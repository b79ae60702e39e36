package provider

// salesforce is Salesforce. All API calls go to the instance that the token
// answer names; a sandbox's or My Domain's login host is set by endpoints.
func salesforce() *Provider {
	return &Provider{
		Name: "salesforce", Title: "Salesforce", Issuer: "https://login.salesforce.com",
		Endpoints: Endpoints{
			Authorization: "https://login.salesforce.com/services/oauth2/authorize",
			// A refresh must go to the host that issued the token.
			Token:      "https://login.salesforce.com/services/oauth2/token",
			Revocation: "https://login.salesforce.com/services/oauth2/revoke",
			// Stands for the instance until the token answer names it.
			API: "https://login.salesforce.com",
		},
		Auth: AuthPost,
		PKCE: PKCEAlways,
		Scope: ScopeRules{
			Param: "scope", Separator: " ",
			// "full" does not include refresh_token; id is for the userinfo call.
			Always: []string{"id", "refresh_token"},
			Implies: map[string][]string{
				"api": {"id"},
				// Everything except refresh_token.
				"full": {
					"api", "id", "web", "openid", "profile", "email", "address", "phone",
					"chatter_api", "custom_permissions", "visualforce",
				},
				"refresh_token":  {"offline_access"},
				"offline_access": {"refresh_token"},
			},
			Text: withText(signInText(), map[string]ScopeText{
				"id":                 see("Know which account this is"),
				"api":                change("Read and change the records that you can"),
				"refresh_token":      see("Keep access while you are away, until you revoke it"),
				"full":               change("Do everything that you can do"),
				"web":                change("Use Salesforce in a browser as you"),
				"chatter_api":        change("Read and post in Chatter"),
				"custom_permissions": see("See your custom permissions"),
				"visualforce":        change("Use Visualforce pages as you"),
			}),
		},
		Authorize: AuthorizeRules{
			Reconnect: map[string]string{"prompt": "consent"}, LoginHint: "login_hint",
		},
		// No expires_in: an access token is renewed when the API answers 401.
		Token: TokenRules{APIBase: "instance_url"},
		Identity: IdentityRules{
			URL: "{api_base}/services/oauth2/userinfo",
			// User ids repeat in sandboxes.
			ID: []string{"organization_id", "user_id"}, Email: "email", Verified: "email_verified", Name: "name",
			Tenants: []string{"organization_id"},
		},
		// A new refresh token comes only where the app has rotation switched on.
		Refresh: RefreshRules{NeedsScope: "refresh_token"},
		Revoke:  RevokeRules{Style: RevokeRFC7009, Radius: "grant"},
		Errors: ErrorRules{
			// The identity service answers 403 with the text Bad_OAuth_Token.
			DeadCodes:  []string{"INVALID_SESSION_ID", "Bad_OAuth_Token"},
			ScopeCodes: []string{"insufficient_scope"},
			CodePaths:  []string{"[].errorCode", "error"},
		},
		Redirect: RedirectRule{Loopback: LoopbackExact, Host: "localhost"},
		APIHosts: []string{"*.my.salesforce.com", "login.salesforce.com", "test.salesforce.com"},
		Unverified: []string{
			"revocation address, and that revoking a refresh token kills its access tokens",
			"userinfo answers to a token with scope id",
			"email_verified in userinfo, and login_hint",
			"how a missing api scope is answered",
			"redirect URIs: exact, http for localhost",
		},
	}
}
