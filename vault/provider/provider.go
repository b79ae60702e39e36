package provider

import "time"

// Provider is what we know about a vendor's OAuth and its quirks. It is data:
// the same code runs for every vendor, and a deviation is a field.
type Provider struct {
	Name   string // "google"
	Title  string // "Google"
	Issuer string // OpenID Connect issuer, "" when the vendor has none
	// Endpoints are the vendor's own; a connection may override any of them.
	Endpoints     Endpoints
	Auth          ClientAuth
	PKCE          PKCE
	Scope         ScopeRules
	Authorize     AuthorizeRules
	Token         TokenRules
	Identity      IdentityRules
	Refresh       RefreshRules
	Revoke        RevokeRules
	Errors        ErrorRules
	Redirect      RedirectRule
	APIHosts      []string // exact hosts or "*.suffix": where a token may be sent
	DownloadHosts []string // where a redirect may lead, without the token
	// Discover says that endpoints come from the issuer's discovery document.
	Discover bool
	// Configured says that endpoints come from the configuration alone.
	Configured bool
	// FormToken says that the vendor's Go client puts an empty "token" into
	// every form, which would win over the header (Slack): it is taken out.
	FormToken bool
	// Unverified lists the facts above that no source confirms (shown by `providers show`).
	Unverified []string
}

// Endpoints are absolute URLs, "" where there is none.
type Endpoints struct {
	Issuer, Authorization, Token, Revocation, Userinfo, JWKS, API string
}

// ClientAuth is how a client proves itself at the token endpoint (RFC 6749 §2.3.1).
type ClientAuth string

// The ways of client authentication.
const (
	AuthPost  ClientAuth = "post"  // client_id and client_secret in the form
	AuthBasic ClientAuth = "basic" // HTTP Basic, both parts form-encoded
	AuthNone  ClientAuth = "none"  // public client: client_id in the form
)

// PKCE says whether a code challenge is sent (RFC 7636, always S256).
type PKCE string

// The ways of PKCE.
const (
	PKCEAlways PKCE = "S256"
	PKCEOff    PKCE = "off" // a vendor where it is not supported or changes the client's kind (Slack)
)

// ScopeRules say how scopes are asked for, read back and compared.
type ScopeRules struct {
	Param             string   // authorization parameter: "scope"; "user_scope" at Slack
	Separator         string   // in the request
	ResponseSeparator string   // in the token response, "" = as in the request; both comma and space are accepted then
	Always            []string // asked for at every connect (openid, offline_access)
	Aliases           map[string]string
	StripPrefix       string // "https://graph.microsoft.com/"
	// ShortPrefix is what a known scope may be written without ("https://www.googleapis.com/auth/").
	ShortPrefix string
	FoldCase    bool
	Implies     map[string][]string // hand-checked: key covers values
	// NotReturned says that a token response has no scope list: what was asked is stored (Box).
	NotReturned bool
	// Fixed says that the vendor's console decides the scopes, not the request (Box).
	Fixed bool
	Text  map[string]ScopeText // plain words for the consent page
	// Products names what a scope reads or changes, by how the scope begins; "" where "read and change" would not say what it does.
	Products map[string]string
	// folded finds the vendor's spelling of a known scope by its lower case.
	folded map[string]string
}

// ScopeText is a scope in plain words.
type ScopeText struct {
	Can   string // "See the events on your calendars"
	Write bool   // it can change something
}

// AuthorizeRules are the extra parameters of the authorization request.
type AuthorizeRules struct {
	Params    map[string]string // always
	Reconnect map[string]string // on the first connect and when a refresh token is missing (Google's prompt=consent)
	LoginHint string            // name of the parameter, "" = none
	// SendsIss says that the vendor returns `iss` (RFC 9207): then it must be there and equal.
	SendsIss bool
}

// TokenRules say how to read a token response.
type TokenRules struct {
	OKField       string        // "ok": a 200 whose field is false is an error (Slack)
	ErrorAt200    bool          // a 200 may carry "error" (GitHub, Slack)
	User          string        // object that holds the user's token at redemption: "authed_user" (Slack)
	APIBase       string        // field with the base of API calls: "instance_url" (Salesforce)
	DefaultExpiry time.Duration // when expires_in is missing, 0 = no known end
	RefreshParams map[string]string
}

