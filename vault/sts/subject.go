package sts

import (
	"context"
	"errors"
	"slices"
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
	ID       string // jti, "" when it has none
	Client   string // the client that it was issued to, "" when it does not say
	Audience []string
	Expires  time.Time // zero = not said
	Actors   []Actor   // of its act claims, the current one first (RFC 8693 §4.1)
	// MayAct are those of its may_act claim (RFC 8693 §4.4), nil when there is none: then the policy alone decides.
	MayAct []Actor
}

// Actor is one party of an act or a may_act claim.
type Actor struct{ Issuer, Subject string }

// maxActors bounds a chain of act claims.
const maxActors = 8

// subject is a proved subject token: whose it is, and what the audit is to say of it.
type subject struct {
	person  vault.Person
	actors  []string
	context string // why, as a worker's assertion says
	id      string // jti, "" when it has none
}

// subjectOf proves the subject token for this workload.
func (s *Server) subjectOf(ctx context.Context, w *workload, r request) (subject, error) {
	switch r.subjectType {
	case typeJWT:
		return s.worker(ctx, w, r)
	case typeRefresh:
		return s.login(ctx, w, r.subject)
	}
	return s.access(ctx, w, r.subject)
}

// login takes a refresh token of the built-in server that was issued to this same workload.
func (s *Server) login(ctx context.Context, w *workload, raw string) (subject, error) {
	if s.cfg.Logins == nil || !w.SignsIn {
		return subject{}, subjectRefused("a refresh token is a subject token only where people sign in to this client at this server (redirect_uris); present an access token")
	}
	who, err := s.cfg.Logins.Presented(ctx, w.name, raw)
	switch {
	case errors.Is(err, ErrUnknownToken):
		return subject{}, subjectRefused("the refresh token is not the current one that was issued to this client; the user has to sign in again")
	case err != nil:
		return subject{}, down("the refresh token cannot be looked up at the moment; try again later", 5*time.Second, err)
	}
	return subject{person: who}, nil
}

// access takes an access token that is addressed to this server, or to the workload itself.
func (s *Server) access(ctx context.Context, w *workload, raw string) (subject, error) {
	if s.cfg.Verifier == nil {
		return subject{}, subjectRefused("no access token is a subject token here")
	}
	t, err := s.cfg.Verifier.Verify(ctx, raw)
	if bad, ok := errors.AsType[*TokenError](err); ok {
		return subject{}, subjectRefused("the subject_token is not valid here (" + bad.Check + ")")
	}
	if err != nil {
		return subject{}, down("the issuer of the subject_token cannot be asked at the moment; try again later", 30*time.Second, err)
	}
	if err := s.addressed(w, t); err != nil {
		return subject{}, err
	}
	if len(t.Actors) > maxActors {
		return subject{}, subjectRefused("the subject_token has been passed on too often")
	}
	out := subject{person: t.Person, id: t.ID}
	for _, a := range t.Actors {
		out.actors = append(out.actors, a.String())
	}
	return out, nil
}

// addressed says whether a good token is for this workload to present (R58).
func (s *Server) addressed(w *workload, t Subject) error {
	has := func(list []string) bool {
		return slices.ContainsFunc(t.Audience, func(a string) bool { return slices.Contains(list, a) })
	}
	own := has(w.Audiences)
	_, foreign := s.workloads[t.Client]
	foreign = foreign && t.Client != w.name
	switch {
	case has(s.notSubjects):
		return subjectRefused("the subject_token is one for MCP, which is never a subject token; ask for one with the audience " + s.cfg.PublicURL + "/")
	case !own && !slices.Contains(t.Audience, s.cfg.PublicURL+"/"):
		return subjectRefused("the subject_token is not addressed to " + s.cfg.PublicURL + "/, nor to an audience of this client")
	case t.MayAct != nil && !s.mayAct(w, t):
		return subjectRefused("the subject_token says who may act for its user (may_act), and this client is not among them").as(mayNotAct)
	case !own && foreign && t.MayAct == nil:
		return subjectRefused("the subject_token was issued to another client of this server")
	}
	return nil
}

// mayAct says whether one of those that may act is this workload: a client of the token's issuer, or of ours.
func (s *Server) mayAct(w *workload, t Subject) bool {
	issuers := []string{"", s.cfg.PublicURL, s.cfg.PublicURL + "/", t.Person.Issuer}
	return slices.ContainsFunc(t.MayAct, func(a Actor) bool { return a.Subject == w.name && slices.Contains(issuers, a.Issuer) })
}

// String is how the audit writes an actor.
func (a Actor) String() string {
	if a.Issuer == "" {
		return a.Subject
	}
	return a.Subject + " (" + a.Issuer + ")"
}
