package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// token is an access or a refresh token; which one is said by the book it stands in.
type token struct {
	Vendor, Client, Grant, User string
	Bot                         bool // Slack: acts as the app, not as the person
	Scopes, Resources           []string
	Expires                     time.Time // access tokens only
	Spent, Dead                 bool
}

// refusal is why the core said no. Each vendor has its own words for it.
type refusal string

const (
	accepted        refusal = ""
	unknownCode     refusal = "unknown code"
	usedCode        refusal = "used code"
	expiredCode     refusal = "expired code"
	wrongRedirect   refusal = "wrong redirect address"
	missingVerifier refusal = "missing verifier"
	wrongVerifier   refusal = "wrong verifier"
	unknownToken    refusal = "unknown token"
	spentToken      refusal = "spent token"
	deadToken       refusal = "dead token"
	expiredToken    refusal = "expired token"
	noToken         refusal = "no token"
	unknownClient   refusal = "unknown client"
	wrongSecret     refusal = "wrong client secret"
)

func digest(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return hex.EncodeToString(sum[:])
}

// giveAccess makes an access token like t and returns its text, which is kept nowhere.
func (s *Sandbox) giveAccess(st *state, prefix string, ttl time.Duration, t token) string {
	raw := prefix + s.random()
	t.Expires = s.cfg.Now().Add(ttl)
	st.Access[digest(raw)] = &t
	return raw
}

// giveRefresh makes a refresh token like t and marks the grant as one that has had one.
func (s *Sandbox) giveRefresh(st *state, prefix string, t token) string {
	raw := prefix + s.random()
	st.Refresh[digest(raw)] = &t
	if g := st.grant(t.Grant); g != nil {
		g.Offline = true
	}
	return raw
}

// spending is a refresh token presented at a token endpoint.
type spending struct {
	vendor, client, raw string
	rotates             bool // the vendor replaces it: this one is dead from now on
	family              bool // reuse of a spent one kills the grant
}

// spend accepts a refresh token or says why not. An accepted one counts on its grant.
func (st *state) spend(p spending) (*token, refusal) {
	t := st.Refresh[digest(p.raw)]
	if t == nil || t.Vendor != p.vendor || t.Client != p.client {
		return nil, unknownToken
	}
	g := st.grant(t.Grant)
	switch {
	case g == nil || g.Dead || t.Dead:
		return nil, deadToken
	case t.Spent:
		if p.family || st.Strict[p.vendor] {
			g.Dead = true
		}
		return nil, spentToken
	}
	g.Spent++
	t.Spent = p.rotates || st.Strict[p.vendor]
	return t, accepted
}

// access finds the token that a request to a vendor's API carries.
func (s *Sandbox) access(vendor, raw string) (token, refusal) {
	if raw == "" {
		return token{}, noToken
	}
	var found token
	why := unknownToken
	s.view(func(st *state) {
		t := st.Access[digest(raw)]
		if t == nil || t.Vendor != vendor {
			return
		}
		found, why = *t, accepted
		g := st.grant(t.Grant)
		if t.Dead || g == nil || g.Dead {
			why = deadToken
		} else if !t.Expires.After(s.cfg.Now()) {
			why = expiredToken
		}
	})
	return found, why
}

// find looks in both books, for a revocation.
func (st *state) find(vendor, raw string) (t *token, refresh bool) {
	d := digest(raw)
	if t := st.Refresh[d]; t != nil && t.Vendor == vendor {
		return t, true
	}
	if t := st.Access[d]; t != nil && t.Vendor == vendor {
		return t, false
	}
	return nil, false
}

func bearer(r *http.Request) string {
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(raw)
}
