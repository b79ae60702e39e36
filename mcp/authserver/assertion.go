package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	// kindAssertion are the ids of used assertions. It is the kind that the token
	// endpoint's other half has too: an assertion of a workload counts once at both.
	kindAssertion = "sts-assertion"

	assertionLife   = 5 * time.Minute // at most
	assertionLeeway = 30 * time.Second
	maxAssertionID  = 256
)

// assertionAlgorithms are the signatures that an assertion may have: none is made with what we know, too.
func assertionAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
}

// KeySource answers the public keys of a client; id is the one that is looked for, "" = any.
type KeySource interface {
	Keys(ctx context.Context, id string) ([]jose.JSONWebKey, error)
}

// assertion is RFC 7523 §3.
type assertion struct {
	Issuer    string           `json:"iss"`
	Subject   string           `json:"sub"`
	Audience  jwt.Audience     `json:"aud"`
	Expires   *jwt.NumericDate `json:"exp"`
	NotBefore *jwt.NumericDate `json:"nbf"`
	Issued    *jwt.NumericDate `json:"iat"`
	ID        string           `json:"jti"`
}

// subjectOf reads who an assertion says that it is of. It proves nothing: it only finds whose keys can.
func subjectOf(raw string) string {
	jws, err := jose.ParseSignedCompact(raw, assertionAlgorithms())
	if err != nil {
		return ""
	}
	var a assertion
	if json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &a) != nil {
		return ""
	}
	return a.Subject
}

// checkAssertion is private_key_jwt: signed by a key of the client's, for us, for a short time, and once.
func (s *Server) checkAssertion(ctx context.Context, c *client, cc *op.ClientCredentials) error {
	if cc.ClientAssertion == "" || cc.ClientSecret != "" {
		return refusedClient(ctx, "this client proves itself by a client assertion (private_key_jwt)")
	}
	a, typ, err := signedBy(ctx, c, cc.ClientAssertion)
	if errors.Is(err, errSignature) {
		return refusedClient(ctx, "no key of this client made the assertion's signature")
	}
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "the keys of a client cannot be had", "client", c.ID, "error", err)
		return op.NewStatusError(&oidc.Error{ErrorType: "temporarily_unavailable", Description: "the keys of this client cannot be had now"}, http.StatusServiceUnavailable)
	}
	now := s.cfg.Now()
	if bad := s.badAssertion(a, typ, c.ID, now); bad != "" {
		return refusedClient(ctx, "the client assertion is not valid: "+bad)
	}
	err = s.cfg.Records.Change(ctx, kindAssertion, "client\x00"+c.ID+"\x00"+a.ID, func(old []byte) ([]byte, time.Duration, error) {
		if old != nil {
			return nil, 0, errReplay
		}
		return []byte{1}, a.Expires.Time().Add(2 * assertionLeeway).Sub(now), nil
	})
	if errors.Is(err, errReplay) {
		return refusedClient(ctx, "the client assertion was used before")
	}
	if err != nil {
		return s.broken(ctx, err)
	}
	return nil
}

var errSignature = errors.New("signature of no key of the client")

// signedBy answers what an assertion says and its type, if one of the client's keys
// signed it. Only kid and alg are read of the header: jwk, jku and x5c would let it bring its own key.
func signedBy(ctx context.Context, c *client, raw string) (a assertion, typ string, err error) {
	jws, err := jose.ParseSignedCompact(raw, assertionAlgorithms())
	if err != nil || len(jws.Signatures) != 1 {
		return a, "", errSignature
	}
	header := jws.Signatures[0].Protected
	keys, err := c.keys.Keys(ctx, header.KeyID)
	if err != nil {
		return a, "", err
	}
	for _, key := range keys {
		if !usable(key) || header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		payload, err := jws.Verify(key.Key)
		if err != nil {
			continue
		}
		if json.Unmarshal(payload, &a) != nil {
			return assertion{}, "", errSignature
		}
		typ, _ = header.ExtraHeaders[jose.HeaderType].(string)
		return a, strings.TrimPrefix(strings.ToLower(typ), "application/"), nil
	}
	return a, "", errSignature
}

// usable says whether a key is one that signatures are checked with.
func usable(key jose.JSONWebKey) bool { return key.Valid() && key.IsPublic() && key.Use != "enc" }

// badAssertion is what is wrong with an assertion that the client signed, "" when nothing is.
func (s *Server) badAssertion(a assertion, typ, id string, now time.Time) string {
	base := s.cfg.PublicURL
	ours := func(aud string) bool { return aud == base || aud == base+"/" || aud == base+tokenPath }
	switch {
	case typ != "" && typ != "jwt" && typ != "client-authentication+jwt":
		return "its typ is that of another kind of token"
	case a.Issuer != id || a.Subject != id:
		return "iss and sub must be the client id"
	case len(a.Audience) == 0 || slices.ContainsFunc(a.Audience, func(aud string) bool { return !ours(aud) }):
		return "aud must be this server"
	case a.Expires == nil || !now.Before(a.Expires.Time().Add(assertionLeeway)):
		return "it has no exp, or is over"
	case a.Expires.Time().After(now.Add(assertionLife + assertionLeeway)):
		return "it lives longer than five minutes"
	case after(a.NotBefore, now), after(a.Issued, now):
		return "it is not valid yet"
	case a.ID == "" || len(a.ID) > maxAssertionID:
		return "it needs a jti of at most 256 characters"
	}
	return ""
}

func after(d *jwt.NumericDate, now time.Time) bool {
	return d != nil && d.Time().After(now.Add(assertionLeeway))
}
