package authserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp/authserver"
)

// TestR48PKCEIsRequired: no challenge, plain, or a wrong or missing verifier give nothing.
func TestR48PKCEIsRequired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	for what, change := range map[string][]string{
		"no challenge":     {"code_challenge", ""},
		"no method":        {"code_challenge_method", ""},
		"plain":            {"code_challenge_method", "plain"},
		"another method":   {"code_challenge_method", "S512"},
		"a short one":      {"code_challenge", "abc"},
		"one of other use": {"code_challenge", s256(verifier)[:42] + "="},
	} {
		p := b.open(w.asking("desk", localRedirect, change...))
		if p.status != http.StatusSeeOther || p.location.Query().Get("error") != "invalid_request" {
			t.Errorf("%s: %d %v", what, p.status, p.location)
		}
	}
	code := w.code("desk", localRedirect)
	for _, v := range []string{"", s256(verifier), verifier + "x"} {
		if a := w.redeem(code, "desk", localRedirect, "code_verifier", v); a.Status != http.StatusBadRequest || a.Error != "invalid_grant" {
			t.Errorf("verifier %q: %d %s", v, a.Status, a.raw)
		}
	}
	if a := w.redeem(code, "desk", localRedirect); a.Status != http.StatusOK {
		t.Errorf("the right verifier after wrong ones: %d %s", a.Status, a.raw)
	}
}

// TestR49CodeCountsOnce: a replay by who holds the verifier ends what the code gave,
// one without changes nothing; after 60 seconds a code is worth nothing.
func TestR49CodeCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code("desk", localRedirect)
	a := w.redeem(code, "desk", localRedirect)
	if !w.good(a.Access) {
		t.Fatalf("the code gave %s", a.raw)
	}
	for what, change := range map[string][]string{
		"another verifier": {"code_verifier", verifier + "x"}, "another client": {"client_id", w.register(localRedirect)},
		"another redirect": {"redirect_uri", "http://127.0.0.1:1/oauth/callback"}, "another resource": {"resource", "https://other.example/mcp"},
	} {
		if r := w.redeem(code, "desk", localRedirect, change...); r.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", what, r.Status, r.raw)
		}
	}
	if !w.good(a.Access) {
		t.Error("replays with wrong parameters ended the tokens")
	}
	w.clock.add(5 * time.Minute) // a replay is known as one also when the code is over
	if r := w.redeem(code, "desk", localRedirect); r.Error != "invalid_grant" {
		t.Errorf("the replay: %d %s", r.Status, r.raw)
	}
	if w.good(a.Access) {
		t.Error("the access token outlived the replay of its code")
	}
	if r := w.refresh(a.Refresh, "desk"); r.Error != "invalid_grant" {
		t.Errorf("the refresh token outlived the replay of its code: %d %s", r.Status, r.raw)
	}
	late := w.code("desk", localRedirect)
	w.clock.add(61 * time.Second)
	if r := w.redeem(late, "desk", localRedirect); r.Error != "invalid_grant" {
		t.Errorf("after 61 seconds: %d %s", r.Status, r.raw)
	}
}

// TestR49CodeAtOnce: of many who redeem a code at the same time at most one has
// tokens, and they are dead: somebody else had the code, too.
func TestR49CodeAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code("desk", localRedirect)
	answers := make([]answer, 8)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = w.redeem(code, "desk", localRedirect) })
	}
	all.Wait()
	w.clock.add(2 * time.Second) // a look at whether the tokens live is remembered for a second
	given := 0
	for _, a := range answers {
		if a.Status == http.StatusOK {
			if given++; w.good(a.Access) || w.refresh(a.Refresh, "desk").Status == http.StatusOK {
				t.Error("tokens of a code that many had are good")
			}
		}
	}
	if given > 1 {
		t.Errorf("%d of 8 had tokens", given)
	}
}

