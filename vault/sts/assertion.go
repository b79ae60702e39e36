package sts

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/vault"
)

const (
	leeway      = 30 * time.Second // between two clocks
	clientLife  = 5 * time.Minute  // of a client's assertion, at most
	workerAge   = time.Minute      // of a worker's assertion, at most
	maxAssertID = 256
	maxContext  = 256

	// WorkerType is the typ of a worker's assertion. Auth0's name for it is taken, too.
	WorkerType      = "grantry-worker+jwt"
	auth0WorkerJWT  = "token-vault-req+jwt"
	kindAssertion   = "sts-assertion" // records of used ids
	issSub          = "iss_sub"       // RFC 9493 §3.2.4
	noSuchAssertion = "the assertion is not valid: "
)

// Algorithms are the signatures that assertions of workloads may have. HS* and none are not among them.
func Algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
}

// assertionClaims are those of RFC 7523 §3, and of a worker's assertion.
type assertionClaims struct {
	Issuer    string
	Subject   string
	SubjectID subjectID
	Audience  audience
	Expires   float64
	NotBefore float64
	Issued    float64
	ID        string
	Context   string
}

// subjectID names a person by issuer and subject (RFC 9493 §3.2.4).
type subjectID struct {
	Format  string `json:"format"`
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
}

type audience []string

// UnmarshalJSON takes one string or several (RFC 7519 §4.1.3).
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

// readAssertion reads by exact names, each once: a struct would take "SUB" for sub, and the last of two.
func readAssertion(payload []byte) (c assertionClaims, err error) {
	into := map[string]any{
		"iss": &c.Issuer, "sub": &c.Subject, "sub_id": &c.SubjectID, "aud": &c.Audience, "exp": &c.Expires,
		"nbf": &c.NotBefore, "iat": &c.Issued, "jti": &c.ID, "audit_context": &c.Context,
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return c, errors.New("reading assertion: not an object")
	}
	for d.More() {
		t, err := d.Token()
		name, _ := t.(string)
		if err != nil {
			return c, errors.New("reading assertion: not JSON")
		}
		target, known := into[name]
		if !known {
			if _, again := into["-"+name]; again {
				return c, errors.New("reading assertion: a claim twice")
			}
			target = new(json.RawMessage)
		}
		if err := d.Decode(target); err != nil {
			return c, errors.New("reading assertion: a claim of the wrong kind")
		}
		delete(into, name)
		into["-"+name] = nil
	}
	_, err = d.Token()
	return c, err
}

// claimsOf reads an assertion without any proof: it only finds whose keys can prove it.
func claimsOf(raw string) (c assertionClaims) {
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return c
	}
	c, err = readAssertion(plain)
	if err != nil {
		return assertionClaims{}
	}
	return c
}

// signed verifies an assertion with the workload's own keys, and answers its claims and typ.
// Only kid and alg are read of the header: jwk, jku and x5c would let it bring its own key.
func (s *Server) signed(ctx context.Context, w *workload, raw string) (c assertionClaims, typ string, err error) {
	jws, err := jose.ParseSignedCompact(raw, Algorithms())
	if err != nil || len(jws.Signatures) != 1 {
		return c, "", notProved(noSuchAssertion + "it must be a compact JWT, signed with RS256, PS256, ES256 or EdDSA")
	}
	header := jws.Signatures[0].Protected
	keys, err := w.Keys.Keys(ctx, header.KeyID)
	if err != nil {
		return c, "", down("the keys of this client cannot be had at the moment", 30*time.Second, err)
	}
	for _, key := range keys {
		if !usableKey(key, header) {
			continue
		}
		if payload, err := jws.Verify(key.Key); err == nil {
			typ, _ = header.ExtraHeaders[jose.HeaderType].(string)
			if c, err = readAssertion(payload); err != nil {
				return c, "", notProved(noSuchAssertion + "its claims cannot be read")
			}
			return c, strings.TrimPrefix(strings.ToLower(typ), "application/"), nil
		}
	}
	return c, "", notProved(noSuchAssertion + "no key of this client made its signature")
}

// usableKey says whether a key may have made a signature of that header: public, for signing, of that id and algorithm.
func usableKey(key jose.JSONWebKey, header jose.Header) bool {
	return key.Valid() && key.IsPublic() && key.Use != "enc" && (header.KeyID == "" || key.KeyID == header.KeyID) &&
		(key.Algorithm == "" || key.Algorithm == header.Algorithm)
}

// checkClientAssertion is private_key_jwt (RFC 7523 §3): who, for whom, how long, and once.
func (s *Server) checkClientAssertion(ctx context.Context, w *workload, sent credentials) error {
	c, typ, err := s.signed(ctx, w, sent.assertion)
	if err != nil {
		return err
	}
	now := s.cfg.Now()
	bad := ""
	switch {
	case typ == WorkerType || typ == auth0WorkerJWT:
		bad = "it is a worker's, which names a person and proves no client"
	case c.Issuer != w.name || c.Subject != w.name:
		bad = "iss and sub must be the client id"
	case !s.forUs(c.Audience, sent.base):
		bad = "aud must be the token endpoint or the issuer"
	case c.Expires == 0 || !now.Before(at(c.Expires).Add(leeway)):
		bad = "it has no exp, or is over"
	case at(c.Expires).After(now.Add(clientLife + leeway)):
		bad = "it lives longer than five minutes"
	case c.NotBefore != 0 && now.Before(at(c.NotBefore).Add(-leeway)), c.Issued != 0 && now.Before(at(c.Issued).Add(-leeway)):
		bad = "it is not valid yet"
	case c.ID == "" || len(c.ID) > maxAssertID:
		bad = "it needs a jti of at most 256 characters"
	}
	if bad != "" {
		return notProved(noSuchAssertion + bad)
	}
	if err := s.once(ctx, "client", w, c.ID, at(c.Expires).Add(leeway).Sub(now)); err != nil {
		return replayedOr(err, notProved(noSuchAssertion+"it has been used before"))
	}
	return nil
}

