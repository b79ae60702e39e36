package authserver_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

const publisher = "https://publisher.example/mcp/client.json"

func goodDocument() map[string]any {
	return map[string]any{"client_id": publisher, "client_name": "Published", "redirect_uris": []string{webRedirect, "http://127.0.0.1/cb"}}
}

// TestR52GoodDocument: a client whose id is an address is what its document says, the
// ticket names the host of both, and the document is kept as long as its headers say.
func TestR52GoodDocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.docs.put(publisher, goodDocument(), "Cache-Control", "public, max-age=60")
	b := w.browser("alice")
	p := b.open(w.asking(publisher, "http://127.0.0.1:999/cb"))
	if p.status != http.StatusSeeOther {
		t.Fatalf("%d %s", p.status, p.body)
	}
	tk, err := w.v.Ticket(t.Context(), strings.TrimPrefix(p.location.Path, "/consent/"))
	if err != nil {
		t.Fatal(err)
	}
	if c := tk.Client; c.Document != "publisher.example" || c.Redirect != "127.0.0.1" || !c.Local || c.Remember {
		t.Errorf("the ticket says %+v", c)
	}
	if a := tk.Agent; a.Name != "Published" || a.Host != "publisher.example" || a.Verified || a.ID != publisher {
		t.Errorf("the agent is %+v", a)
	}
	b.open(w.asking(publisher, webRedirect))
	if w.docs.asked != 1 {
		t.Errorf("within a minute the document was fetched %d times, want once", w.docs.asked)
	}
	w.clock.add(61 * time.Second)
	b.open(w.asking(publisher, webRedirect))
	if w.docs.asked != 2 {
		t.Errorf("after a minute the document was fetched %d times in all, want twice", w.docs.asked)
	}
	w.docs.put(publisher, goodDocument(), "Cache-Control", "no-store")
	w.clock.add(61 * time.Second)
	for range 2 {
		b.open(w.asking(publisher, webRedirect))
	}
	if w.docs.asked != 4 {
		t.Errorf("a document that may not be kept was fetched %d times in all, want 4", w.docs.asked)
	}
	before := w.docs.asked
	if a := w.redeem(w.code(publisher, webRedirect), publisher, webRedirect); a.Status != http.StatusOK {
		t.Errorf("redeeming: %d %s", a.Status, a.raw)
	}
	w.refresh("x", "https://unknown.example/c.json")
	if w.docs.asked != before+1 {
		t.Error("the token endpoint fetches documents")
	}
}

// TestR52HostileDocument: what is not exactly right is refused, and asked for again the next time.
func TestR52HostileDocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser("alice")
	refused := func(what, id string, fetches int) {
		t.Helper()
		before := w.docs.asked
		for range 2 {
			p := b.open(w.asking(id, webRedirect))
			if p.status != http.StatusBadRequest || p.location != nil || strings.TrimSpace(p.body) != "document" {
				t.Errorf("%s: %d %v %s", what, p.status, p.location, p.body)
			}
		}
		if got := w.docs.asked - before; got != 2*fetches {
			t.Errorf("%s: fetched %d times, want %d", what, got, 2*fetches)
		}
	}
	refused("404", publisher, 1)
	for what, change := range map[string]any{
		"client_id": publisher + "x", "redirect_uris": []string{"javascript:alert(1)"}, "client_name": "",
		"token_endpoint_auth_method": "client_secret_basic", "client_secret": "s", "grant_types": []string{"implicit"}, "application_type": "web",
	} {
		d := goodDocument()
		d[what] = change
		w.docs.put(publisher, d)
		refused(what, publisher, 1)
	}
	d := goodDocument()
	d["logo_uri"] = strings.Repeat("x", 5<<10)
	w.docs.put(publisher, d)
	refused("5.1 KB", publisher, 1)
	w.docs.put(publisher, goodDocument(), "Content-Type", "text/html")
	refused("HTML", publisher, 1)
	w.docs.docs[publisher] = doc{err: errors.New("HTTP 302")}
	refused("a redirect", publisher, 1)
	for _, id := range []string{
		"https://publisher.example", "https://publisher.example/", "https://publisher.example/a/../client.json", "https://u@publisher.example/c", "https://publisher.example/c#x",
		"https://publisher.example//c", "https:///c", "https://PUBLISHER .example/c",
	} {
		refused(id, id, 0)
	}
	w.docs.put(publisher, goodDocument())
	if p := b.open(w.asking(publisher, webRedirect)); p.status != http.StatusSeeOther {
		t.Errorf("once the document is good: %d %s", p.status, p.body)
	}
}