// TestR51OneSuccessor: fifty refreshes at once have one successor, the same answer
// for all; the predecessor gives it for ten seconds more; an older token ends everything.
func TestR51OneSuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.start("second")
	first := w.redeem(w.code("desk", localRedirect), "desk", localRedirect)
	answers := make([]answer, 50)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			at := w
			if i%2 == 1 {
				at = other // another replica
			}
			answers[i] = at.refresh(first.Refresh, "desk")
		})
	}
	all.Wait()
	second := answers[0]
	for i, a := range answers {
		if a.Status != http.StatusOK || a.raw != second.raw {
			t.Fatalf("answer %d is %d %s, the first one was %s", i, a.Status, a.raw, second.raw)
		}
	}
	w.clock.add(9 * time.Second)
	if a := w.refresh(first.Refresh, "desk"); a.raw != second.raw {
		t.Errorf("after 9 seconds the predecessor gives %d %s, want the same as before", a.Status, a.raw)
	}
	third := w.refresh(second.Refresh, "desk")
	if third.Status != http.StatusOK || third.Refresh == second.Refresh {
		t.Fatalf("the successor gives %d %s", third.Status, third.raw)
	}
	if a := w.refresh(first.Refresh, "desk"); a.Error != "invalid_grant" {
		t.Errorf("the token before the predecessor: %d %s", a.Status, a.raw)
	}
	if a := w.refresh(third.Refresh, "desk"); a.Error != "invalid_grant" || w.good(third.Access) {
		t.Errorf("after an old token was used, the newest gives %d %s", a.Status, a.raw)
	}
	w.clock.add(2 * time.Second)
	if other.good(third.Access) {
		t.Error("another replica takes the token two seconds later")
	}
}

// TestR51WindowCloses: after ten seconds the predecessor is a stolen token.
func TestR51WindowCloses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.redeem(w.code("desk", localRedirect), "desk", localRedirect)
	second := w.refresh(first.Refresh, "desk")
	w.clock.add(11 * time.Second)
	if a := w.refresh(first.Refresh, "desk"); a.Error != "invalid_grant" {
		t.Errorf("the predecessor after 11 seconds: %d %s", a.Status, a.raw)
	}
	if a := w.refresh(second.Refresh, "desk"); a.Error != "invalid_grant" {
		t.Errorf("the family after that: %d %s", a.Status, a.raw)
	}
}

// TestRefreshOfOthers: a token of another client, a made-up one and too much scope change nothing.
func TestRefreshOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.redeem(w.code("desk", localRedirect, "scope", "tools:write"), "desk", localRedirect)
	if r := w.refresh(a.Refresh, w.register(localRedirect)); r.Error != "invalid_grant" {
		t.Errorf("another client: %d %s", r.Status, r.raw)
	}
	forged := a.Refresh[:len(a.Refresh)-1] + "A"
	if strings.HasSuffix(a.Refresh, "A") {
		forged = a.Refresh[:len(a.Refresh)-1] + "B"
	}
	for _, bad := range []string{forged, "", "x", a.Refresh + "A", a.Access} {
		if r := w.refresh(bad, "desk"); r.Status != http.StatusBadRequest {
			t.Errorf("refreshing with %.10q…: %d %s", bad, r.Status, r.raw)
		}
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.Refresh}, "client_id": {"desk"}, "scope": {"tools:write connections:manage"}}
	if r := w.post("/oauth/token", form); r.Error != "invalid_scope" {
		t.Errorf("more scope than was allowed: %d %s", r.Status, r.raw)
	}
	form.Set("scope", "tools:read") // writing includes reading
	if r := w.post("/oauth/token", form); r.Status != http.StatusOK || r.Scope != "tools:read" {
		t.Errorf("less scope: %d %s", r.Status, r.raw)
	}
}

// TestR61Revocation: an unknown or foreign token is 200 and nothing happens; an own one, of either kind, ends the family.
func TestR61Revocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revoke := func(token, client string) answer {
		return w.post("/oauth/revoke", url.Values{"token": {token}, "client_id": {client}})
	}
	stranger := w.register(localRedirect)
	for _, kind := range []string{"refresh", "access"} {
		a := w.redeem(w.code("desk", localRedirect), "desk", localRedirect)
		token := map[string]string{"refresh": a.Refresh, "access": a.Access}[kind]
		for what, r := range map[string]answer{"unknown": revoke("nonsense", "desk"), "foreign": revoke(token, stranger)} {
			if r.Status != http.StatusOK || !w.good(a.Access) {
				t.Errorf("%s %s token: %d, good afterwards: %t", what, kind, r.Status, w.good(a.Access))
			}
		}
		if r := revoke(token, "desk"); r.Status != http.StatusOK || w.good(a.Access) {
			t.Errorf("own %s token: %d, good afterwards: %t", kind, r.Status, w.good(a.Access))
		}
		if r := w.refresh(a.Refresh, "desk"); r.Error != "invalid_grant" {
			t.Errorf("refreshing after the revocation of the %s token: %d", kind, r.Status)
		}
	}
	if r := revoke("nonsense", confidentialClient); r.Status != http.StatusUnauthorized {
		t.Errorf("a confidential client without its secret: %d %s", r.Status, r.raw)
	}
}

