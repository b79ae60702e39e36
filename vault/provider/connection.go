package provider

import (
	"log/slog"
	"net/http"
	"time"
)

// Registration is the operator's client at a provider, as the config names it.
type Registration struct {
	Name         string // connection name
	Provider     *Provider
	ClientID     string
	ClientSecret Secret
	Auth         ClientAuth // "" = the provider's
	Endpoints    Endpoints  // overrides
	Scopes       []string   // asked for when nothing else is
	APIHosts     []string   // besides the provider's (oidc, oauth2)
	BotToken     bool       // Slack: the bot's token instead of the user's
	Tenant       string     // Microsoft: "common" unless set
	// LoopbackHTTP allows plain http to loopback (only while public_url is loopback).
	LoopbackHTTP bool
}

// Config is what connections share.
type Config struct {
	HTTP   *http.Client // its Transport is used; redirects are never followed
	Now    func() time.Time
	Logger *slog.Logger
	// TokenTimeout bounds one request to a token, revocation or identity
	// endpoint, body included; 0 = 25 s.
	TokenTimeout time.Duration
}

// Grant is what a token endpoint answered.
type Grant struct {
	Access    Secret
	Refresh   Secret    // zero = none in this answer (keep the old one)
	Expiry    time.Time // zero = no end named
	Scopes    []string  // normalized; as granted, or as asked when the vendor does not say
	APIBase   string    // validated base of API calls, "" = the provider's
	IDToken   Secret
	Confirmed bool // Scopes come from the vendor
	// RefreshEnd is when the refresh token ends by the vendor's word (refresh_token_expires_in), zero = not said.
	RefreshEnd time.Time
}

// Identity is whose account a grant is.
type Identity struct {
	ID            string // stable at this provider: never an e-mail
	Email         string
	EmailVerified bool
	Name          string
	Domain        string   // of the organization, as the vendor vouches for it; "" = none, or not said
	Tenants       []string // tenant, workspace or organization, by id
}

// AuthRequest is what an authorization URL is built from.
type AuthRequest struct {
	State       string
	Verifier    Secret
	Nonce       string
	RedirectURI string
	Scopes      []string
	LoginHint   string
	Reconnect   bool // ask so that a refresh token comes
}

// Redemption is what an authorization code is redeemed with (RFC 6749 §4.1.3).
type Redemption struct {
	Code        Secret
	Verifier    Secret   // PKCE
	RedirectURI string   // the one of the authorization request
	Asked       []string // stored as granted when the vendor does not say
}

// Class says what a token endpoint's failure proves.
type Class string

// The classes of failure (facts: refresh protocol, step 6).
const (
	Clean     Class = "clean"     // nothing was spent: dial or TLS error, or an OAuth error other than invalid_grant
	Rejected  Class = "rejected"  // invalid_grant: the vendor does not take this token or code
	Ambiguous Class = "ambiguous" // it may have been spent: timeout, reset, 5xx, unreadable 2xx
)
