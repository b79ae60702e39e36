package consent_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
)

// TestClaims: of a sign-in the claims that a rule names come to the vault with the
// person's answer, from the ID token or from userinfo, and no others.
func TestClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.cfg.SignIn.Claims = []string{"department", "groups", "level"} })
	w.issuer.claims = func(c map[string]any) {
		c["groups"], c["roles"], c["level"] = []string{"staff", "admins"}, []string{"owner"}, 7
	}
	w.issuer.userinfo = map[string]any{"sub": "sub-alice", "department": "sales", "hobby": "chess"}
	h := w.vault.add(w.request("alice"))
	w.browser("alice").allow(h)
	got := w.vault.answers[0].Person.Claims
	want := map[string][]string{"department": {"sales"}, "groups": {"staff", "admins"}, "level": {"7"}}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("claims = %v", got)
	}
	w.issuer.userinfo = map[string]any{"sub": "sub-bob", "groups": []string{"staff"}}
	w.browser("alice").get("/connections").want(t, http.StatusForbidden) // of somebody else: nothing is taken
}

// TestAddressOfOneSource: whether an address is verified is the word of who gave the address, and of nobody else.
func TestAddressOfOneSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.cfg.SignIn.Claims = []string{"department"} })
	w.issuer.claims = func(c map[string]any) { delete(c, "email"); c["email_verified"] = true }
	w.issuer.userinfo = map[string]any{"sub": "sub-alice", "email": "alice@corp.example", "department": "sales"}
	h := w.vault.add(w.request("alice"))
	w.browser("alice").allow(h)
	if p := w.vault.answers[0].Person; p.Email != "alice@corp.example" || p.EmailVerified {
		t.Errorf("the person is %+v", p)
	}
	w.issuer.claims = func(c map[string]any) { c["email"], c["email_verified"] = "alice@example.com", false }
	w.issuer.userinfo = map[string]any{"sub": "sub-alice", "email": "other@corp.example", "email_verified": true, "department": "sales"}
	h = w.vault.add(w.request("alice"))
	w.browser("alice").allow(h)
	if p := w.vault.answers[1].Person; p.Email != "alice@example.com" || p.EmailVerified {
		t.Errorf("the person is %+v", p)
	}
}