// forUs says whether one of these is this server, or the token endpoint that was asked.
func (s *Server) forUs(to audience, base string) bool {
	return s.toUs(to, base) || slices.ContainsFunc(to, func(a string) bool { return a == base+TokenPath || a == s.cfg.PublicURL+TokenPath })
}

// toUs says whether one of these is this server, by the address of the request or by its own, with or without a slash at its end.
func (s *Server) toUs(to audience, base string) bool {
	return slices.ContainsFunc(to, func(a string) bool {
		a = strings.TrimSuffix(a, "/")
		return a == base || a == s.cfg.PublicURL
	})
}

// worker is a worker's assertion as a subject token: a signed request of the
// workload itself, for one person who is not there.
func (s *Server) worker(ctx context.Context, w *workload, r request) (subject, error) {
	if w.Keys == nil {
		return subject{}, subjectRefused("only a client with keys (jwks) can sign an assertion")
	}
	c, typ, err := s.signed(ctx, w, r.subject)
	if err != nil {
		if bad := refusalOf(err); bad.status == http.StatusUnauthorized {
			return subject{}, subjectRefused(bad.text)
		}
		return subject{}, err
	}
	if bad := s.badWorker(w, c, typ, r.base); bad != "" {
		return subject{}, subjectRefused(noSuchAssertion + bad)
	}
	who, bad := s.named(c)
	if bad != "" {
		return subject{}, subjectRefused(noSuchAssertion + bad)
	}
	if err := s.once(ctx, "worker", w, c.ID, workerAge+2*leeway); err != nil {
		return subject{}, replayedOr(err, subjectRefused(noSuchAssertion+"it has been used before"))
	}
	return subject{person: vault.Person{Caller: who}, context: c.Context, id: c.ID}, nil
}

// badWorker is what is wrong with a worker's assertion, "" when nothing is.
func (s *Server) badWorker(w *workload, c assertionClaims, typ, base string) string {
	now := s.cfg.Now()
	switch {
	case typ != WorkerType && typ != auth0WorkerJWT:
		return "its typ must be " + WorkerType + " or " + auth0WorkerJWT
	case c.Issuer != w.name:
		return "iss must be the client id"
	case !s.toUs(c.Audience, base):
		return "aud must be " + base + "/"
	case c.Issued == 0 || now.After(at(c.Issued).Add(workerAge)):
		return "it has no iat, or is older than a minute"
	case now.Before(at(c.Issued).Add(-leeway)), c.NotBefore != 0 && now.Before(at(c.NotBefore).Add(-leeway)):
		return "it is not valid yet"
	case c.Expires != 0 && !now.Before(at(c.Expires).Add(leeway)):
		return "it is over"
	case c.ID == "" || len(c.ID) > maxAssertID:
		return "it needs a jti of at most 256 characters"
	case c.Context == "" || utf8.RuneCountInString(c.Context) > maxContext || strings.ContainsFunc(c.Context, notInContext):
		return "it needs an audit_context of 1 to 256 characters, on one line"
	}
	return ""
}

func notInContext(c rune) bool { return c < ' ' || c == 0x7f || c == utf8.RuneError }

// named is the person that an assertion is about: by sub_id, or by sub alone where there is one issuer of people.
func (s *Server) named(c assertionClaims) (who vault.Caller, bad string) {
	id := c.SubjectID
	switch {
	case id == (subjectID{}) && c.Subject == "":
		return who, "it names nobody: sub_id with iss and sub, or sub"
	case id == (subjectID{}) && len(s.cfg.Issuers) != 1:
		return who, "there are several issuers of people here, so it needs a sub_id with iss and sub"
	case id == (subjectID{}):
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

var errReplayed = errors.New("assertion was used before")

// once notes that an id was used, in the store: it holds after a restart and on every replica (R63).
func (s *Server) once(ctx context.Context, kind string, w *workload, id string, keep time.Duration) error {
	return s.cfg.Records.Change(ctx, kindAssertion, kind+"\x00"+w.name+"\x00"+id, func(old []byte) ([]byte, time.Duration, error) {
		if old != nil {
			return nil, 0, errReplayed
		}
		return []byte{1}, max(keep, time.Second), nil
	})
}

func replayedOr(err error, refused *refusal) error {
	if errors.Is(err, errReplayed) {
		return refused.as(replayed)
	}
	return down("the vault cannot be written at the moment; try again later", 5*time.Second, err)
}

// at is a NumericDate (RFC 7519 §2), within what a clock can say.
func at(seconds float64) time.Time {
	return time.Unix(int64(max(0, min(seconds, 1<<40))), 0)
}
