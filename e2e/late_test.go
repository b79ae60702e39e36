package e2e_test

import (
	"crypto/rand"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

// beside opens this home's vault beside the programs that use it, by its own clock.
func (h *home) beside(t *testing.T, now func() time.Time) *vault.Vault {
	t.Helper()
	source, err := seal.OpenSource("file:"+filepath.Join(h.Dir, "config", "grantry", "key"), seal.SourceOptions{Dir: h.data()})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := source.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(h.data(), "vault.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	v, err := vault.Open(t.Context(), vault.Config{
		Store: store, Keys: keys, Instance: "beside-" + rand.Text(), Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// expired is a link that nobody opened for a day: it does nothing, and its
// owner may have the question asked anew (R06).
func (e *overHTTPS) expired(t *testing.T, c *chrome) {
	v := e.home.beside(t, func() time.Time { return time.Now().Add(-25 * time.Hour) })
	ticket, _, err := v.OpenTicket(t.Context(), vault.TicketRequest{
		Owner: vault.Person{Caller: vault.Caller{Issuer: e.issuer.URL, Subject: "bob"}},
		Agent: vault.Agent{Issuer: e.issuer.URL, ID: "sleepy-agent"}, Tool: "calendar_list_events",
		Need: &vault.ConsentError{Reason: vault.NotConnected, Options: []vault.Option{{
			Connection: "google", Scopes: []string{"https://www.googleapis.com/auth/calendar.events.readonly"}, VendorNeeded: true,
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	link := e.Base + "/consent/" + v.Handle(ticket)
	c.signIn(e.Base+"/connections", "bob")
	c.waitFor("What bob")
	c.open(link)
	c.expect(http.StatusGone, "This link has run out")
	c.look("expired")
	c.click("Ask again")
	c.expect(http.StatusOK, "wants to read your Google Calendar")
	if c.url() == link {
		t.Error("the same link is asked again")
	}
}

var pairingCode = regexp.MustCompile(`(?m)^\s+([A-Z]{4}-[A-Z]{4})$`)

// paired connects from a terminal without a browser: the code that it shows is
// typed at /pair, and the account becomes that of whoever types it.
func (e *overHTTPS) paired(t *testing.T, c *chrome) {
	p := e.home.start(t, "connect", "google", "--no-browser")
	var code []string
	eventually(t, patience, "printing the code", func() bool {
		code = pairingCode.FindStringSubmatch(p.output())
		return code != nil
	})
	if !strings.Contains(p.output(), e.Base+"/pair") {
		t.Errorf("connect does not name the page:\n%s", p.output())
	}
	c.signIn(e.Base+"/pair", "alice")
	c.expect(http.StatusOK, "Type the code")
	c.look("pair")
	c.fill("code", "BBBB-BBBB")
	c.click("Next")
	c.waitFor("That code is wrong")
	c.look("pair-wrong")
	do(c, "emptying the field", chromedp.Clear(chromedp.CSS("[name=code]")))
	c.fill("code", strings.ToLower(code[1]))
	c.click("Next")
	c.expect(http.StatusOK, "You typed a code that a terminal on")
	c.look("paired")
	c.press("allow")
	c.click("alice@example.com")
	c.expect(http.StatusOK, "is connected")
	if exit := p.wait(t, patience); exit != 0 {
		t.Errorf("connect ended with %d\n%s", exit, p.output())
	}
}
