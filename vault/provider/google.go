package provider

import "maps"

const googleAuth = "https://www.googleapis.com/auth/"

// google is Google: Calendar, Drive, Docs, Gmail and the rest under one client.
func google() *Provider {
	return &Provider{
		Name: "google", Title: "Google", Issuer: "https://accounts.google.com",
		Endpoints: Endpoints{
			Authorization: "https://accounts.google.com/o/oauth2/v2/auth",
			Token:         "https://oauth2.googleapis.com/token",
			Revocation:    "https://oauth2.googleapis.com/revoke",
			Userinfo:      "https://openidconnect.googleapis.com/v1/userinfo",
			JWKS:          "https://www.googleapis.com/oauth2/v3/certs",
			API:           "https://www.googleapis.com",
		},
		Auth:  AuthPost,
		PKCE:  PKCEAlways,
		Scope: googleScopes(),
		Authorize: AuthorizeRules{
			// Google gives a refresh token only for access_type=offline, and
			// merges earlier scopes only when asked to.
			Params: map[string]string{"access_type": "offline", "include_granted_scopes": "true"},
			// prompt=consent makes a new refresh token; 100 live ones per
			// account and client, so only when one is needed.
			Reconnect: map[string]string{"prompt": "consent"},
			LoginHint: "login_hint",
		},
		Identity: IdentityRules{
			ID: []string{"sub"}, Email: "email", Verified: "email_verified", Name: "name", IDToken: true,
			// A Google account can have a verified e-mail at a domain without belonging to its Workspace: hd says that it does.
			Domain: "hd",
		},
		Refresh: RefreshRules{},
		// Google forgets every scope of the project for this account, in all its clients.
		Revoke: RevokeRules{Style: RevokeToken, Radius: "project"},
		Errors: ErrorRules{
			ScopeCodes: []string{"ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions"},
			CodePaths:  []string{"error.details[].reason", "error.errors[].reason"},
			AnyOf:      true,
		},
		Redirect: RedirectRule{Loopback: LoopbackExact, Host: "127.0.0.1"},
		APIHosts: []string{
			"www.googleapis.com", "gmail.googleapis.com", "docs.googleapis.com", "sheets.googleapis.com",
			"slides.googleapis.com", "people.googleapis.com", "tasks.googleapis.com", "openidconnect.googleapis.com",
		},
		DownloadHosts: []string{"*.googleusercontent.com"},
		Unverified: []string{
			"userinfo and key addresses (from the discovery document, from memory)",
			"redirect URIs: a client of type Desktop takes any loopback port, one of type Web exactly what is registered; the stricter is assumed",
			"hosts that downloads redirect to",
		},
	}
}

func googleScopes() ScopeRules {
	text := googleText()
	maps.Copy(text, map[string]ScopeText{
		"openid":                   see("Know which Google account this is"),
		"https://mail.google.com/": change("Read, send and delete all your mail"),
	})
	return ScopeRules{
		Param: "scope", Separator: " ",
		// The account is pinned by sub; the e-mail is compared with the signed-in user's.
		Always: []string{"openid", "email"},
		Aliases: map[string]string{
			"email":   googleAuth + "userinfo.email",
			"profile": googleAuth + "userinfo.profile",
		},
		ShortPrefix: googleAuth,
		Implies:     prefixed(googleAuth, googleImplies()),
		Text:        text,
		Products:    googleProducts(),
	}
}

// googleProducts has no name where a scope alone writes: "send mail as you" says more.
func googleProducts() map[string]string {
	out := make(map[string]string)
	for begin, name := range map[string]string{
		"calendar": "Google Calendar", "drive": "Google Drive", "documents": "Google Docs", "spreadsheets": "Google Sheets",
		"presentations": "Google Slides", "gmail": "Gmail", "gmail.compose": "", "gmail.send": "", "gmail.insert": "",
		"contacts": "Google Contacts", "tasks": "Google Tasks",
	} {
		out[googleAuth+begin] = name
	}
	return out
}

