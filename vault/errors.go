package vault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Reason says why an exchange gave no token. The list is closed.
type Reason string

// The reasons. Those above the gap can be mended by a person, with a ticket.
const (
	NotConnected     Reason = "not_connected"
	UnderScoped      Reason = "under_scoped"
	Revoked          Reason = "revoked"
	Expired          Reason = "expired"
	NoRefreshToken   Reason = "no_refresh_token"
	AccountChanged   Reason = "account_changed"
	ConnChanged      Reason = "connection_changed"
	AgentNotAllowed  Reason = "agent_not_allowed"
	ApprovalRequired Reason = "approval_required"

	AccountAmbiguous    Reason = "account_ambiguous"
	AccountUnknown      Reason = "account_unknown"
	ConnMisconfigured   Reason = "connection_misconfigured"
	CannotNarrow        Reason = "cannot_narrow"
	ProviderUnreachable Reason = "provider_unreachable"
	VaultDegraded       Reason = "vault_degraded"
)

// Mendable says whether a person can mend it, so that a ticket makes sense.
func (r Reason) Mendable() bool {
	switch r {
	case NotConnected, UnderScoped, Revoked, Expired, NoRefreshToken, AccountChanged, ConnChanged, AgentNotAllowed, ApprovalRequired:
		return true
	}
	return false
}

// ConsentError says that an exchange gave no token, and what is lacking.
type ConsentError struct {
	Reason Reason
	// Options are the connections that could serve, each with what to ask for; one when an account was picked.
	Options []Option
	// Labels are the caller's accounts to choose from (account_ambiguous, account_unknown).
	Labels []string
	// Excess are the scopes beyond the ceiling (cannot_narrow): what the account's token can do, or what was asked for.
	Excess []string
	// Account is the label of the account in question, "" when there is none.
	Account string
	// RetryAfter is when trying again makes sense (provider_unreachable), 0 when unknown.
	RetryAfter time.Duration
	Err        error // cause for the log, never shown
}

// Option is one way to satisfy a need.
type Option struct {
	Connection string   // config name
	Scopes     []string // all that the need asks for (the first of each group), merged with what the account has
	Missing    []string // of these, what the account lacks
	Grant      string   // the account to reconnect or to open to the agent; "" = a new one
	// VendorNeeded says that the vendor's screen is needed; false: only access of the agent, or its person's yes to a write, is missing.
	VendorNeeded bool
	// Optional are those of Scopes that the owner may leave out: of what a person connects themselves, all that tell more than whose account it is; of a tool's need none.
	Optional []string
}

// Error names the reason and the connections, nothing else.
func (e *ConsentError) Error() string {
	names := make([]string, len(e.Options))
	for i, o := range e.Options {
		names[i] = o.Connection
	}
	return fmt.Sprintf("exchanging token: %s (%s)", e.Reason, strings.Join(names, ", "))
}

// Unwrap is the cause.
func (e *ConsentError) Unwrap() error { return e.Err }

// ShortLivedError says that even a fresh token of this account lives shorter than Request.MinTTL.
type ShortLivedError struct{ Lives time.Duration }

// Error says how long it lives.
func (e *ShortLivedError) Error() string {
	return "exchanging token: the vendor's tokens live " + e.Lives.Round(time.Second).String() + " only"
}

// LimitError says that a caller and agent have too many tickets.
type LimitError struct {
	What  string // "open_tickets" or "tickets_per_hour"
	Max   int
	Until time.Time
}

// Error names the limit.
func (e *LimitError) Error() string { return fmt.Sprintf("limit %s of %d reached", e.What, e.Max) }

// BackOffError says that the person declined lately, so that no new dialog is shown.
type BackOffError struct {
	Connection string
	Until      time.Time
}

// Error names the connection.
func (e *BackOffError) Error() string { return "declined lately: " + e.Connection }

// RuleError says that a person may not use a connection: their sign-in does not have what its rule asks for.
type RuleError struct {
	Connection string
	Claim      string
}

// Error names the connection and the claim.
func (e *RuleError) Error() string {
	return fmt.Sprintf("connection %s is not for this person: claim %s", e.Connection, e.Claim)
}

// RanError says that an approved call has run.
type RanError struct{ At time.Time }

// Error says when.
func (e *RanError) Error() string { return "already ran at " + e.At.UTC().Format(time.RFC3339) }

// Errors of tickets and flows.
var (
	// ErrForeign says that the ticket belongs to somebody else.
	ErrForeign = errors.New("ticket of another person")
	// ErrGone says that the ticket is completed, declined or expired.
	ErrGone = errors.New("ticket is over")
	// ErrStale says that another process or browser got there first; of an approval that its person has not answered yet.
	ErrStale = errors.New("already answered")
	// ErrNoScopes says that the owner left out all that was asked for.
	ErrNoScopes = errors.New("nothing is left of what was asked for")
)

// FlowFailure is why a vendor's answer did not become a grant.
type FlowFailure string

// The failures of a flow; consent has a sentence for each.
const (
	FlowState       FlowFailure = "state"         // unknown, reused or another connection's state
	FlowBrowser     FlowFailure = "browser"       // not the browser that pressed Allow
	FlowIssuer      FlowFailure = "issuer"        // iss missing or wrong (RFC 9207)
	FlowDenied      FlowFailure = "access_denied" // the person declined at the vendor
	FlowVendor      FlowFailure = "vendor_error"  // another error code at the callback
	FlowUnreachable FlowFailure = "unreachable"   // token endpoint down or unreadable
	FlowRejected    FlowFailure = "rejected"      // code not taken
	FlowOperator    FlowFailure = "misconfigured" // invalid_client and the like
	FlowScopes      FlowFailure = "scopes"        // fewer scopes than needed
	FlowNoRefresh   FlowFailure = "no_refresh"    // no refresh token where one is needed
	FlowAccount     FlowFailure = "account"       // another account than the pinned one
	FlowEmail       FlowFailure = "email"         // verified e-mail differs from the person's
	FlowIdentity    FlowFailure = "identity"      // the vendor did not say whose account it is
	FlowDomain      FlowFailure = "domain"        // an account that the operator does not allow here (accounts.domains, accounts.tenants)
	FlowVault       FlowFailure = "vault"         // our own store could not be read or written
)

// FlowError says why a vendor's answer did not become a grant. Nothing was
// stored; with Held the tokens wait, unusable, for their owner's word (Vault.ConfirmHeld).
type FlowError struct {
	Failure    FlowFailure
	Connection string
	Ticket     string   // id, "" when the state was unknown
	Got, Want  string   // labels of accounts (FlowAccount, FlowEmail); of FlowDomain the account and what is allowed
	Held       bool     // the ticket has it in Held
	Missing    []string // FlowScopes
	Err        error    // cause for the log
}

// Error names the failure, nothing of the vendor.
func (e *FlowError) Error() string { return "finishing flow: " + string(e.Failure) }

// Unwrap is the cause.
func (e *FlowError) Unwrap() error { return e.Err }
