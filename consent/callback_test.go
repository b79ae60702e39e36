package consent_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault"
)

// TestCallback: the way from the link to "connected", and what the vault got.
func TestCallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.request("alice"))
	b := w.browser("alice")
	moved := b.allow(h)
	p := b.get(callbackOf(t, moved, "iss", "https://vendor.example", "scope", "x")).
		want(t, http.StatusOK, "Google is connected", "me@vendor.example", "alice@example.com’s vault on testbox", "Claude Code continues by itself", "close this tab")
	c := w.vault.callbacks[0]
	if c.Code != "vendor-code" || c.Iss != "https://vendor.example" || c.Person.Caller != w.owner("alice").Caller || c.Session != w.vault.answers[0].Session {
		t.Errorf("the vault got %+v", c)
	}
	if got := strings.Join(p.header.Values("Set-Cookie"), "\n"); !strings.Contains(got, "flow") || !strings.Contains(got, "Max-Age=0") {
		t.Errorf("the flow's cookie stays: %s", got)
	}
	b.get("/consent/"+h).want(t, http.StatusGone, "already allowed")
}

// TestReload holds R23: a callback that runs again redeems nothing and shows the same person the same success.
func TestReload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	to := callbackOf(t, b.allow(w.vault.add(w.request("alice"))))
	b.get(to).want(t, http.StatusOK)
	b.get(to).want(t, http.StatusOK, "done this already", "me@vendor.example")
	bob := w.browser("bob")
	bob.get("/connections")
	bob.get(to).want(t, http.StatusBadRequest, "used already").without(t, "me@vendor.example", "alice")
	if w.vault.redeemed != 1 {
		t.Errorf("%d codes were redeemed", w.vault.redeemed)
	}
}

// TestOtherBrowser holds R03: bob finishes alice's visit to the vendor, signed
// in or not, and so does alice's own second browser: the code is not redeemed.
func TestOtherBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := callbackOf(t, w.browser("alice").allow(w.vault.add(w.request("alice"))))
	w.browser("bob").get(to).want(t, http.StatusForbidden, "Open the link again in this browser").without(t, "alice", "Claude")
	for _, who := range []string{"bob", "alice"} {
		b := w.browser(who)
		b.get("/connections")
		p := b.get(to).want(t, http.StatusForbidden, "Another browser started this").without(t, "Claude")
		if again := strings.Contains(p.body, "Open the link again here") && strings.Contains(p.body, `href="/consent/`); again != (who == "alice") {
			t.Errorf("%s is offered the link: %v", who, again)
		}
	}
	if w.vault.redeemed != 0 {
		t.Error("a code was redeemed")
	}
}

// TestState holds R12 and R20: a state that is missing, altered, used or
// another connection's stops before the vendor is asked.
func TestState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	state := b.allow(w.vault.add(w.request("alice"))).refresh(t).Query().Get("state")
	for _, path := range []string{
		"/callback/google?code=c", "/callback/google?" + encode("code", "c", "state", state+"x"), "/callback/slack?" + encode("code", "c", "state", state),
	} {
		b.get(path).want(t, http.StatusBadRequest, "used already, or is not ours")
	}
	b.get("/callback/unknown?"+encode("code", "c", "state", state)).want(t, http.StatusNotFound)
	if p := b.do(http.MethodPost, "/callback/google?"+encode("code", "c", "state", state), nil); p.status != http.StatusMethodNotAllowed {
		t.Errorf("a posted answer was answered with %d", p.status)
	}
	if p := b.do(http.MethodHead, "/callback/google?"+encode("code", "c", "state", state), nil); p.status != http.StatusNoContent {
		t.Errorf("HEAD answered %d", p.status)
	}
	if w.vault.redeemed != 0 {
		t.Error("a code was redeemed")
	}
	b.get("/callback/google?"+encode("code", "c", "state", state)).want(t, http.StatusOK)
}

// TestFailures holds R12, R13, R14 and R19 and the e-mail rule for the pages:
// every failure has a page of its own that says what to do, and a way back to
// the ticket while there is one.
func TestFailures(t *testing.T) {
	t.Parallel()
	for failure, c := range map[vault.FlowFailure]struct {
		status int
		says   string
		again  bool
	}{
		vault.FlowState:       {http.StatusBadRequest, "used already", true},
		vault.FlowBrowser:     {http.StatusForbidden, "Open the link again here", true},
		vault.FlowIssuer:      {http.StatusForbidden, "did not come from Google", true},
		vault.FlowDenied:      {http.StatusOK, "You declined at Google", true},
		vault.FlowVendor:      {http.StatusBadGateway, "Google reported an error", true},
		vault.FlowUnreachable: {http.StatusBadGateway, "Google did not answer", true},
		vault.FlowRejected:    {http.StatusBadGateway, "did not take its own answer", true},
		vault.FlowOperator:    {http.StatusBadGateway, "client_id", true},
		vault.FlowScopes:      {http.StatusBadRequest, "See your calendars", true},
		vault.FlowNoRefresh:   {http.StatusBadGateway, "for a short time only", true},
		vault.FlowAccount:     {http.StatusConflict, "old@vendor.example", true},
		vault.FlowEmail:       {http.StatusForbidden, "new@vendor.example", true},
		vault.FlowDomain:      {http.StatusForbidden, "certain organisations", true},
		vault.FlowIdentity:    {http.StatusBadGateway, "whose account", true},
		vault.FlowVault:       {http.StatusInternalServerError, "could not store it", true},
	} {
		t.Run(string(failure), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.vault.fail = &vault.FlowError{Failure: failure, Got: "new@vendor.example", Want: "old@vendor.example", Missing: []string{calendarScope}}
			b := w.browser("alice")
			h := w.vault.add(w.request("alice"))
			p := b.get(callbackOf(t, b.allow(h), "error_description", "XYZZY")).want(t, c.status, c.says).without(t, "XYZZY")
			if got := strings.Contains(p.body, `href="/consent/`+h+`"`); got != c.again {
				t.Errorf("a way back is %v, want %v", got, c.again)
			}
			if w.vault.redeemed != 0 {
				t.Error("something was stored")
			}
		})
	}
}

// TestVaultErrors: what Allow answers in place of a way to the vendor.
func TestVaultErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"misconfigured": {&vault.ConsentError{Reason: vault.ConnMisconfigured}, http.StatusServiceUnavailable},
		"unreachable":   {&vault.ConsentError{Reason: vault.ProviderUnreachable}, http.StatusServiceUnavailable},
		"stale":         {vault.ErrStale, http.StatusConflict},
		"gone":          {vault.ErrGone, http.StatusGone},
		"foreign":       {vault.ErrForeign, http.StatusForbidden},
		"other":         {http.ErrServerClosed, http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.vault.allowErr = c.err
			h := w.vault.add(w.request("alice"))
			b := w.browser("alice")
			p := b.post("/consent/"+h, b.get("/consent/"+h), "answer", "allow").want(t, c.status)
			if flowCookie(p) != nil {
				t.Error("the browser got a flow cookie")
			}
		})
	}
}
