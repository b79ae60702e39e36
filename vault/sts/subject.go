package sts

import (
	"context"
	"errors"
	"time"

	"github.com/grantry/grantry/vault"
)

// Verifier proves access tokens that are presented as subject tokens. The audience is not its
// matter: each workload has its own, so the answer says all that the token has.
type Verifier interface {
	// Verify answers what a good token says. A *TokenError says that it is not good; any other error, that its issuer could not be asked.
	Verify(ctx context.Context, raw string) (Subject, error)
}

// Logins knows the refresh tokens of the built-in server; nil where people sign in elsewhere.
type Logins interface {
	// Presented answers whose refresh token it is, and does not spend it. Only the current one that was issued to
	// this client counts; any other is ErrUnknownToken, and one that came before the current one ends its family.
	// Any other error says that this could not be found out.
	Presented(ctx context.Context, client, refreshToken string) (vault.Person, error)
}

// ErrUnknownToken says that a refresh token is not this client's, or not the current one.
var ErrUnknownToken = errors.New("refresh token is not known")

// TokenError says that a subject token is not good. It names the check, never the token.
type TokenError struct {
	Check string // "signature", "expiry", …
}

// Error names the check.
func (e *TokenError) Error() string { return "subject token refused: " + e.Check }

// Subject is what a good subject token says.
type Subject struct {
	Person   vault.Person
	Client   string // the client that it was issued to, "" when it does not say
	Audience []string
	Expires  time.Time // zero = not said
	Actors   []Actor   // of its act claims, the current one first (RFC 8693 §4.1)
	// MayAct are those of its may_act claim (RFC 8693 §4.4), nil when there is none: then the policy alone decides.
	MayAct []Actor
}

// Actor is one party of an act or a may_act claim.
type Actor struct{ Issuer, Subject string }
