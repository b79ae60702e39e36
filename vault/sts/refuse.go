package sts

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/grantry/grantry/vault"
)

// refusal is an answer other than a token, in the standard's names.
type refusal struct {
	status int
	code   string
	text   string // for the developer of the application
	kind   string // for the audit, "" = the code
	reason vault.Reason
	// missing are the scopes that are lacking or too much, accounts those to choose from.
	missing, accounts []string
	consent           string // where a person can mend it
	approval          string // what waits there for their yes
	challenge         string // WWW-Authenticate of a 401, "" = the token endpoint's
	retry             time.Duration
	err               error // for the log
}

// Kinds of refusals that the audit tells apart, beside their codes.
const (
	badClient  = "client"
	badSubject = "subject"
	badAddress = "address"
	badTarget  = "target"
	mayNotAct  = "may_act"
	replayed   = "replay"
	tooMany    = "calls_per_minute"
)

func refuse(status int, code, text string) *refusal {
	return &refusal{status: status, code: code, text: text}
}

func (r *refusal) as(kind string) *refusal { r.kind = kind; return r }

// why is what the audit says of it.
func (r *refusal) why() string { return cmp.Or(r.kind, string(r.reason), r.code) }

// Error is for the log.
func (r *refusal) Error() string { return "exchange refused: " + r.code }

// Unwrap is the cause.
func (r *refusal) Unwrap() error { return r.err }

// subjectRefused is RFC 8693 §2.2.2: a bad subject token is an invalid request.
func subjectRefused(text string) *refusal {
	return refuse(http.StatusBadRequest, "invalid_request", text).as(badSubject)
}

func down(text string, retry time.Duration, err error) *refusal {
	return &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", text: text, retry: retry, err: err}
}

func broken(err error) *refusal {
	return &refusal{status: http.StatusInternalServerError, code: "server_error", text: "something went wrong here, and not in the request; the log of the server says what", err: err}
}

// refusalOf sorts errors that are none yet.
func refusalOf(err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if errors.Is(err, context.Canceled) {
		return down("the request was given up", time.Second, err)
	}
	return broken(err)
}

// level is how loud the log is: what is broken here is the operator's, an outage may pass.
func (r *refusal) level() slog.Level {
	switch {
	case errors.Is(r.err, context.Canceled), r.status < http.StatusInternalServerError:
		return slog.LevelInfo
	case r.status == http.StatusServiceUnavailable:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// lacking says what the vault lacks for a token. A vendor that is down is nothing that a person can mend.
func lacking(e *vault.ConsentError) *refusal {
	r := &refusal{status: http.StatusBadRequest, code: "consent_required", text: sentence(e.Reason), reason: e.Reason, accounts: e.Labels, err: e.Err}
	for _, o := range e.Options {
		if e.Reason == vault.UnderScoped || e.Reason == vault.NotConnected {
			r.missing = append(r.missing, o.Missing...)
		}
	}
	switch e.Reason {
	case vault.UnderScoped:
		r.code = "invalid_scope"
	case vault.CannotNarrow:
		r.code, r.missing = "invalid_scope", e.Excess
	case vault.AccountUnknown, vault.AccountAmbiguous:
		r.code = "invalid_request"
	case vault.ProviderUnreachable:
		r.status, r.code, r.retry = http.StatusServiceUnavailable, "temporarily_unavailable", max(e.RetryAfter, 5*time.Second)
	case vault.VaultDegraded:
		r.status, r.code, r.retry = http.StatusServiceUnavailable, "temporarily_unavailable", 5*time.Second
	case vault.ConnMisconfigured:
		r.status, r.code = http.StatusInternalServerError, "server_error"
	}
	return r
}

// sentence says what is the matter, and what to do about it.
func sentence(r vault.Reason) string {
	switch r {
	case vault.NotConnected:
		return "the user has not connected an account here yet; lead them to consent_uri"
	case vault.UnderScoped:
		return "the user's account was not granted these scopes; lead them to consent_uri"
	case vault.Revoked:
		return "the vendor does not accept the account's grant any more; lead the user to consent_uri to connect it again"
	case vault.Expired:
		return "the account's grant has run out; lead the user to consent_uri to connect it again"
	case vault.NoRefreshToken:
		return "the account's token is over and the vendor gave nothing to renew it with; lead the user to consent_uri to connect it again"
	case vault.AccountChanged, vault.ConnChanged:
		return "the account or the connection has changed since it was connected; lead the user to consent_uri to connect it again"
	case vault.AgentNotAllowed:
		return "the user has not allowed this application to use the account; lead them to consent_uri"
	case vault.ApprovalRequired:
		return "the user has to approve this; lead them to consent_uri"
	case vault.AccountAmbiguous:
		return "the user has several accounts here and none is marked as default; name one of them in account"
	case vault.AccountUnknown:
		return "the user has no account of that name here"
	case vault.ConnMisconfigured:
		return "the vendor refuses the registration of this connection; its operator has to mend it"
	case vault.CannotNarrow:
		return "the vendor cannot issue a token as narrow as this application's ceiling, and the account was granted more. The ways out: send requests through the proxy, which keeps the token (requested_token_type urn:grantry:proxy-token); connect a second connection with fewer scopes; or have the operator set allow_wider"
	case vault.ProviderUnreachable:
		return "the vendor cannot be reached at the moment; nobody has to consent to anything, try again later"
	case vault.VaultDegraded:
		return "the vault cannot work at the moment; try again later"
	}
	return "the token cannot be answered"
}
