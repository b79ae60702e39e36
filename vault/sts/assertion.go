package sts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/assertion"
)

const (
	workerAge  = time.Minute // of a worker's assertion, at most
	maxContext = 256

	// WorkerType is the typ of a worker's assertion. Auth0's name for it is taken, too.
	WorkerType     = "grantry-worker+jwt"
	auth0WorkerJWT = "token-vault-req+jwt"
	issSub         = "iss_sub" // RFC 9493 §3.2.4
	notValid       = "the assertion is not valid: "
)

// checkClientAssertion is private_key_jwt.
func (s *Server) checkClientAssertion(ctx context.Context, w *workload, sent credentials) error {
	to := append(s.names(sent.base), sent.base+TokenPath, s.cfg.PublicURL+TokenPath)
	err := assertion.Client(ctx, s.cfg.Records, s.cfg.Now(), w.name, w.Keys, to, sent.assertion)
	return unproved(err, notProved)
}

// unproved sorts the errors of assertions; bad makes the refusal of one that proves nothing.
func unproved(err error, bad func(text string) *refusal) error {
	refused, ok := errors.AsType[*assertion.RefusedError](err)
	switch {
	case err == nil:
		return nil
	case ok && refused.Replayed:
		return bad(notValid + refused.Why).as(replayed)
	case ok:
		return bad(notValid + refused.Why)
	case errors.Is(err, assertion.ErrRecords):
		return down("the vault cannot be written at the moment; try again later", 5*time.Second, err)
	}
	return down("the keys of this client cannot be had at the moment", 30*time.Second, err)
}

// names are those of this server, by the address of the request and by its own, with and without a slash at the end.
func (s *Server) names(base string) []string {
	return []string{base, base + "/", s.cfg.PublicURL, s.cfg.PublicURL + "/"}
}

// worker is a worker's assertion as a subject token: a signed request of the
// workload itself, for one person who is not there.
func (s *Server) worker(ctx context.Context, w *workload, r request) (subject, error) {
	if w.Keys == nil {
		return subject{}, subjectRefused("only a client with keys (jwks) can sign an assertion")
	}
	c, typ, err := assertion.Signed(ctx, w.Keys, r.subject)
	if err != nil {
		return subject{}, unproved(err, subjectRefused)
	}
	if bad := s.badWorker(w, c, typ, r.base); bad != "" {
		return subject{}, subjectRefused(notValid + bad)
	}
	who, bad := s.named(c)
	if bad != "" {
		return subject{}, subjectRefused(notValid + bad)
	}
	if err := assertion.Once(ctx, s.cfg.Records, "worker", w.name, c.ID, workerAge+2*assertion.Leeway); err != nil {
		return subject{}, unproved(err, subjectRefused)
	}
	return subject{person: vault.Person{Caller: who}, context: c.Context, id: c.ID}, nil
}

// badWorker is what is wrong with a worker's assertion, "" when nothing is.
func (s *Server) badWorker(w *workload, c assertion.Claims, typ, base string) string {
	now := s.cfg.Now()
	switch {
	case typ != WorkerType && typ != auth0WorkerJWT:
		return "its typ must be " + WorkerType + " or " + auth0WorkerJWT
	case c.Issuer != w.name:
		return "iss must be the client id"
	case !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(s.names(base), a) }):
		return "aud must be " + base + "/"
	case c.Issued.IsZero() || now.After(c.Issued.Add(workerAge)):
		return "it has no iat, or is older than a minute"
	case c.Early(now):
		return "it is not valid yet"
	case !c.Expires.IsZero() && !now.Before(c.Expires.Add(assertion.Leeway)):
		return "it is over"
	case !c.Named():
		return "it needs a jti of at most 256 characters"
	case c.Context == "" || utf8.RuneCountInString(c.Context) > maxContext || strings.ContainsFunc(c.Context, notInContext):
		return "it needs an audit_context of 1 to 256 characters, on one line"
	}
	return ""
}

func notInContext(c rune) bool { return c < ' ' || c == 0x7f || c == utf8.RuneError }

// named is the person that an assertion is about: by sub_id, or by sub alone where there is one issuer of people.
func (s *Server) named(c assertion.Claims) (who vault.Caller, bad string) {
	id := c.SubjectID
	switch {
	case id == (assertion.SubjectID{}) && c.Subject == "":
		return who, "it names nobody: sub_id with iss and sub, or sub"
	case id == (assertion.SubjectID{}) && len(s.cfg.Issuers) != 1:
		return who, "there are several issuers of people here, so it needs a sub_id with iss and sub"
	case id == (assertion.SubjectID{}):
		return vault.Caller{Issuer: s.cfg.Issuers[0], Subject: c.Subject}, ""
	case id.Format != issSub || id.Subject == "":
		return who, "sub_id must have the format iss_sub, an iss and a sub"
	case c.Subject != "" && c.Subject != id.Subject:
		return who, "sub and sub_id name two people"
	case !slices.Contains(s.cfg.Issuers, id.Issuer):
		return who, "no people of that issuer are known here"
	}
	return vault.Caller{Issuer: id.Issuer, Subject: id.Subject}, ""
}
