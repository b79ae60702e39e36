package consent_test

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault"
)

// allowAtGoogle presses Allow here and goes on to Google's page.
func (b *browser) allowAtGoogle(link string) page {
	b.w.t.Helper()
	p := b.get(link).want(b.w.t, http.StatusOK)
	p = b.post(link, p, "answer", "allow").want(b.w.t, http.StatusOK)
	return b.get(p.refresh(b.w.t).String()).want(b.w.t, http.StatusOK, "wants to use your Google account")
}

// TestWholeWay: an agent lacks a grant, alice opens the link, signs in at the
// issuer, allows here and at Google, and the same exchange answers a token.
// Before that, bob tries (R01): he is refused, and Google hears nothing of it.
func TestWholeWay(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	alice := r.person("alice")
	link := r.ask(alice)
	if _, err := r.exchange(alice); err == nil {
		t.Fatal("a token without a grant")
	}
	bob := r.browser("bob")
	p := bob.signIn(link).want(t, http.StatusForbidden, "for somebody else").without(t, "alice", "Claude")
	bob.post(link, p, "answer", "allow").want(t, http.StatusForbidden)
	var seen map[string]map[string]int
	if r.truth("/control/requests", &seen); len(seen["google"]) != 0 {
		t.Errorf("Google was asked: %v", seen["google"])
	}

	b := r.browser("alice")
	b.signIn(link).want(t, http.StatusOK, "Claude Code wants to read your Google Calendar")
	at := b.allowAtGoogle(link)
	b.click(at, "user", "alice").want(t, http.StatusOK, "Google is connected", "alice@example.com", "Claude Code continues by itself")
	token, err := r.exchange(alice)
	if err != nil || token.Account != "alice@example.com" {
		t.Fatalf("exchange: %v %v", token, err)
	}
	b.get(link).want(t, http.StatusGone, "already allowed")
	b.get("/connections").want(t, http.StatusOK, "alice@example.com", "See your calendars", "Claude Code", "Connected")
	r.mount(r.cfg) // a restart: sessions are in the vault
	b.once("/connections").want(t, http.StatusOK, "Claude Code")
	r.truth("/control/requests", &seen)
	if seen["google"]["token"] != 1 {
		t.Errorf("Google's token endpoint was asked %d times", seen["google"]["token"])
	}
	if log := r.log.String(); strings.Contains(log, token.Token.Reveal()) {
		t.Errorf("log: %s", log)
	}
}

// TestLink holds R07: a link is 128 random bits and more, and says nothing of
// the person, the agent or what is asked.
func TestLink(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	alice := r.person("alice")
	bob := r.person("bob")
	one, two := r.ask(alice), r.ask(bob)
	form := regexp.MustCompile(`^/consent/[A-Za-z0-9_-]{32}$`) // base64url of 192 bits
	if !form.MatchString(one) || !form.MatchString(two) || one == two {
		t.Errorf("links %s and %s", one, two)
	}
	if again := r.ask(alice); again != one {
		t.Errorf("the open request got another link: %s, then %s", one, again)
	}
}

// TestDisconnectEnds: the button ends the grant here and at Google, and the next exchange needs a person.
func TestDisconnectEnds(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	alice := r.person("alice")
	b := r.browser("alice")
	b.signIn("/connections")
	b.click(b.allowAtGoogle(r.ask(alice)), "user", "alice").want(t, http.StatusOK, "Google is connected")
	p := b.get("/connections")
	accounts, err := r.keep.Accounts(t.Context(), alice.Caller)
	if err != nil || len(accounts) != 1 {
		t.Fatalf("accounts: %v %v", accounts, err)
	}
	access, err := r.keep.AccessList(t.Context(), alice.Caller)
	if err != nil || len(access) != 1 {
		t.Fatalf("access: %v %v", access, err)
	}
	bob := r.browser("bob")
	theirs := bob.signIn("/connections").want(t, http.StatusOK)
	bob.post("/connections/disconnect", theirs, "account", accounts[0].ID).want(t, http.StatusNotFound)
	bob.post("/connections/access/revoke", theirs, "access", access[0].ID).want(t, http.StatusNotFound)

	b.follow(b.post("/connections/access/revoke", p, "access", access[0].ID)).want(t, http.StatusOK, "None yet")
	var lack *vault.ConsentError
	if _, err := r.exchange(alice); !errors.As(err, &lack) || lack.Reason != vault.AgentNotAllowed {
		t.Errorf("after stopping the agent: %v", err)
	}
	b.follow(b.post("/connections/disconnect", p, "account", accounts[0].ID)).want(t, http.StatusOK, "is disconnected", "Google has ended the access")
	if _, err := r.exchange(alice); !errors.As(err, &lack) {
		t.Errorf("after disconnecting: %v", err)
	}
	if live := r.live("alice"); live {
		t.Error("the grant lives on at Google")
	}
}

func (r *real) live(user string) bool {
	r.t.Helper()
	var grants []struct {
		Vendor, User string
		Live         bool
	}
	r.truth("/control/grants", &grants)
	for _, g := range grants {
		if g.Vendor == "google" && g.User == user {
			return g.Live
		}
	}
	return false
}

// TestStolenVendorPage holds R03: bob opens the Google page that alice's Allow
// led to, and finishes it. No code is redeemed, and nothing lands with alice.
func TestStolenVendorPage(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	alice := r.person("alice")
	a, bob := r.browser("alice"), r.browser("bob")
	a.signIn("/connections")
	bob.signIn("/connections")
	at := a.allowAtGoogle(r.ask(alice))
	for _, b := range []*browser{r.browser("bob"), bob} {
		b.click(b.get(at.url), "user", "bob").want(t, http.StatusForbidden, "in their vault").without(t, "alice", "Claude")
	}
	var seen map[string]map[string]int
	if r.truth("/control/requests", &seen); seen["google"]["token"] != 0 {
		t.Error("a code was redeemed")
	}
	if got, err := r.keep.Accounts(t.Context(), alice.Caller); err != nil || len(got) != 0 {
		t.Errorf("alice has %v %v", got, err)
	}
	a.click(at, "user", "alice").want(t, http.StatusOK, "Google is connected")
}

// TestDeclinedAtVendor holds R14: a no at Google ends the ticket, and the person's own way stays open.
func TestDeclinedAtVendor(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	alice := r.person("alice")
	b := r.browser("alice")
	b.signIn("/connections")
	link := r.ask(alice)
	b.click(b.allowAtGoogle(link), "answer", "decline").want(t, http.StatusOK, "You declined at Google")
	b.get(link).want(t, http.StatusGone, "declined")
	p := b.get("/connections")
	own := b.follow(b.post("/connections/connect", p, "connection", "google")).want(t, http.StatusOK, "Connect your Google account")
	b.click(b.allowAtGoogle(strings.TrimPrefix(own.url, r.url)), "user", "alice").want(t, http.StatusOK, "Google is connected", "your word first")
}
