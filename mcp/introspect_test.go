package mcp_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault/provider"
)

// asking is a client at the issuer that may introspect.
func asking(c *mcp.VerifierConfig) {
	c.ClientID, c.ClientSecret = "grantry", provider.NewSecret("s%cret")
}

func newOpaque(t *testing.T, tokens map[string]map[string]any) *issuer {
	i := newIssuer(t)
	i.opaque = tokens
	return i
}

func (i *issuer) questions() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.asked)
}

// TestOpaqueTokens: a token that cannot be read is what its issuer says that it is.
func TestOpaqueTokens(t *testing.T) {
	t.Parallel()
	i := newOpaque(t, map[string]map[string]any{
		"good": {}, "forever": {"exp": nil}, "no issuer": {"iss": nil}, "several": {"aud": []string{"other", resource}},
		"sibling": {"aud": publicURL + "/mcp2"}, "for nobody": {"aud": nil}, "another's": {"iss": "https://evil.example.com"},
		"late": {"exp": 1}, "early": {"nbf": int64(1) << 40}, "nobody": {"sub": nil}, "no agent": {"client_id": nil}, "bound": {"cnf": map[string]any{"jkt": "x"}},
		"claimed": {"active": "true"},
	})
	v := i.verifier(asking)
	for _, name := range []string{"good", "forever", "no issuer", "several"} {
		b, err := v.Verify(t.Context(), name)
		if err != nil || b.Person.Subject != "alice" || b.Person.Issuer != i.srv.URL || b.Agent.ID != "agent-1" || !slices.Equal(b.Scopes, []string{"tools:read", "openid"}) {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
	for _, name := range []string{"sibling", "for nobody", "another's", "late", "early", "nobody", "no agent", "bound", "claimed", "unknown"} {
		_, err := v.Verify(t.Context(), name)
		if _, bad := errors.AsType[*mcp.TokenError](err); !bad || strings.Contains(err.Error(), name) && name == "unknown" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOpaqueTokensAreAskedAboutOnce: and again soon, so that one that was revoked
// ends; an issuer that is down opens no door and is no reason to log in again.
func TestOpaqueTokensAreAskedAboutOnce(t *testing.T) {
	t.Parallel()
	i := newOpaque(t, map[string]map[string]any{"good": {}})
	v := i.verifier(asking)
	verify := func() error { _, err := v.Verify(t.Context(), "good"); return err }
	for range 10 {
		if err := verify(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(i.questions()); n != 1 {
		t.Errorf("asked %d times", n)
	}
	i.mu.Lock()
	delete(i.opaque, "good")
	i.mu.Unlock()
	i.advance(30 * time.Second)
	if _, bad := errors.AsType[*mcp.TokenError](verify()); !bad {
		t.Errorf("revoked: %v", verify())
	}
	i.mu.Lock()
	i.down = true
	i.mu.Unlock()
	if _, bad := errors.AsType[*mcp.TokenError](verify()); bad || verify() == nil {
		t.Errorf("issuer down: %v", verify())
	}
}

// TestOpaqueFlood: unknown tokens do not become as many questions.
func TestOpaqueFlood(t *testing.T) {
	t.Parallel()
	i := newOpaque(t, map[string]map[string]any{})
	v := i.verifier(asking)
	for n := range 1000 {
		if _, err := v.Verify(t.Context(), strings.Repeat("x", n+1)); err == nil {
			t.Fatal("a made-up token is good")
		}
	}
	if n := len(i.questions()); n > 250 {
		t.Errorf("asked %d times", n)
	}
}

// TestIssuers: each token goes to its own issuer, and to no other.
func TestIssuers(t *testing.T) {
	t.Parallel()
	one, two := newOpaque(t, map[string]map[string]any{"of-one": {}}), newOpaque(t, map[string]map[string]any{"of-two": {}})
	three := newIssuer(t)
	all := mcp.Issuers{one.verifier(asking), three.verifier(), two.verifier(asking)}
	for name, c := range map[string]struct{ token, issuer string }{
		"JWT of the first":    {one.sign(draft{}), one.srv.URL},
		"JWT of the second":   {three.sign(draft{}), three.srv.URL},
		"opaque of the first": {"of-one", one.srv.URL},
		"opaque of the third": {"of-two", two.srv.URL},
	} {
		if b, err := all.Verify(t.Context(), c.token); err != nil || b.Person.Issuer != c.issuer || b.Agent.Issuer != c.issuer {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
	for name, token := range map[string]string{
		"unknown issuer":  one.sign(draft{claims: map[string]any{"iss": "https://elsewhere.example.com"}}),
		"borrowed issuer": one.sign(draft{claims: map[string]any{"iss": two.srv.URL}}),
		"opaque":          "of-nobody", "no JSON": "ey.ey.ey",
	} {
		if _, bad := errors.AsType[*mcp.TokenError](third(all.Verify(t.Context(), token))); !bad {
			t.Errorf("%s passes, or is no token error", name)
		}
	}
	for _, i := range []*issuer{one, two} {
		for _, token := range i.questions() {
			if strings.HasPrefix(token, "ey") {
				t.Error("a JWT was sent to an issuer")
			}
		}
	}
	if slices.Contains(two.questions(), "of-one") {
		t.Error("a token that the first issuer knows was shown to another")
	}
	two.mu.Lock()
	two.down = true
	two.mu.Unlock()
	if _, bad := errors.AsType[*mcp.TokenError](third(all.Verify(t.Context(), "of-somebody"))); bad {
		t.Error("while an issuer cannot be asked, a token is called bad")
	}
}

func third(_ mcp.Bearer, err error) error { return err }

// TestR60BoundTokens: a token that is bound to a key is of no use as a bearer, and
// the scheme of RFC 9449 is not ours: both are refused cleanly.
func TestR60BoundTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	_, err := i.verifier().Verify(t.Context(), i.sign(draft{claims: map[string]any{"cnf": map[string]any{"jkt": "thumbprint"}}}))
	if bad, ok := errors.AsType[*mcp.TokenError](err); !ok || bad.Check != "bound to a key" {
		t.Errorf("bound: %v", err)
	}
	resp := post(t, newWorld(t).serveHTTP()+"/mcp", discover, "Authorization", "DPoP alice", "DPoP", "proof")
	if resp.StatusCode != 401 || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer ") {
		t.Errorf("DPoP: HTTP %d, %s", resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
	}
}

// BenchmarkVerify measures what a call pays for its token: at first, and from then on.
func BenchmarkVerify(b *testing.B) {
	i := newIssuer(b)
	token := i.sign(draft{})
	for name, fresh := range map[string]bool{"first": true, "known": false} {
		b.Run(name, func(b *testing.B) {
			v := i.verifier()
			for b.Loop() {
				if fresh {
					b.StopTimer()
					token = i.sign(draft{claims: map[string]any{"jti": time.Now().UnixNano()}})
					b.StartTimer()
				}
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
