package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// TokenError is a token endpoint's refusal. It does not prove that a grant is
// dead: a refresh race, too, ends in Rejected. It never holds the vendor's text.
type TokenError struct {
	Connection string
	Class      Class
	Code       string // RFC 6749 §5.2 code, "" when there was none
	Status     int
	RetryAfter time.Duration
	// Unread is what came with a 2xx and could not be read, up to 64 KiB: a token may be
	// in it, so it is kept sealed. Zero where there was none.
	Unread Secret
	Err    error // transport error, if any, without the vendor's text
}

// Error names the connection, the class, the code and the status.
func (e *TokenError) Error() string {
	return describe("token endpoint of "+e.Connection+": "+string(e.Class), e.Code, e.Status, e.Err)
}

// Unwrap is the transport error.
func (e *TokenError) Unwrap() error { return e.Err }

// RevokeError says that a vendor did not confirm a revocation.
type RevokeError struct {
	Connection string
	Status     int
	RetryAfter time.Duration // RFC 7009 §2.2.1; 0 = not said, at most a day
	Err        error
}

// Error names the connection and the status.
func (e *RevokeError) Error() string {
	return describe("revocation at "+e.Connection+" not confirmed", "", e.Status, e.Err)
}

// Unwrap is the transport error.
func (e *RevokeError) Unwrap() error { return e.Err }

// ScopeError says that an API refused because the grant lacks scopes. Scopes
// are what the vendor named, normalized, as far as the catalog knows them; it
// may be empty.
type ScopeError struct {
	Provider string
	Scopes   []string
}

// Error names the provider and the scopes.
func (e *ScopeError) Error() string {
	if len(e.Scopes) == 0 {
		return e.Provider + ": the grant lacks a scope"
	}
	return e.Provider + ": the grant lacks " + strings.Join(e.Scopes, " ")
}

// HostError says that a request was not sent, because its host is none where
// this connection's token may go.
type HostError struct {
	Connection string
	Host       string // as the request named it
	Redirect   bool   // the host came from a redirect of the API
}

// Error names the connection and the host.
func (e *HostError) Error() string {
	what := "request"
	if e.Redirect {
		what = "redirect"
	}
	return fmt.Sprintf("%s: %s to %q refused: not an API host", e.Connection, what, e.Host)
}

// ConfigError is a registration that cannot work.
type ConfigError struct {
	Connection string
	Field      string // as in the configuration: "endpoints.token"
	Reason     string // a clause: "must be https"
}

// Error is the connection, the field and the clause.
func (e *ConfigError) Error() string {
	return e.Connection + ": " + e.Field + " " + e.Reason
}

// RedirectError says that a vendor does not take this redirect URI.
type RedirectError struct {
	Connection string
	Provider   string // the vendor's title
	URI        string // what would have been sent
	Rule       RedirectRule
}

// Error names the vendor and its rule.
func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s: %s takes redirect URIs by the rule %q, and %s does not fit", e.Connection, e.Provider, e.Rule.Loopback, e.URI)
}

// IssuerError says that an authorization response carried another issuer than
// expected, or none where one is due (RFC 9207 §2.4).
type IssuerError struct {
	Connection string
	Expected   string
	Missing    bool
}

// Error names the issuer that was expected, never the one that came.
func (e *IssuerError) Error() string {
	if e.Missing {
		return e.Connection + ": the authorization response names no issuer, expected " + e.Expected
	}
	return e.Connection + ": the authorization response is of another issuer than " + e.Expected
}

// DiscoveryReason says why a discovery document is of no use.
type DiscoveryReason string

// The reasons.
const (
	DiscoveryUnreachable DiscoveryReason = "unreachable"     // no answer, or no 200
	DiscoveryUnreadable  DiscoveryReason = "unreadable"      // no JSON object, or over 256 KiB
	DiscoveryIssuer      DiscoveryReason = "issuer differs"  // RFC 8414 §3.3
	DiscoveryNoS256      DiscoveryReason = "no S256"         // R18
	DiscoveryElsewhere   DiscoveryReason = "other host"      // Field lies outside the issuer's host (R21)
	DiscoveryInsecure    DiscoveryReason = "not https"       // Field is no usable https URL
	DiscoveryMissing     DiscoveryReason = "endpoint absent" // Field is not there
	DiscoveryClientAuth  DiscoveryReason = "no usable client authentication"
)

