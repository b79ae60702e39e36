package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/vault"
)

const (
	leeway       = time.Minute
	maxVerified  = 10_000 // tokens that are remembered as good
	maxTokenLife = 24 * time.Hour
)

// algorithms are the signatures that an access token may have. HS* and none are
// not among them: the one takes the public key for a secret, the other nothing (RFC 8725 §3.1).
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// VerifierConfig is what a [Verifier] is made of.
type VerifierConfig struct {
	Issuer        string   // exactly as its tokens say
	Audiences     []string // one of them must be in the token: {public_url}/mcp and those of the config
	OIDCClientIDs []string // ours at this issuer: a token of type JWT for one of them is an ID token
	SubjectClaims []string // nil = sub
	AgentClaims   []string // nil = act.sub, client_id, azp, appid, cid
	HTTP          *http.Client
	// LoopbackHTTP allows a plain http issuer on loopback.
	LoopbackHTTP bool
	Now          func() time.Time // nil = time.Now
}

// Verifier proves JWT access tokens of one issuer (RFC 9068, RFC 8725).
type Verifier struct {
	cfg  VerifierConfig
	keys *keySet

	mu       sync.Mutex
	verified map[[sha256.Size]byte]verified
}

// verified is what a good token said.
type verified struct {
	person  vault.Person
	agent   vault.Agent
	expires time.Time
}

// NewVerifier makes a verifier. It fetches nothing until the first token comes.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	if cfg.SubjectClaims == nil {
		cfg.SubjectClaims = []string{"sub"}
	}
	if cfg.AgentClaims == nil {
		cfg.AgentClaims = []string{"act.sub", "client_id", "azp", "appid", "cid"}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.Audiences) == 0 {
		return nil, errors.New("configuring verifier: no audience")
	}
	if slices.Contains(cfg.SubjectClaims, "email") {
		return nil, errors.New("configuring verifier: e-mail addresses do not identify people (identity.subject_claims)") // R04
	}
	keys, err := newKeySet(cfg)
	if err != nil {
		return nil, fmt.Errorf("configuring verifier: %w", err)
	}
	return &Verifier{cfg: cfg, keys: keys, verified: map[[sha256.Size]byte]verified{}}, nil
}

// Verify answers whose token raw is and who acts. A *TokenError says that it is
// not good; any other error, that the issuer's keys could not be had.
func (v *Verifier) Verify(ctx context.Context, raw string) (vault.Person, vault.Agent, error) {
	key := sha256.Sum256([]byte(raw))
	now := v.cfg.Now()
	v.mu.Lock()
	known, ok := v.verified[key]
	v.mu.Unlock()
	if ok && now.Before(known.expires) {
		return known.person, known.agent, nil
	}
	fresh, err := v.verify(ctx, raw)
	if err != nil {
		return vault.Person{}, vault.Agent{}, err
	}
	v.remember(key, fresh)
	return fresh.person, fresh.agent, nil
}

func (v *Verifier) remember(key [sha256.Size]byte, what verified) {
	now := v.cfg.Now()
	if limit := now.Add(maxTokenLife); what.expires.After(limit) {
		what.expires = limit
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.verified) >= maxVerified {
		for k, x := range v.verified {
			if now.After(x.expires) {
				delete(v.verified, k)
			}
		}
	}
	if len(v.verified) >= maxVerified {
		clear(v.verified)
	}
	v.verified[key] = what
}

// verify looks at the whole token: header, signature, claims, in this order.
func (v *Verifier) verify(ctx context.Context, raw string) (verified, error) {
	jws, err := jose.ParseSignedCompact(raw, algorithms())
	if err != nil || len(jws.Signatures) != 1 {
		return verified{}, &TokenError{"form or algorithm"}
	}
	// Only kid and alg are read of the header: jwk, jku and x5c would let a token bring its own key.
	header := jws.Signatures[0].Protected
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	if typ = strings.TrimPrefix(strings.ToLower(typ), "application/"); typ != "at+jwt" && typ != "jwt" {
		return verified{}, &TokenError{"type"}
	}
	payload, err := v.keys.verify(ctx, jws, header)
	if err != nil {
		return verified{}, err
	}
	c, err := readClaims(payload)
	if err != nil {
		return verified{}, &TokenError{"claims"}
	}
	if check := v.check(c, typ); check != "" {
		return verified{}, &TokenError{check}
	}
	return v.identify(c)
}

// claims are those of RFC 7519 §4.1 that are checked, and all by exact name.
type claims struct {
	issuer             string
	audience           audience
	expires, notBefore *numericDate
	all                map[string]json.RawMessage
}

// readClaims reads by exact names: a struct would take "AUD" for aud.
func readClaims(payload []byte) (c claims, err error) {
	if err := json.Unmarshal(payload, &c.all); err != nil {
		return c, err
	}
	read := func(name string, into any) {
		if raw, ok := c.all[name]; ok && err == nil {
			err = json.Unmarshal(raw, into)
		}
	}
	read("iss", &c.issuer)
	read("aud", &c.audience)
	read("exp", &c.expires)
	read("nbf", &c.notBefore)
	return c, err
}

// check is the first check that fails, "" when none does.
func (v *Verifier) check(c claims, typ string) string {
	now := v.cfg.Now()
	ours := slices.ContainsFunc(c.audience, func(a string) bool { return slices.Contains(v.cfg.Audiences, a) })
	client := slices.ContainsFunc(c.audience, func(a string) bool { return slices.Contains(v.cfg.OIDCClientIDs, a) })
	switch {
	case c.issuer != v.cfg.Issuer:
		return "issuer"
	case !ours:
		return "audience"
	case typ == "jwt" && client:
		return "type: an ID token"
	case c.expires == nil || !now.Before(c.expires.Add(leeway)):
		return "expiry"
	case c.notBefore != nil && now.Before(c.notBefore.Add(-leeway)):
		return "not yet valid"
	}
	return ""
}

// identify reads the caller and the agent. Nothing is guessed from other claims.
func (v *Verifier) identify(c claims) (verified, error) {
	all := c.all
	subject, err := vault.SubjectOf(func(name string) string { return claimAt(all, name) }, v.cfg.SubjectClaims)
	if err != nil {
		return verified{}, &TokenError{"subject claim"}
	}
	agent := ""
	for _, name := range v.cfg.AgentClaims {
		if agent = claimAt(all, name); agent != "" {
			break
		}
	}
	if agent == "" {
		return verified{}, &TokenError{"agent claim"}
	}
	return verified{
		person: vault.Person{
			Caller: vault.Caller{Issuer: c.issuer, Subject: subject},
			Email:  claimAt(all, "email"), EmailVerified: string(all["email_verified"]) == "true", Name: claimAt(all, "name"),
		},
		agent:   vault.Agent{Issuer: c.issuer, ID: agent},
		expires: c.expires.Time,
	}, nil
}

// claimAt is a string claim by a path with dots: "act.sub" is sub within act.
func claimAt(all map[string]json.RawMessage, path string) string {
	raw, ok := all[path]
	if !ok {
		head, rest, dotted := strings.Cut(path, ".")
		var inner map[string]json.RawMessage
		if !dotted || json.Unmarshal(all[head], &inner) != nil {
			return ""
		}
		return claimAt(inner, rest)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// audience is a string or a list of them (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

// numericDate is seconds since 1970, maybe with a fraction (RFC 7519 §2).
type numericDate struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (d *numericDate) UnmarshalJSON(raw []byte) error {
	var f float64
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	if f < 0 || f > 1<<40 {
		return errors.New("date out of range")
	}
	d.Time = time.Unix(int64(f), 0)
	return nil
}
