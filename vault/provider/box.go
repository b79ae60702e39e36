package provider

// box is Box. Its refresh tokens live 60 days and work once.
func box() *Provider {
	return &Provider{
		Name: "box", Title: "Box",
		Endpoints: Endpoints{
			Authorization: "https://account.box.com/api/oauth2/authorize",
			Token:         "https://api.box.com/oauth2/token",
			Revocation:    "https://api.box.com/oauth2/revoke",
			API:           "https://api.box.com",
		},
		Auth: AuthPost,
		// Box does not document PKCE; RFC 6749 §3.1 lets it ignore the challenge.
		PKCE: PKCEAlways,
		Scope: ScopeRules{
			// Box's console fixes the scopes, and no answer lists them.
			Param: "scope", Separator: " ", NotReturned: true, Fixed: true,
			Implies: map[string][]string{"root_readwrite": {"root_readonly"}},
			Text: map[string]ScopeText{
				"root_readonly":           see("See and download all your files and folders"),
				"root_readwrite":          change("See, change, create and delete all your files and folders"),
				"manage_managed_users":    change("Manage the people of your company's Box"),
				"manage_groups":           change("Manage the groups of your company's Box"),
				"manage_webhook":          change("Manage webhooks"),
				"sign_requests.readwrite": change("See and create signature requests"),
				"ai.readwrite":            change("Ask Box AI about your files"),
				"item_search":             see("Search your files"),
			},
		},
		Identity: IdentityRules{
			URL: "https://api.box.com/2.0/users/me", ID: []string{"id"}, Email: "login", Name: "name",
		},
		Refresh: RefreshRules{Rotates: true, SingleUse: true},
		Revoke:  RevokeRules{Style: RevokeBoxStyle, Radius: "grant"},
		Errors: ErrorRules{
			ScopeCodes: []string{"insufficient_scope"}, CodePaths: []string{"code"},
		},
		Redirect:      RedirectRule{Loopback: LoopbackExact, Host: "localhost"},
		APIHosts:      []string{"api.box.com", "upload.box.com"},
		DownloadHosts: []string{"dl.boxcloud.com", "*.boxcloud.com"},
		Unverified: []string{
			"PKCE is ignored, not refused",
			"scopes are fixed in the app's console",
			"redirect URIs: exact, http for localhost",
		},
	}
}
