package consent_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/vault"
)

// TestSignIn holds R02: a fresh state, nonce and S256 challenge, max_age, no
// forced login; and the browser comes back to the ticket without a parameter that says where.
func TestSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.request("alice"))
	b := w.browser("alice")
	p := b.once("/consent/"+h).want(t, http.StatusSeeOther)
	to, err := url.Parse(p.header.Get("Location"))
	if err != nil || to.Path != "/signin" || to.Host != "" || strings.Contains(to.RawQuery, h) {
		t.Fatalf("sent to %s", to)
	}
	b.follow(p).want(t, http.StatusOK, "Claude Code wants")
	first := w.issuer.lastAsked(t)
	w.browser("alice").get("/consent/" + h)
	second := w.issuer.lastAsked(t)
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(first.Get(name)) < 43 || first.Get(name) == second.Get(name) {
			t.Errorf("%s is %q, then %q", name, first.Get(name), second.Get(name))
		}
	}
	if first.Get("code_challenge_method") != "S256" || first.Get("max_age") != "28800" || first.Has("prompt") ||
		first.Get("redirect_uri") != w.url+"/signin/callback" || !strings.Contains(first.Get("scope"), "openid") {
		t.Errorf("asked with %v", first)
	}
}

// TestSessionCookie: the id in the cookie is new after a sign-in (session
// fixation), and the cookie is out of reach of scripts and other sites.
func TestSessionCookie(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withTLS)
	b := w.browser("alice")
	planted := &http.Cookie{Name: "__Host-grantry_session", Value: "planted-by-somebody", Path: "/", Secure: true}
	at, _ := url.Parse(w.url)
	b.http.Jar.SetCookies(at, []*http.Cookie{planted})
	b.get("/connections").want(t, http.StatusOK)
	before := b.http.Jar.Cookies(at)
	w.clock.advance(2 * time.Hour)
	b.get("/connections").want(t, http.StatusOK)
	if a, z := value(before, planted.Name), value(b.http.Jar.Cookies(at), planted.Name); a == planted.Value || a == z || z == "" {
		t.Errorf("session cookie went from %q to %q", a, z)
	}
	for _, c := range before {
		if !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("cookie %s", c.Name)
		}
	}
}

