package app_test

import (
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/storetest/port"
)

// DESIGN 7: processes of one vault share the port, however each spells its address.
func TestOnePortHoweverSpelled(t *testing.T) {
	t.Parallel()
	dir, held := t.TempDir(), port.Get(t)
	var links []string
	for _, host := range []string{"localhost", "127.0.0.1", "localhost"} {
		l := local(t, start(t, dir, net.JoinHostPort(host, held.Port)))
		links = append(links, link(t, l, "salesforce"))
	}
	for _, got := range links {
		if got != links[0] || !strings.HasPrefix(got, "http://"+held.Addr()+"/consent/") {
			t.Errorf("links differ: %q", links)
		}
	}
}

// DESIGN 7: while `serve --sandbox` holds the port, the local person still consents, at the vendors that it runs.
func TestLocalPersonBesideServe(t *testing.T) {
	t.Parallel()
	dir, held := t.TempDir(), port.Get(t)
	serve(t, start(t, dir, held.Addr()))
	l := local(t, start(t, dir, held.Addr()))
	at := link(t, l, "salesforce")
	if strings.Contains(at, ":"+held.Port+"/") {
		t.Fatalf("%s is where people sign in", at)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, client: &http.Client{Jar: jar}}
	b.get(at)
	vendor := b.post("answer", "allow")
	b.get(vendor)
	if page := b.post("user", "alice"); !strings.Contains(b.body, "Salesforce is connected") {
		t.Errorf("after consent at %s: %s", vendor, page)
	}
	accounts, err := l.Vault.Accounts(t.Context(), l.Person.Caller)
	if err != nil || len(accounts) != 1 || accounts[0].State != vault.GrantActive {
		t.Errorf("accounts: %+v, %v", accounts, err)
	}
}
