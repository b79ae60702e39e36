package consent_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// TestCrossSite holds R11: a POST from another site is 403 whatever its form
// holds, and so is one whose token is missing, another session's or another form's.
func TestCrossSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.vault.accounts = []vault.Account{{ID: "g1", Connection: "google", Label: "alice@corp.example", State: vault.GrantActive}}
	w.vault.owners["g1"] = "sub-alice"
	h, other := w.vault.add(w.request("alice")), w.vault.add(w.request("alice"))
	alice := w.browser("alice")
	page, list, out := alice.get("/consent/"+h), alice.get("/connections"), alice.get("/signout")
	posts := []func() int{
		func() int { return alice.post("/consent/"+h, page, "answer", "allow").status },
		func() int { return alice.post("/consent/"+h, page, "answer", "decline").status },
		func() int { return alice.post("/connections/disconnect", list, "account", "g1").status },
		func() int { return alice.post("/connections/connect", list, "connection", "google").status },
		func() int { return alice.post("/signout", out).status },
	}
	for _, head := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Origin": {"https://evil.example"}}, {"Origin": {"null"}},
	} {
		alice.head = head
		for i, post := range posts {
			if got := post(); got != http.StatusForbidden {
				t.Errorf("post %d with %v answered %d", i, head, got)
			}
		}
	}
	alice.head = http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {w.url}}
	theirs := w.browser("alice").get("/consent/"+h).field(t, "csrf")
	for name, token := range map[string]string{
		"none": "", "garbage": "1.AAAA", "another session": theirs, "another ticket": alice.get("/consent/"+other).field(t, "csrf"),
		"another form": list.field(t, "csrf"), "another version": "2" + page.field(t, "csrf")[1:],
	} {
		alice.post("/consent/"+h, page, "csrf", token, "answer", "allow").want(t, http.StatusForbidden, "open for too long")
		if name != "another form" {
			alice.post("/connections/disconnect", list, "csrf", token, "account", "g1").want(t, http.StatusForbidden)
		}
	}
	if len(w.vault.answers) != 0 || w.vault.accounts[0].State != vault.GrantActive || w.vault.ticket(h).State != vault.TicketOpen {
		t.Error("something was done")
	}
	alice.post("/consent/"+h, page, "answer", "allow").want(t, http.StatusOK)
}

// TestNoSession: a form that comes without a session does nothing.
func TestNoSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.request("alice"))
	b := w.browser("alice")
	b.post("/consent/"+h, page{}, "csrf", "1.x", "answer", "allow").want(t, http.StatusForbidden)
	b.post("/connections/connect", page{}, "csrf", "x", "connection", "google").want(t, http.StatusForbidden)
	if len(w.vault.answers) != 0 {
		t.Error("an answer went on")
	}
}

// TestSlowForm: a form that does not arrive is given up, so that slow senders hold no connection (R70).
func TestSlowForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /connections/connect HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\n\r\na=", strings.TrimPrefix(w.url, "http://"))
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
		t.Errorf("answered %.100q, %v", answer, err)
	}
}

// TestFormCap: a form over 64 KiB is not read.
func TestFormCap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.vault.add(w.request("alice"))
	b := w.browser("alice")
	p := b.get("/consent/" + h)
	b.post("/consent/"+h, p, "answer", "allow", "scope", strings.Repeat("x", 64<<10)).want(t, http.StatusRequestEntityTooLarge)
	b.post("/consent/"+h, p, "answer", "allow", "scope", strings.Repeat("x", 32<<10)).want(t, http.StatusOK)
}
