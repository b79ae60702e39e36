package client

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Reason says what is lacking: error_reason in Grantry's answer. The list is closed.
type Reason string

// The reasons that a person can mend, by the page behind ConsentRequired.URI.
const (
	NotConnected     Reason = "not_connected"      // no account is connected
	UnderScoped      Reason = "under_scoped"       // the account was not granted ConsentRequired.Missing
	Revoked          Reason = "revoked"            // the vendor takes the account's grant no more
	Expired          Reason = "expired"            // the grant has run out
	NoRefreshToken   Reason = "no_refresh_token"   // the token is over, and nothing can renew it
	AccountChanged   Reason = "account_changed"    // it is another account than before
	ConnChanged      Reason = "connection_changed" // the connection has other addresses than when it was consented to
	AgentNotAllowed  Reason = "agent_not_allowed"  // the user has not allowed this application to use the account
	ApprovalRequired Reason = "approval_required"  // the user has to say yes to this one
)

// The reasons that no page mends.
const (
	AccountAmbiguous  Reason = "account_ambiguous"        // several accounts: name one of Error.Accounts in Options.Account
	AccountUnknown    Reason = "account_unknown"          // no account of that name
	ConnMisconfigured Reason = "connection_misconfigured" // Grantry's operator has to mend the connection
	CannotNarrow      Reason = "cannot_narrow"            // the account was granted Error.Missing beyond this application's ceiling
	VendorUnreachable Reason = "provider_unreachable"     // the vendor is down; try again later
	VaultDegraded     Reason = "vault_degraded"           // Grantry cannot work at the moment; try again later
)

func (r Reason) mendable() bool {
	return slices.Contains([]Reason{
		NotConnected, UnderScoped, Revoked, Expired, NoRefreshToken, AccountChanged, ConnChanged, AgentNotAllowed, ApprovalRequired,
	}, r)
}

// ConsentRequired says that the user has to do something in a browser: lead them to URI, and try again
// when they are back. It proves that Grantry was reached and knows the user, and nothing else is wrong.
type ConsentRequired struct {
	Connection string
	Reason     Reason
	Missing    []string // scopes that the account was not granted
	// URI is the page, good for this user alone. It is "" when the user has declined lately, or when no page could
	// be made: then Description says where they can do it by themselves.
	URI         string
	Description string // for a developer
	err         *Error
}

// Error says what is lacking. The link is not in it: it is the user's.
func (e *ConsentRequired) Error() string {
	return fmt.Sprintf("grantry: %s needs its user (%s)", e.Connection, e.Reason)
}

// Unwrap is the *Error that the answer was.
func (e *ConsentRequired) Unwrap() error { return e.err }

// Error is any other answer than a token (RFC 6749 §5.2).
type Error struct {
	Status      int    // of HTTP
	Code        string // error, such as invalid_client; "" when the answer was none of Grantry's
	Description string // for a developer
	Reason      Reason // "" where the vault has nothing to do with it
	Missing     []string
	Accounts    []string // to choose from
	// RetryAfter is when it makes sense to try again; 0 = Grantry does not say.
	RetryAfter time.Duration
}

// Error says what Grantry has answered.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "grantry: the token endpoint answered %d", e.Status)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Reason != "" {
		b.WriteString(" (" + string(e.Reason) + ")")
	}
	if e.Description != "" {
		b.WriteString(": " + e.Description)
	}
	return b.String()
}

// Temporary says that the same request may work later: an outage or a limit.
func (e *Error) Temporary() bool {
	return e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError && e.Reason != ConnMisconfigured
}

// HostError says that a request was not sent, because its address is no place for the token.
type HostError struct {
	Host     string
	Redirect bool // a redirect from another origin led there
}

// Error names the host.
func (e *HostError) Error() string {
	if e.Redirect {
		return fmt.Sprintf("grantry: a redirect leads to %s, and the token does not go along", e.Host)
	}
	return fmt.Sprintf("grantry: %s is not among the hosts that the token may go to (Options.Hosts)", e.Host)
}