// DiscoveryError says that an issuer's discovery document cannot be used.
type DiscoveryError struct {
	Connection string
	Issuer     string // as configured
	Reason     DiscoveryReason
	Field      string // of the document: "token_endpoint"
	Host       string // where Field points
	Status     int
	Err        error
}

// Error names the issuer, the reason and the field.
func (e *DiscoveryError) Error() string {
	s := e.Connection + ": discovery at " + e.Issuer + ": " + string(e.Reason)
	if e.Field != "" {
		s += " (" + e.Field
		if e.Host != "" {
			s += " at " + e.Host
		}
		s += ")"
	}
	return describe(s, "", e.Status, e.Err)
}

// Unwrap is the transport error.
func (e *DiscoveryError) Unwrap() error { return e.Err }

// IdentityReason says why it is not known whose account a grant is.
type IdentityReason string

// The reasons.
const (
	IdentityNoSource    IdentityReason = "no id_token and no userinfo endpoint"
	IdentityUnreachable IdentityReason = "endpoint unreachable"
	IdentityRefused     IdentityReason = "endpoint refused"
	IdentityUnreadable  IdentityReason = "answer unreadable"
	IdentityNoID        IdentityReason = "answer names no account"
	IdentityKeys        IdentityReason = "keys unreachable"
	IdentityToken       IdentityReason = "id_token not valid"
	IdentityExpired     IdentityReason = "id_token expired"
	IdentityIssuer      IdentityReason = "id_token of another issuer"
	IdentityNonce       IdentityReason = "id_token of another request"
	IdentitySubject     IdentityReason = "of another account"
)

// IdentityError says that it is not known whose account a grant is.
type IdentityError struct {
	Connection string
	Reason     IdentityReason
	Status     int
	Err        error
}

// Error names the connection and the reason.
func (e *IdentityError) Error() string {
	return describe("identity at "+e.Connection+": "+string(e.Reason), "", e.Status, e.Err)
}

// Unwrap is the transport error.
func (e *IdentityError) Unwrap() error { return e.Err }

// Unproven says that nothing was proven either way: what would prove it cannot be reached now.
func (e *IdentityError) Unproven() bool {
	return e.Reason == IdentityKeys || e.Reason == IdentityUnreachable
}

// ErrTooLarge says that an answer was cut at its cap.
var ErrTooLarge = errors.New("answer too large")

// ErrTooManyRedirects says that an API redirected more than five times.
var ErrTooManyRedirects = errors.New("too many redirects")

// The transport errors that are told apart. net/http's own texts quote what
// the server sent, so they go no further than plain.
var (
	errDial    = errors.New("no connection")
	errLookup  = errors.New("no such host")
	errTLS     = errors.New("no trusted TLS connection")
	errBroken  = errors.New("connection broken")
	errInvalid = errors.New("answer unreadable")
)

// plain is err in our words: net/http's messages may quote the server.
func plain(err error) error {
	var (
		dns      *net.DNSError
		op       *net.OpError
		unknown  x509.UnknownAuthorityError
		verify   *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		urlError *url.Error
		ours     *HostError
		scope    *ScopeError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &scope):
		return scope
	case errors.Is(err, ErrTooLarge):
		return ErrTooLarge
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &urlError) && urlError.Timeout():
		return context.DeadlineExceeded
	case errors.As(err, &dns):
		return errLookup
	case errors.As(err, &verify), errors.As(err, &unknown), errors.As(err, &record):
		return errTLS
	case errors.As(err, &op) && op.Op == "dial":
		return errDial
	}
	return errBroken
}

// describe joins what an error may say.
func describe(s, code string, status int, err error) string {
	if code != "" {
		s += ", " + code
	}
	if status != 0 {
		s += fmt.Sprintf(", status %d", status)
	}
	if err != nil {
		s += ": " + err.Error()
	}
	return s
}
