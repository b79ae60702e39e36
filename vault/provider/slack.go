package provider

// slack is Slack: user tokens unless the registration says BotToken.
func slack() *Provider {
	return &Provider{
		Name: "slack", Title: "Slack",
		Endpoints: Endpoints{
			Authorization: "https://slack.com/oauth/v2/authorize",
			Token:         "https://slack.com/api/oauth.v2.access",
			Revocation:    "https://slack.com/api/auth.revoke",
			API:           "https://slack.com",
		},
		Auth: AuthPost,
		// At Slack PKCE is a switch of the app that makes it a public client for
		// good; without it a challenge must not be sent.
		PKCE: PKCEOff,
		Scope: ScopeRules{
			// "scope" asks for the bot's scopes.
			Param: "user_scope", Separator: ",", Text: slackText(),
		},
		Token: TokenRules{OKField: "ok", ErrorAt200: true, User: "authed_user"},
		Identity: IdentityRules{
			URL: "https://slack.com/api/auth.test", Method: "POST",
			ID: []string{"team_id|enterprise_id", "user_id"}, Name: "user",
			Tenants: []string{"team_id", "enterprise_id"},
		},
		Refresh: RefreshRules{
			// Only when the app has token rotation; otherwise the token has no end.
			Rotates: true, SingleUse: true, AccessForever: true,
			InvalidCodes: []string{
				"invalid_refresh_token", "token_revoked", "token_expired", "account_inactive", "invalid_code", "code_already_used",
			},
		},
		// One token; Slack keeps the scopes of the installation.
		Revoke: RevokeRules{Style: RevokeBearer, Radius: "token"},
		Errors: ErrorRules{
			DeadCodes:  []string{"invalid_auth", "token_expired", "token_revoked", "account_inactive", "not_authed"},
			ScopeCodes: []string{"missing_scope"},
			ScopeField: "needed",
			CodePaths:  []string{"error"},
			At200:      true,
		},
		Redirect:  RedirectRule{Loopback: HTTPSOnly, Host: "localhost"},
		APIHosts:  []string{"slack.com", "www.slack.com", "files.slack.com"},
		FormToken: true,
		Unverified: []string{
			"the fields of auth.test",
			"redirect URIs over http are refused, loopback too, unless the app has PKCE",
			"token_revoked, token_expired and account_inactive as answers of the token endpoint",
			"code_already_used, and invalid_code for a code that was redeemed before",
		},
	}
}

func slackText() map[string]ScopeText {
	return map[string]ScopeText{
		"chat:write":         change("Send messages as you"),
		"chat:write.public":  change("Send messages to channels that you have not joined"),
		"channels:read":      see("See the list of public channels"),
		"channels:history":   see("Read messages in public channels"),
		"channels:write":     change("Create, rename and archive public channels"),
		"groups:read":        see("See the list of your private channels"),
		"groups:history":     see("Read messages in your private channels"),
		"im:read":            see("See the list of your direct messages"),
		"im:history":         see("Read your direct messages"),
		"im:write":           change("Start direct messages"),
		"mpim:read":          see("See the list of your group messages"),
		"mpim:history":       see("Read your group messages"),
		"users:read":         see("See the people in the workspace"),
		"users:read.email":   see("See the e-mail addresses of people in the workspace"),
		"users.profile:read": see("See the profiles of people in the workspace"),
		"search:read":        see("Search messages and files that you can see"),
		"files:read":         see("See files that you can see"),
		"files:write":        change("Upload, change and delete files"),
		"reactions:read":     see("See reactions"),
		"reactions:write":    change("Add and remove reactions"),
		"team:read":          see("See the name of the workspace"),
	}
}