// googleImplies holds only covers where every method that takes the right
// scope takes the left one too AND the data is the same: drive.file,
// calendar.app.created, calendar.events.owned and the free/busy scopes reach
// only part of the data, so they cover nothing.
func googleImplies() map[string][]string {
	return map[string][]string{
		"calendar": {
			"calendar.readonly", "calendar.events", "calendar.events.readonly", "calendar.events.owned",
			"calendar.events.owned.readonly", "calendar.events.freebusy", "calendar.freebusy", "calendar.calendarlist",
			"calendar.calendarlist.readonly", "calendar.calendars", "calendar.calendars.readonly",
			"calendar.settings", "calendar.settings.readonly", "calendar.acls",
		},
		"calendar.readonly": {
			"calendar.events.readonly", "calendar.events.owned.readonly", "calendar.events.freebusy", "calendar.freebusy",
			"calendar.calendarlist.readonly", "calendar.calendars.readonly", "calendar.settings.readonly",
		},
		// calendar.events does not do for freebusy.query.
		"calendar.events": {"calendar.events.readonly"},
		"drive": {
			"drive.readonly", "drive.file", "drive.metadata", "drive.metadata.readonly", "drive.appdata",
			"documents", "documents.readonly",
		},
		"drive.readonly": {"drive.metadata.readonly", "documents.readonly"},
		"drive.metadata": {"drive.metadata.readonly"},
		"documents":      {"documents.readonly"},
		"gmail.modify": {
			"gmail.readonly", "gmail.metadata", "gmail.compose", "gmail.send", "gmail.insert", "gmail.labels",
		},
		"gmail.readonly": {"gmail.metadata"},
		"gmail.compose":  {"gmail.send"},
		"https://mail.google.com/": {
			"gmail.modify", "gmail.readonly", "gmail.metadata", "gmail.compose", "gmail.send", "gmail.insert", "gmail.labels",
		},
	}
}

func googleText() map[string]ScopeText {
	out := make(map[string]ScopeText)
	for s, t := range map[string]ScopeText{
		"userinfo.email":                 see("See your e-mail address"),
		"userinfo.profile":               see("See your name and picture"),
		"calendar":                       change("See, change, share and delete all your calendars"),
		"calendar.readonly":              see("See your calendars and their events"),
		"calendar.events":                change("See, create, change and delete events on your calendars"),
		"calendar.events.readonly":       see("See the events on your calendars"),
		"calendar.events.owned":          change("See, create, change and delete events on calendars you own"),
		"calendar.events.owned.readonly": see("See the events on calendars you own"),
		"calendar.events.freebusy":       see("See when your calendars are busy"),
		"calendar.freebusy":              see("See when you are free or busy"),
		"calendar.calendarlist":          change("See, add and remove calendars in your list"),
		"calendar.calendarlist.readonly": see("See the list of your calendars"),
		"calendar.calendars":             change("See and change the calendars themselves"),
		"calendar.calendars.readonly":    see("See the names and time zones of your calendars"),
		"calendar.settings":              change("See and change your calendar settings"),
		"calendar.settings.readonly":     see("See your calendar settings"),
		"calendar.acls":                  change("See and change who your calendars are shared with"),
		"drive":                          change("See, change, create and delete all your Drive files"),
		"drive.readonly":                 see("See and download all your Drive files"),
		"drive.file":                     change("See and change the Drive files that this app made or you opened with it"),
		"drive.metadata":                 change("See and change names and details of your Drive files, not their content"),
		"drive.metadata.readonly":        see("See names and details of your Drive files, not their content"),
		"drive.appdata":                  change("Keep its own hidden data in your Drive"),
		"documents":                      change("See, change, create and delete your Google Docs"),
		"documents.readonly":             see("See your Google Docs"),
		"spreadsheets":                   change("See, change, create and delete your Google Sheets"),
		"spreadsheets.readonly":          see("See your Google Sheets"),
		"presentations":                  change("See, change, create and delete your Google Slides"),
		"presentations.readonly":         see("See your Google Slides"),
		"gmail.readonly":                 see("Read all your mail"),
		"gmail.metadata":                 see("See senders, subjects and labels of your mail, not its text"),
		"gmail.modify":                   change("Read, write and send mail, and move it to the bin"),
		"gmail.compose":                  change("Write drafts and send mail"),
		"gmail.send":                     change("Send mail as you"),
		"gmail.insert":                   change("Put messages into your mailbox"),
		"gmail.labels":                   change("See and change your mail labels"),
		"contacts":                       change("See, change and delete your contacts"),
		"contacts.readonly":              see("See your contacts"),
		"tasks":                          change("See, create, change and delete your tasks"),
		"tasks.readonly":                 see("See your tasks"),
	} {
		out[googleAuth+s] = t
	}
	return out
}
