package app_test

import (
	"errors"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest/port"
)

// DESIGN 7: a browser that the system cannot tell is asked for a code of `grantry signin`,
// and then goes on to where it wanted to go.
func TestBrowserThatNobodyCanTell(t *testing.T) {
	t.Parallel()
	a := startWith(t, t.TempDir(), port.Get(t).Addr(), app.Options{Peer: func(*http.Request) error { return consent.ErrPeerUnknown }})
	l := local(t, a)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, client: &http.Client{Jar: jar}}
	b.get(link(t, l, "salesforce"))
	if strings.Contains(b.body, "Salesforce") {
		t.Fatalf("a browser of nobody knows sees the request: %s", b.body)
	}
	if page := b.post("code", "BCDF-GHJK"); strings.Contains(page, "Salesforce") {
		t.Fatalf("a made-up code signs in: %s", page)
	}
	code, err := consent.NewSignInCode(t.Context(), l.Vault, l.Vault.Records(), l.Person)
	if err != nil {
		t.Fatal(err)
	}
	if page := b.post("code", strings.ToLower(code.Code)); !strings.Contains(page, "Salesforce") {
		t.Fatalf("after the code comes %s", page)
	}
	b.get(b.post("answer", "allow"))
	if b.post("user", "alice"); !strings.Contains(b.body, "is connected") {
		t.Errorf("after consent: %s", b.body)
	}
	accounts, err := l.Vault.Accounts(t.Context(), l.Person.Caller)
	if err != nil || len(accounts) != 1 || accounts[0].State != vault.GrantActive {
		t.Errorf("accounts: %+v, %v", accounts, err)
	}
}

// A browser of another user of the machine gets no page, code or not.
func TestBrowserOfAnotherUser(t *testing.T) {
	t.Parallel()
	a := startWith(t, t.TempDir(), port.Get(t).Addr(), app.Options{Peer: func(*http.Request) error { return errors.New("another user") }})
	l := local(t, a)
	resp, err := http.Get(link(t, l, "salesforce"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("another user's browser gets %s", resp.Status)
	}
}