// TestR63UsedStaysUsed: codes and refresh tokens are used up for a server that
// was started anew and for another replica, which go on with what the first began.
func TestR63UsedStaysUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code("desk", localRedirect)
	again := w.start("again")
	a := again.redeem(code, "desk", localRedirect)
	if a.Status != http.StatusOK || !w.good(a.Access) {
		t.Fatalf("a code of before the restart: %d %s", a.Status, a.raw)
	}
	if r := w.redeem(code, "desk", localRedirect); r.Error != "invalid_grant" {
		t.Errorf("the code on the other replica: %d %s", r.Status, r.raw)
	}
	w.clock.add(2 * time.Second)
	if again.good(a.Access) || again.refresh(a.Refresh, "desk").Status == http.StatusOK {
		t.Error("the replay on one replica left the tokens good on the other")
	}
	b := w.browser("alice")
	p := b.open(w.asking("desk", localRedirect))
	then := strings.TrimPrefix(w.allow(p.location, "alice"), w.base)
	third := w.start("third")
	if p := b.open(third.base + then); p.status != http.StatusSeeOther || p.location.Query().Get("code") == "" {
		t.Errorf("a request of before the restart: %d %s", p.status, p.body)
	}
}

// TestKeysRotate: after 30 days another key signs, the old one is published until its
// tokens are over, and replicas have the same keys.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.start("second")
	kids := func(w *world) (out []string) {
		for _, k := range w.json("/oauth/jwks")["keys"].([]any) {
			key := k.(map[string]any)
			if key["d"] != nil || key["alg"] != "ES256" {
				t.Errorf("published is %v", key)
			}
			out = append(out, key["kid"].(string))
		}
		return out
	}
	first := kids(w)
	if len(first) != 1 || strings.Join(kids(other), " ") != first[0] {
		t.Fatalf("one replica publishes %v, the other %v", first, kids(other))
	}
	w.clock.add(30*24*time.Hour - time.Second)
	old := w.redeem(w.code("desk", localRedirect), "desk", localRedirect)
	w.clock.add(2 * time.Second)
	fresh := other.refresh(old.Refresh, "desk")
	if !w.good(old.Access) || !other.good(old.Access) || !w.good(fresh.Access) || !other.good(fresh.Access) {
		t.Error("a token of the old or of the new key is refused on one of the replicas")
	}
	if got := kids(w); len(got) != 2 || got[0] != first[0] {
		t.Errorf("after the change %v is published, want the old key and a new one", got)
	}
	w.clock.add(20 * time.Minute)
	if got := kids(w); len(got) != 1 || got[0] == first[0] {
		t.Errorf("20 minutes later %v is published, want the new key alone", got)
	}
}

// TestR59R60Refused: what this server does not do is refused in OAuth's words.
func TestR59R60Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authserver.Config) { c.Registration = false })
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {"eyJ0eXAiOiJvYXV0aC1pZC1qYWcrand0In0.e30.x"}, "client_id": {"desk"}}
	for _, grant := range []string{form.Get("grant_type"), "client_credentials", "password", "urn:ietf:params:oauth:grant-type:device_code"} {
		form.Set("grant_type", grant)
		if r := w.post("/oauth/token", form, confidentialClient, confidentialSecret); r.Status != http.StatusBadRequest || r.Access != "" {
			t.Errorf("%s: %d %s", grant, r.Status, r.raw)
		}
	}
	m := w.json("/.well-known/oauth-authorization-server")
	for _, name := range []string{"dpop_signing_alg_values_supported", "authorization_grant_profiles_supported", "registration_endpoint"} {
		if _, there := m[name]; there {
			t.Errorf("metadata offers %s", name)
		}
	}
	if status, _ := w.tryRegister(map[string]any{"redirect_uris": []string{localRedirect}}); status != http.StatusNotFound {
		t.Errorf("registering where that is off answers %d", status)
	}
}
