package consent_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/consent"
)

// audited are the entries as "kind reason subject", in their order. None shows what came with a request.
func (w *world) audited(t *testing.T) (out []string) {
	t.Helper()
	w.vault.mu.Lock()
	defer w.vault.mu.Unlock()
	for _, e := range w.vault.entries {
		out = append(out, strings.TrimSpace(strings.Join(strings.Fields(e.Kind+" "+e.Reason+" "+e.Caller.Subject), " ")))
		if raw, err := json.Marshal(e); err != nil || strings.Contains(string(raw), "canary") || strings.Contains(string(raw), "@") {
			t.Errorf("entry %s, %v", raw, err)
		}
	}
	return out
}

func wantAudited(t *testing.T, w *world, want ...string) {
	t.Helper()
	if got := w.audited(t); !slices.Equal(got, want) {
		t.Errorf("audited %q, want %q", got, want)
	}
}

// Who signs in and out, and what of it was refused, is in the audit.
func TestSignInsAreAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.owner("alice").Subject
	b := w.browser("alice")
	b.get("/connections").want(t, http.StatusOK)
	b.post("/signout", b.get("/signout")).want(t, http.StatusOK, "signed out")
	b.once("/signin/callback?state=canary-state&code=canary-code").want(t, http.StatusBadRequest)
	bob := w.browser("bob")
	to := bob.once(bob.once("/signin").header.Get("Location")).header.Get("Location")
	w.browser("mallory").get(to).want(t, http.StatusForbidden, "another browser")
	wantAudited(t, w, "person.signed_in "+alice, "person.signed_out "+alice, "signin.refused state", "signin.refused browser")
}

// A sign-in that cannot be written down is none.
func TestNoSignInWithoutItsEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.auditErr = errors.New("disk full")
	b := w.browser("alice")
	b.get("/connections").want(t, http.StatusInternalServerError).without(t, "alice")
	w.vault.mu.Lock()
	w.vault.auditErr = nil
	w.vault.mu.Unlock()
	if b.once("/connections").want(t, http.StatusSeeOther).header.Get("Location") == "" {
		t.Error("somebody is signed in")
	}
}

// Callbacks of nobody's, unknown and repeated ones are in the audit, and sessions that are none.
func TestRefusedCallbacksAreAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.owner("alice").Subject
	b := w.browser("alice")
	h := w.vault.add(w.request("alice"))
	to := callbackOf(t, b.allow(h))
	w.browser("alice").once(to).want(t, http.StatusForbidden)
	b.get(to).want(t, http.StatusOK)
	b.get(to).want(t, http.StatusOK, "done this already")
	b.get("/callback/google?state=canary-state&code=canary-code").want(t, http.StatusBadRequest)
	w.clock.advance(2 * time.Hour)
	b.once("/connections").want(t, http.StatusSeeOther)
	wantAudited(t, w, "person.signed_in "+alice, "callback.refused no_session", "callback.refused replayed "+alice,
		"callback.refused state "+alice, "session.refused expired")
}

// Forms of other sites, of pages that are over, and a second answer to a ticket are in the audit.
func TestRefusedFormsAreAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.owner("alice").Subject
	b := w.browser("alice")
	h := w.vault.add(w.request("alice"))
	p := b.get("/consent/" + h)
	b.post("/consent/"+h, p, "answer", "decline", "csrf", "canary").want(t, http.StatusForbidden)
	b.post("/consent/"+h, p, "answer", "decline").want(t, http.StatusOK, "Declined")
	b.post("/consent/"+h, p, "answer", "allow").want(t, http.StatusGone)
	wantAudited(t, w, "person.signed_in "+alice, "request.refused stale_form "+alice, "ticket.replayed declined "+alice)
}

// A browser of another user of this machine is in the audit.
func TestRefusedPeersAreAudited(t *testing.T) {
	t.Parallel()
	var refuse error
	w := newWorld(t, local, func(w *world) { w.cfg.Peer = func(*http.Request) error { return refuse } })
	for _, err := range []error{consent.ErrPeerOther, consent.ErrPeerUnknown, nil} {
		refuse = err
		w.browser("anybody").get("/connections")
	}
	wantAudited(t, w, "request.refused peer")
}