// TestR50OtherBrowser: a request that one browser started gives nothing to another, nor
// to another person; and nothing before it was answered.
func TestR50OtherBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	attacker := w.browser("alice") // signed in as the same person, in another browser
	p := attacker.open(w.asking("desk", localRedirect))
	then := w.allow(p.location, "alice")
	victim := w.browser("alice")
	for _, b := range []*browser{victim, w.browser("bob")} {
		if p := b.open(then); p.status != http.StatusBadRequest || p.location != nil || strings.TrimSpace(p.body) != "browser" {
			t.Errorf("another browser gets %d %v %s", p.status, p.location, p.body)
		}
	}
	first := attacker.open(then)
	if first.location == nil || first.location.Query().Get("code") == "" {
		t.Fatalf("the browser that started gets %d %s", first.status, first.body)
	}
	if again := attacker.open(then); again.location == nil || again.location.String() != first.location.String() {
		t.Errorf("the same browser, coming again, is sent to %v, want the same as before", again.location)
	}
	w.clock.add(2 * time.Minute)
	if p := attacker.open(then); p.location != nil || strings.TrimSpace(p.body) != "over" {
		t.Errorf("two minutes later: %d %v %s", p.status, p.location, p.body)
	}
	p = attacker.open(w.asking("desk", localRedirect))
	tk, err := w.v.Ticket(t.Context(), strings.TrimPrefix(p.location.Path, "/consent/"))
	if err != nil {
		t.Fatal(err)
	}
	if p := attacker.open(w.base + tk.Client.Continue); p.location != nil || strings.TrimSpace(p.body) != "over" {
		t.Errorf("before anybody answered: %d %v", p.status, p.location)
	}
	resp, err := attacker.Head(w.asking("desk", localRedirect))
	if err != nil {
		t.Fatal(err)
	}
	if p := read(t, resp); p.status != http.StatusNoContent || p.location != nil {
		t.Errorf("a look at a request (HEAD) leads to %d %v", p.status, p.location)
	}
	if p := w.browser("").open(w.asking("desk", localRedirect)); p.location == nil || p.location.Path != "/signin" {
		t.Errorf("nobody signed in: %d %v", p.status, p.location)
	}
}

// TestRegistrationsGo: one that nobody authorized is gone after a day, an authorized one stays.
func TestRegistrationsGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	used, unused := w.register(localRedirect), w.register(localRedirect)
	w.redeem(w.code(used, localRedirect), used, localRedirect)
	w.clock.add(25 * time.Hour)
	b := w.browser("alice")
	if p := b.open(w.asking(unused, localRedirect)); p.status != http.StatusBadRequest || strings.TrimSpace(p.body) != "client" {
		t.Errorf("the unused one after 25 hours: %d %s", p.status, p.body)
	}
	w.clock.add(300 * 24 * time.Hour)
	if p := b.open(w.asking(used, localRedirect)); p.status != http.StatusSeeOther {
		t.Errorf("the used one after 300 days: %d %s", p.status, p.body)
	}
}

// TestRegistrationIsLimited: who registers much has to wait, and hears how long.
func TestRegistrationIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	from := func(addr string) int {
		mux := http.NewServeMux()
		w.Mount(mux)
		q := httptest.NewRequest(http.MethodPost, "/oauth/register", strings.NewReader(`{"redirect_uris":["http://127.0.0.1/cb"]}`))
		q.Header.Set("Content-Type", "application/json")
		q.RemoteAddr = addr
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, q)
		if rec.Code == http.StatusTooManyRequests && rec.Header().Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		return rec.Code
	}
	for i := range 20 {
		if got := from("192.0.2.1:1000"); got != http.StatusCreated {
			t.Fatalf("registration %d: %d", i+1, got)
		}
	}
	if got := from("192.0.2.1:1001"); got != http.StatusTooManyRequests {
		t.Errorf("the 21st of one address: %d", got)
	}
	if got := from("192.0.2.2:1000"); got != http.StatusCreated {
		t.Errorf("another address: %d", got)
	}
	w.clock.add(7 * time.Second)
	if got := from("192.0.2.1:1000"); got != http.StatusCreated {
		t.Errorf("after waiting: %d", got)
	}
}

// TestDeletedPersonTakesTokens: with a person go the tokens that act for them.
func TestDeletedPersonTakesTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.redeem(w.code("desk", localRedirect), "desk", localRedirect)
	if err := w.store.Update(t.Context(), func(tx vault.Tx) error { return tx.Users().Delete(w.v.Pseudonym(person("alice").Caller)) }); err != nil {
		t.Fatal(err)
	}
	w.clock.add(2 * time.Second)
	if w.good(a.Access) || w.refresh(a.Refresh, "desk").Status == http.StatusOK {
		t.Error("tokens outlived their person")
	}
}
