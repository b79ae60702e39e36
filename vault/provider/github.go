package provider

// github is GitHub: OAuth apps and the user tokens of GitHub Apps.
func github() *Provider {
	return &Provider{
		Name: "github", Title: "GitHub",
		Endpoints: Endpoints{
			Authorization: "https://github.com/login/oauth/authorize",
			Token:         "https://github.com/login/oauth/access_token",
			Revocation:    "https://api.github.com/applications/{client_id}/grant",
			API:           "https://api.github.com",
		},
		Auth: AuthPost,
		// Since 2025-07-14; the client secret is required all the same.
		PKCE: PKCEAlways,
		Scope: ScopeRules{
			// GitHub is asked with spaces and answers with commas, implied scopes left out.
			Param: "scope", Separator: " ", ResponseSeparator: ",",
			Implies: map[string][]string{
				"repo":            {"public_repo", "repo:status", "repo_deployment", "repo:invite", "security_events"},
				"user":            {"read:user", "user:email", "user:follow"},
				"admin:org":       {"write:org", "read:org"},
				"write:org":       {"read:org"},
				"project":         {"read:project"},
				"admin:repo_hook": {"write:repo_hook", "read:repo_hook"},
				"write:repo_hook": {"read:repo_hook"},
				"write:packages":  {"read:packages"},
			},
			Text: githubText(),
		},
		Authorize: AuthorizeRules{LoginHint: "login"},
		// GitHub answers errors with status 200.
		Token: TokenRules{ErrorAt200: true},
		Identity: IdentityRules{
			URL: "https://api.github.com/user", ID: []string{"id"}, Email: "email", Name: "name|login",
		},
		Refresh: RefreshRules{
			// GitHub kills the old refresh token and the old access token at
			// once. Apps without expiring tokens have no refresh token.
			Rotates: true, SingleUse: true, KillsAccess: true, AccessForever: true,
			InvalidCodes: []string{"bad_refresh_token", "bad_verification_code"},
		},
		// All tokens of this user and app.
		Revoke: RevokeRules{Style: RevokeGitHub, Radius: "project"}, // GitHub: all tokens of this person and app
		Errors: ErrorRules{
			// A missing scope looks like a 404 of a private repository.
			AcceptedHeader: "X-Accepted-OAuth-Scopes", GrantedHeader: "X-OAuth-Scopes", AnyOf: true,
		},
		Redirect:      RedirectRule{Loopback: LoopbackAnyPort, Host: "127.0.0.1", Verified: true},
		APIHosts:      []string{"api.github.com", "uploads.github.com"},
		DownloadHosts: []string{"codeload.github.com", "objects.githubusercontent.com", "raw.githubusercontent.com"},
		Unverified: []string{
			"write:packages covers read:packages",
			"hosts that downloads redirect to",
		},
	}
}

func githubText() map[string]ScopeText {
	return map[string]ScopeText{
		"repo":            change("Read and change your public and private repositories, issues and pull requests"),
		"public_repo":     change("Read and change your public repositories, issues and pull requests"),
		"repo:status":     change("See and set commit statuses"),
		"repo_deployment": change("See and set deployment statuses"),
		"repo:invite":     change("See and accept invitations to repositories"),
		"security_events": change("See and change code scanning results"),
		"read:user":       see("See your profile"),
		"user:email":      see("See your e-mail addresses"),
		"user:follow":     change("Follow and unfollow people"),
		"user":            change("See and change your profile"),
		"read:org":        see("See your organizations and teams"),
		"write:org":       change("See and change your organizations' projects and memberships"),
		"admin:org":       change("Manage your organizations and teams"),
		"read:project":    see("See your projects"),
		"project":         change("See and change your projects"),
		"gist":            change("Create and change gists"),
		"notifications":   change("See and mark your notifications"),
		"workflow":        change("Change GitHub Actions workflow files"),
		"read:packages":   see("Download packages"),
		"write:packages":  change("Upload packages"),
		"read:repo_hook":  see("See repository webhooks"),
		"write:repo_hook": change("See and change repository webhooks"),
		"admin:repo_hook": change("See, change and delete repository webhooks"),
		"offline_access":  see("Keep access while you are away, until you revoke it"),
	}
}