func value(cookies []*http.Cookie, name string) string {
	for _, c := range cookies {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// TestLoginCSRF holds R02: alice's answer of the issuer, opened in bob's
// browser, makes no session there (session planting), and none twice.
func TestLoginCSRF(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.browser("alice"), w.browser("bob")
	p := alice.once(alice.next(alice.once("/connections"))) // /signin answered: on to the issuer
	back := alice.next(alice.once(alice.next(p)))           // the issuer answered: on to our callback
	bob.get(back).want(t, http.StatusForbidden, "another browser")
	bob.once("/connections").want(t, http.StatusSeeOther)
	alice.get(back).want(t, http.StatusBadRequest, "over")
	if w.issuer.tokenRequests() != 0 {
		t.Error("the code was redeemed")
	}
}

// TestSignInRefused holds R02 and R19: none of these answers makes a session.
func TestSignInRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lie    func(i *fakeIssuer)
		status int
		asked  bool // whether the token endpoint may have been asked
	}{
		"iss of another issuer": {func(i *fakeIssuer) { i.answer = func(q url.Values) { q.Set("iss", "https://evil.example") } }, 403, false},
		"iss with a slash":      {func(i *fakeIssuer) { i.answer = func(q url.Values) { q.Set("iss", q.Get("iss")+"/") } }, 403, false},
		"iss missing":           {func(i *fakeIssuer) { i.answer = func(q url.Values) { q.Del("iss") } }, 403, false},
		"iss wrong on an error": {func(i *fakeIssuer) {
			i.answer = func(q url.Values) { q.Set("error", "access_denied"); q.Set("iss", "x") }
		}, 403, false},
		"declined":          {func(i *fakeIssuer) { i.answer = func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") } }, 403, false},
		"state altered":     {func(i *fakeIssuer) { i.answer = func(q url.Values) { q.Set("state", q.Get("state")+"x") } }, 400, false},
		"another nonce":     {claim("nonce", "x"), 403, true},
		"no nonce":          {claim("nonce", nil), 403, true},
		"another audience":  {claim("aud", "somebody"), 403, true},
		"audience of two":   {claim("aud", []string{"grantry", "other"}), 403, true},
		"expired":           {claim("exp", 1000), 403, true},
		"another issuer":    {claim("iss", "https://evil.example"), 403, true},
		"no auth_time":      {claim("auth_time", nil), 403, true},
		"auth_time too old": {claim("auth_time", time.Now().Add(-9*time.Hour).Unix()), 403, true},
		"no subject":        {claim("sub", ""), 403, true},
		"userinfo of another": {func(i *fakeIssuer) {
			i.claims = func(c map[string]any) { delete(c, "email") }
			i.userinfo = map[string]any{"sub": "sub-bob", "email": "alice@example.com", "email_verified": true}
		}, 403, true},
		"endless answer": {func(i *fakeIssuer) { i.huge = true }, 502, true},
		"redirect":       {func(i *fakeIssuer) { i.redirect = i.url + "/token2" }, 502, true},
		"no S256": {func(i *fakeIssuer) {
			i.metadata = func(m map[string]any) { m["code_challenge_methods_supported"] = []string{"plain"} }
		}, 502, false},
		"plain http": {func(i *fakeIssuer) {
			i.metadata = func(m map[string]any) { m["token_endpoint"] = "http://evil.example/token" }
		}, 502, false},
		"other metadata": {func(i *fakeIssuer) { i.metadata = func(m map[string]any) { m["issuer"] = "https://evil.example" } }, 502, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.lie(w.issuer)
			b := w.browser("alice")
			p := b.get("/connections")
			if p.status != c.status || !strings.Contains(p.text(), "gain") {
				t.Errorf("answered %d, want %d with a way on:\n%s", p.status, c.status, p.text())
			}
			if n := w.issuer.tokenRequests(); n > 0 != c.asked || n > 2 {
				t.Errorf("the token endpoint was asked %d times", n)
			}
			w.issuer.lieNoMore()
			b.once("/connections").want(t, http.StatusSeeOther)
			if log := w.log.String(); strings.Contains(log, "issuer-secret") || strings.Contains(log, "code-1") || strings.Contains(log, "issuer-access") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

func claim(name string, value any) func(i *fakeIssuer) {
	return func(i *fakeIssuer) {
		i.claims = func(c map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
}

func (i *fakeIssuer) lieNoMore() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.claims, i.answer = nil, nil
}

// TestUserinfo: an issuer that keeps the e-mail address out of the ID token is asked for it.
func TestUserinfo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issuer.claims = func(c map[string]any) { delete(c, "email"); delete(c, "name") }
	w.issuer.userinfo = map[string]any{"sub": "sub-alice", "email": "alice@corp.example", "email_verified": true, "name": "Alice"}
	w.browser("alice").get("/connections").want(t, http.StatusOK, "alice@corp.example")
}

// TestLimits holds R02's age of a session: it ends an hour after its last use,
// and max_age after the sign-in at the issuer, however much it is used.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start := w.clock.Now()
	w.issuer.claims = func(c map[string]any) { c["auth_time"] = start.Unix() }
	b := w.browser("alice")
	b.get("/connections").want(t, http.StatusOK)
	for w.clock.Now().Sub(start) < 7*time.Hour {
		w.clock.advance(50 * time.Minute)
		b.once("/connections").want(t, http.StatusOK)
	}
	w.clock.advance(start.Add(8*time.Hour + time.Second).Sub(w.clock.Now()))
	b.once("/connections").want(t, http.StatusSeeOther)

	idle := w.browser("bob")
	w.issuer.lieNoMore()
	idle.get("/connections").want(t, http.StatusOK)
	w.clock.advance(61 * time.Minute)
	idle.once("/connections").want(t, http.StatusSeeOther)
}

// TestSubjectClaims holds R03: people are compared by the configured claims.
func TestSubjectClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.cfg.SignIn.SubjectClaims = []string{"tid", "oid"} })
	w.issuer.claims = func(c map[string]any) { c["tid"], c["oid"] = "t1", "o1" }
	req := w.request("alice")
	req.Owner.Subject = "2:t1,2:o1"
	h := w.vault.add(req)
	w.browser("alice").get("/consent/"+h).want(t, http.StatusOK)
	w.issuer.claims = func(c map[string]any) { c["tid"] = "t1" }
	w.browser("alice").get("/consent/"+h).want(t, http.StatusForbidden, "did not say who you are")
}

// TestSignOut: GET asks, POST signs out, and then the pages ask for a sign-in again.
func TestSignOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	b.get("/connections").want(t, http.StatusOK)
	p := b.get("/signout").want(t, http.StatusOK, "Sign out of this vault?")
	b.once("/connections").want(t, http.StatusOK)
	b.post("/signout", p).want(t, http.StatusOK, "You are signed out")
	b.once("/connections").want(t, http.StatusSeeOther)
	b.get("/signout").want(t, http.StatusOK, "You are signed out")
}

// TestNew holds R04 and the rest of what New refuses.
func TestNew(t *testing.T) {
	t.Parallel()
	base := newWorld(t).cfg
	alice := person("local:1", "alice")
	for name, change := range map[string]func(c *consent.Config){
		"email as subject": func(c *consent.Config) { s := *c.SignIn; s.SubjectClaims = []string{"email"}; c.SignIn = &s },
		"http issuer":      func(c *consent.Config) { s := *c.SignIn; s.Issuer = "http://login.example.com"; c.SignIn = &s },
		"loopback not allowed": func(c *consent.Config) {
			s := *c.SignIn
			s.LoopbackHTTP = false
			c.SignIn = &s
		},
		"no client":      func(c *consent.Config) { s := *c.SignIn; s.ClientID = ""; c.SignIn = &s },
		"both":           func(c *consent.Config) { c.Local = &alice },
		"neither":        func(c *consent.Config) { c.SignIn = nil },
		"nobody":         func(c *consent.Config) { c.SignIn, c.Local = nil, &vault.Person{} },
		"path":           func(c *consent.Config) { c.PublicURL += "/" },
		"no vault":       func(c *consent.Config) { c.Vault = nil },
		"no records":     func(c *consent.Config) { c.Records = nil },
		"no connections": func(c *consent.Config) { c.Connection = nil },
	} {
		c := base
		change(&c)
		if _, err := consent.New(c); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
	if _, err := consent.New(base); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
}
