package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"time"
)

const codeTTL = 10 * time.Minute

// code is an authorization code and what its redemption will give.
type code struct {
	Vendor, Client, RedirectURI, User, Grant string
	Scopes, BotScopes, Resources             []string
	Challenge, Nonce                         string
	Offline                                  bool // the redemption may carry a refresh token
	AuthTime, Expires                        time.Time
	Used                                     bool
}

// redemption is a code as it arrives at a token endpoint.
type redemption struct{ vendor, client, raw, redirect, verifier string }

// giveCode keeps c until it is redeemed and returns its text.
func (s *Sandbox) giveCode(st *state, prefix string, c code) string {
	st.prune(s.cfg.Now())
	raw := prefix + s.random()
	c.AuthTime = s.cfg.Now()
	c.Expires = c.AuthTime.Add(codeTTL)
	st.Codes[digest(raw)] = &c
	return raw
}

// redeem takes a code once. A try with a wrong verifier or redirect address burns it too.
func (st *state) redeem(p redemption, now time.Time) (*code, refusal) {
	c := st.Codes[digest(p.raw)]
	if c == nil || c.Vendor != p.vendor || c.Client != p.client {
		return nil, unknownCode
	}
	if c.Used {
		return c, usedCode
	}
	c.Used = true
	g := st.grant(c.Grant)
	switch {
	case g == nil || g.Dead || !c.Expires.After(now):
		return c, expiredCode
	case c.RedirectURI != p.redirect:
		return c, wrongRedirect
	case c.Challenge != "" && p.verifier == "":
		return c, missingVerifier
	case c.Challenge != "" && !verifies(p.verifier, c.Challenge):
		return c, wrongVerifier
	}
	return c, accepted
}

// verifies is RFC 7636 section 4.6 for S256.
func verifies(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(want), []byte(challenge)) == 1
}

// holds is what a token made from the code carries.
func (c *code) holds(scopes []string, bot bool) token {
	return token{
		Vendor: c.Vendor, Client: c.Client, Grant: c.Grant, User: c.User,
		Scopes: scopes, Resources: c.Resources, Bot: bot,
	}
}

// merged is the union of both lists in the order of their first appearance.
func merged(a, b []string) []string {
	out := make([]string, 0, len(a)+len(b))
	for _, x := range slices.Concat(a, b) {
		if x != "" && !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
