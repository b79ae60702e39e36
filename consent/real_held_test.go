package consent_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// TestR13OtherAddress: alice picks bob's account at Google. Nothing of it is
// used until she has said on a page that names both that it is hers; refused, it
// is given back; her other browser cannot say yes.
func TestR13OtherAddress(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	alice := r.person("alice")
	b, second := r.browser("alice"), r.browser("alice")
	b.signIn("/connections")
	second.signIn("/connections")
	link := r.ask(alice)
	held := func() page {
		return b.click(b.allowAtGoogle(link), "user", "bob").
			want(t, http.StatusForbidden, "alice@example.com’s vault", "Is this Google account yours?", "bob@example.com", "No, give it back")
	}
	p := held()
	if _, err := r.exchange(alice); err == nil {
		t.Fatal("a token of what is held")
	}
	b.post(link, p, "answer", "refuse").want(t, http.StatusOK, "Given back")
	if r.live("bob") {
		t.Error("the access was not given back")
	}
	p = held()
	second.post(link, second.get(link).want(t, http.StatusOK, "bob@example.com"), "answer", "confirm").want(t, http.StatusForbidden, "in the other browser")
	b.post(link, p, "answer", "confirm").want(t, http.StatusOK, "Google is connected", "bob@example.com", "alice@example.com’s vault")
	if token, err := r.exchange(alice); err != nil || token.Account != "bob@example.com" {
		t.Errorf("exchange: %v %v", token, err)
	}
	b.get("/connections").want(t, http.StatusOK, "bob@example.com", "Claude Code")
}

// TestR79OneVisit: connection, access and the yes to a write on one page; then
// exactly the call that was shown may run, and no other.
func TestR79OneVisit(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	alice := r.person("alice")
	b := r.browser("alice")
	b.signIn("/connections")
	q := vault.Request{
		Caller: alice.Caller, Agent: claude(), Tool: "calendar_create_event", Call: "call",
		Needs: []provider.Need{{Provider: "google", Groups: [][]string{{editEvents}}}},
	}
	lunch := vault.Write{
		Tool: q.Tool, Title: "Create a calendar event", Arguments: json.RawMessage(`{"title":"Lunch \u202ewith Bob"}`), Digest: []byte(strings.Repeat("1", 32)),
	}
	open, _, err := r.keep.OpenTicket(t.Context(), vault.TicketRequest{
		Owner: alice, Agent: q.Agent, Tool: q.Tool, Write: &lunch, Call: q,
		Need: &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{
			{Connection: "google", Scopes: []string{editEvents}, Missing: []string{editEvents}, VendorNeeded: true},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	link := "/consent/" + r.keep.Handle(open)
	p := b.get(link).want(t, http.StatusOK, "Claude Code wants to create a calendar event", "Lunch ⟦U+202E⟧ with Bob", "For this it also needs your word on an account")
	p = b.post(link, p, "approve", "once", "for", "1h0m0s").want(t, http.StatusOK)
	at := b.get(p.refresh(t).String()).want(t, http.StatusOK, "wants to use your Google account")
	b.click(at, "user", "alice").want(t, http.StatusOK, "Google is connected", "exactly the call that you saw")

	if id, err := r.keep.Approved(t.Context(), q, lunch); err != nil || id != open.Approval {
		t.Errorf("the call that was shown: %q %v", id, err)
	}
	other := lunch
	other.Digest = []byte(strings.Repeat("2", 32))
	if id, err := r.keep.Approved(t.Context(), q, other); err != nil || id != "" {
		t.Errorf("a call with other arguments: %q %v", id, err)
	}
	access, err := r.keep.AccessList(t.Context(), alice.Caller)
	if err != nil || len(access) != 1 || time.Until(access[0].Expires) > time.Hour {
		t.Errorf("access: %+v %v", access, err)
	}
	b.get(link).want(t, http.StatusGone)
}
