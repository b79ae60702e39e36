package provider

// microsoft is Microsoft Entra ID in front of Microsoft Graph. "{tenant}" in an
// address is the registration's tenant, "common" unless it names one.
func microsoft() *Provider {
	return &Provider{
		Name: "microsoft", Title: "Microsoft",
		// Of common and organizations Microsoft's own discovery document has
		// the literal {tenantid}; an id_token has the tenant's id there.
		Issuer: "https://login.microsoftonline.com/{tenantid}/v2.0",
		Endpoints: Endpoints{
			Authorization: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
			Token:         "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
			JWKS:          "https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys",
			API:           "https://graph.microsoft.com",
		},
		Auth:  AuthPost,
		PKCE:  PKCEAlways,
		Scope: microsoftScopes(),
		Authorize: AuthorizeRules{
			Params:    map[string]string{"response_mode": "query"},
			LoginHint: "login_hint",
		},
		Identity: IdentityRules{
			// oid alone repeats in no tenant but is not promised to be unique
			// across them: the pair is the key.
			ID: []string{"tid", "oid"},
			// Microsoft lets a tenant's administrator write any e-mail: never verified.
			Email: "email|preferred_username", Name: "name", IDToken: true,
			Tenants: []string{"tid"},
		},
		Refresh: RefreshRules{
			// Microsoft rotates, but the old one stays valid.
			Rotates: true, NeedsScope: "offline_access",
			InvalidCodes: []string{"interaction_required", "consent_required"},
		},
		Revoke: RevokeRules{Style: RevokeNone},
		Errors: ErrorRules{
			// accessDenied of the files API says the same when a file is not
			// shared with the user, so it counts as no scope error.
			ScopeCodes: []string{"ErrorAccessDenied", "Authorization_RequestDenied"},
			CodePaths:  []string{"error.code"},
		},
		// http://127.0.0.1 is refused by Microsoft's console; of http://localhost the port does not count.
		Redirect:      RedirectRule{Loopback: LoopbackAnyPort, Host: "localhost", Verified: true},
		APIHosts:      []string{"graph.microsoft.com"},
		DownloadHosts: []string{"*.sharepoint.com", "*.1drv.com", "*.microsoftpersonalcontent.com"},
		Unverified: []string{
			"no revocation endpoint for one app's tokens",
			"key address (from the discovery document, from memory)",
			"Authorization_RequestDenied as scope error",
			"hosts that downloads redirect to",
		},
	}
}

func microsoftScopes() ScopeRules {
	return ScopeRules{
		Param: "scope", Separator: " ",
		// openid, profile and email for the id_token, offline_access for a refresh token, User.Read for Graph's /me.
		Always: []string{"openid", "profile", "email", "offline_access", "User.Read"},
		// Microsoft answers short or qualified names, in any letter case.
		StripPrefix: "https://graph.microsoft.com/", FoldCase: true,
		// From Graph's "least to most privileged" tables. Mail.Send is not in Mail.ReadWrite.
		Implies: map[string][]string{
			"Mail.Read":           {"Mail.ReadBasic"},
			"Mail.ReadWrite":      {"Mail.Read", "Mail.ReadBasic"},
			"Calendars.Read":      {"Calendars.ReadBasic"},
			"Calendars.ReadWrite": {"Calendars.Read", "Calendars.ReadBasic"},
			"Files.ReadWrite":     {"Files.Read"},
			"Files.Read.All":      {"Files.Read"},
			"Files.ReadWrite.All": {"Files.Read.All", "Files.ReadWrite", "Files.Read"},
			"Sites.ReadWrite.All": {"Sites.Read.All"},
		},
		Products: map[string]string{
			"Mail.Read": "Outlook mail", "Calendars.": "Outlook calendar", "Files.": "OneDrive", "Sites.": "SharePoint sites",
			"Contacts.": "Outlook contacts", "Tasks.": "Microsoft To Do", "Chat.": "Teams chats",
		},
		Text: withText(signInText(), map[string]ScopeText{
			"User.Read":           see("See your profile"),
			"Mail.ReadBasic":      see("See senders and subjects of your mail, not its text"),
			"Mail.Read":           see("Read your mail"),
			"Mail.ReadWrite":      change("Read, write and delete your mail, without sending"),
			"Mail.Send":           change("Send mail as you"),
			"Calendars.ReadBasic": see("See times and titles of your events"),
			"Calendars.Read":      see("See your calendars and their events"),
			"Calendars.ReadWrite": change("See, create, change and delete events on your calendars"),
			"Files.Read":          see("See and download your files"),
			"Files.Read.All":      see("See and download all files that you can open"),
			"Files.ReadWrite":     change("See, change and delete your files"),
			"Files.ReadWrite.All": change("See, change and delete all files that you can open"),
			"Sites.Read.All":      see("See the SharePoint sites that you can open"),
			"Sites.ReadWrite.All": change("See and change the SharePoint sites that you can open"),
			"Contacts.Read":       see("See your contacts"),
			"Tasks.Read":          see("See your tasks"),
			"Tasks.ReadWrite":     change("See, create, change and delete your tasks"),
			"Chat.Read":           see("Read your Teams chats"),
			"ChatMessage.Send":    change("Send Teams messages as you"),
		}),
	}
}