// IdentityRules say how to learn whose account a token is. A JSON path is
// names joined by dots; alternatives stand with "|" between them, the first
// that has a value counts.
type IdentityRules struct {
	URL      string   // "" = the userinfo endpoint; "{api_base}" is replaced
	Method   string   // "" = GET
	ID       []string // JSON paths, their values joined by "/": {"sub"}, {"organization_id", "user_id"}, {"team_id","user_id"}
	Email    string   // JSON path, "" = none
	Verified string   // JSON path of a boolean; "" = not said: treated as unverified
	Name     string
	Domain   string   // JSON path of the organization's domain, "" = not said: then the domain of a verified e-mail stands for it
	Tenants  []string // JSON paths of the tenant, workspace or organization, none = not said
	IDToken  bool     // the id_token has it (OIDC): verify and use its claims first
}

// RefreshRules are a vendor's behaviour at refresh.
type RefreshRules struct {
	Rotates       bool // returns a new refresh token
	SingleUse     bool // the old one is dead at once
	Family        bool // reuse of an old one kills the family
	KillsAccess   bool // the old access token dies too (GitHub)
	Grace         time.Duration
	NeedsScope    string // scope without which there is no refresh token: "offline_access", "refresh_token"
	Narrows       Narrowing
	AccessForever bool // without a refresh token the access token has no end (Slack, GitHub classic): not an error
	// InvalidCodes are error codes that mean invalid_grant here ("bad_refresh_token", "invalid_refresh_token").
	InvalidCodes []string
}

// Narrowing says what a refresh brings that asks for fewer scopes than were granted (RFC 6749 §6).
type Narrowing string

// The kinds of narrowing.
const (
	NarrowsNot    Narrowing = ""       // nothing that one could rely on: the vendor is not asked
	NarrowsListed Narrowing = "listed" // a token of these scopes, and the answer lists them: without a list it is not believed
	NarrowsSilent Narrowing = "silent" // the same, and an answer without a list is of what was asked for
)

// RevokeStyle is the shape of a revocation request.
type RevokeStyle string

// The shapes of revocation.
const (
	RevokeNone     RevokeStyle = "none"    // no endpoint: dropped here, the person is told
	RevokeRFC7009  RevokeStyle = "rfc7009" // form token=…, client authentication
	RevokeToken    RevokeStyle = "token"   // form token=… alone (Google)
	RevokeBearer   RevokeStyle = "bearer"  // the access token as bearer (Slack auth.revoke)
	RevokeGitHub   RevokeStyle = "github"  // DELETE /applications/{client_id}/grant with Basic and JSON
	RevokeBoxStyle RevokeStyle = "box"     // form client_id, client_secret, token
)

// RevokeRules say how a grant is revoked at the vendor and what else dies with it.
type RevokeRules struct {
	Style  RevokeStyle
	Radius string // "token", "grant", "project"
}

// ErrorRules say how an API answers when a token is dead or too narrow.
type ErrorRules struct {
	DeadCodes    []string // codes in the body at 200 or 4xx that mean "token dead" besides a 401
	ScopeCodes   []string // codes or reasons that mean "scope missing"
	ScopeField   string   // JSON path that names the missing scopes ("needed" at Slack)
	CodePaths    []string // JSON paths where codes stand ("error", "error.status", "error.details[].reason", "[].errorCode")
	At200        bool     // errors come with status 200 (Slack)
	ScopeIn401   bool
	DeadStatuses []int // besides 401
	// AnyOf says that where several scopes are named, one of them is enough:
	// the narrowest is then asked for (Google, GitHub).
	AnyOf bool
	// AcceptedHeader and GrantedHeader name the headers that list what a call
	// needs and what the token has; a 403 or 404 with no overlap lacks a scope (GitHub).
	AcceptedHeader, GrantedHeader string
}

// Loopback is what a vendor accepts as a loopback redirect URI.
type Loopback string

// The redirect rules.
const (
	LoopbackAnyPort Loopback = "any port"   // any port of a registered loopback URI (RFC 8252 §7.3)
	LoopbackExact   Loopback = "exact"      // the registered URI, port included
	HTTPSOnly       Loopback = "https only" // no http at all
)

// RedirectRule is a vendor's rule for redirect URIs.
type RedirectRule struct {
	Loopback Loopback
	Host     string // literal that the vendor takes: "127.0.0.1" or "localhost"; "" = as public_url has it
	Verified bool   // false: no source confirms it
}
