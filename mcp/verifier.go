package mcp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
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
	// ClientID and ClientSecret are ours at the issuer: with a secret, opaque tokens are asked about there (RFC 7662).
	ClientID     string
	ClientSecret provider.Secret
	// Keys answers the issuer's public keys where they need not be fetched: those of the built-in server. id is the one that is looked for.
	Keys func(ctx context.Context, id string) ([]jose.JSONWebKey, error)
	HTTP *http.Client
	// LoopbackHTTP allows a plain http issuer on loopback.
	LoopbackHTTP bool
	Now          func() time.Time // nil = time.Now
}

// Verifier proves access tokens of one issuer: JWTs (RFC 9068, RFC 8725), and
// opaque ones where it has a client at the issuer (RFC 7662).
type Verifier struct {
	cfg    VerifierConfig
	keys   *keySet
	opaque *introspector // nil: the issuer is not asked

	mu       sync.Mutex
	verified map[[sha256.Size]byte]verified
}

// verified is what a good token said, and until when that is taken for true.
type verified struct {
	bearer Bearer
	until  time.Time
}

// Bearer is what a good access token says.
type Bearer struct {
	Person  vault.Person
	Agent   vault.Agent
	Scopes  []string  // as granted
	Expires time.Time // zero = never said
	// ID and Audience are its jti and aud; Client is who it was issued to, "" when it does not say.
	ID, Client string
	Audience   []string
	// Actors are those of its act claims, the current one first (RFC 8693 §4.1). MayAct are those of may_act
	// (§4.4): nil when it has none, and empty when it has one that names nobody.
	Actors, MayAct []Party
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
	return &Verifier{cfg: cfg, keys: keys, opaque: newIntrospector(cfg, keys), verified: map[[sha256.Size]byte]verified{}}, nil
}

// Verify answers whose token raw is and who acts. A *TokenError says that it is
// not good; any other error, that the issuer could not be asked.
func (v *Verifier) Verify(ctx context.Context, raw string) (Bearer, error) {
	key := sha256.Sum256([]byte(raw))
	now := v.cfg.Now()
	v.mu.Lock()
	known, ok := v.verified[key]
	v.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.bearer, nil
	}
	fresh, err := v.verify(ctx, raw)
	if err != nil {
		return Bearer{}, err
	}
	v.remember(key, fresh)
	return fresh.bearer, nil
}

func (v *Verifier) remember(key [sha256.Size]byte, what verified) {
	now := v.cfg.Now()
	if limit := now.Add(maxTokenLife); what.until.After(limit) {
		what.until = limit
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.verified) >= maxVerified {
		for k, x := range v.verified {
			if now.After(x.until) {
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
	if v.opaque != nil && !readable(raw) {
		return v.introspect(ctx, raw)
	}
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
	b, err := v.identify(c)
	return verified{b, b.Expires}, err
}

// introspect asks the issuer. What it answers is checked like a token's claims;
// what it may leave out (RFC 7662 §2.2) counts as said, but for the audience: a token for anything is not one for us.
func (v *Verifier) introspect(ctx context.Context, raw string) (verified, error) {
	now := v.cfg.Now()
	c, err := v.opaque.ask(ctx, raw, now)
	if err != nil {
		return verified{}, err
	}
	if c.issuer == "" {
		c.issuer = v.cfg.Issuer
	}
	until := now.Add(introspectedFor)
	if c.expires == nil {
		c.expires = &numericDate{until}
	}
	if check := v.check(c, "at+jwt"); check != "" {
		return verified{}, &TokenError{check}
	}
	b, err := v.identify(c)
	if _, said := c.all["exp"]; !said {
		b.Expires = time.Time{}
	} else if b.Expires.Before(until) {
		until = b.Expires
	}
	return verified{b, until}, err
}

// readable says whether a token has the form of a JWT.
func readable(raw string) bool { return strings.Count(raw, ".") == 2 && strings.HasPrefix(raw, "ey") }

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
	case c.all["cnf"] != nil: // RFC 9449 §7.1: without its proof it is of no use, and we read no proofs (R60)
		return "bound to a key"
	}
	return ""
}

// identify reads the caller and the agent. Nothing is guessed from other claims.
func (v *Verifier) identify(c claims) (Bearer, error) {
	all := c.all
	subject, err := vault.SubjectOf(func(name string) string { return claimAt(all, name) }, v.cfg.SubjectClaims)
	if err != nil {
		return Bearer{}, &TokenError{"subject claim"}
	}
	agent := ""
	for _, name := range v.cfg.AgentClaims {
		if agent = claimAt(all, name); agent != "" {
			break
		}
	}
	if agent == "" {
		return Bearer{}, &TokenError{"agent claim"}
	}
	return Bearer{
		Person: vault.Person{
			Caller: vault.Caller{Issuer: c.issuer, Subject: subject},
			Email:  claimAt(all, "email"), EmailVerified: string(all["email_verified"]) == "true", Name: claimAt(all, "name"),
		},
		Agent:  vault.Agent{Issuer: c.issuer, ID: agent},
		Scopes: scopesOf(c), Expires: c.expires.Time,
		ID: claimAt(all, "jti"), Client: clientOf(all), Audience: c.audience, Actors: actorsOf(all), MayAct: mayActOf(all),
	}, nil
}
