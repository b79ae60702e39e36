package consent_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/vault"
)

func (f *fakeVault) AllowClient(_ context.Context, a vault.Answer) (vault.Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := f.answerable(a.Handle, a.Person)
	if err == nil {
		t.State = vault.TicketDone
		f.tickets[a.Handle] = t
	}
	return t, err
}

// loginOf makes a ticket of a client that wants to log in as owner.
func (r *real) loginOf(owner vault.Person, change func(*vault.ClientRequest)) string {
	r.t.Helper()
	c := vault.ClientRequest{Scopes: []string{"tools:read", "connections:manage"}, Offer: []string{"tools:write"}, Redirect: "app.example", Remember: true, Continue: "/oauth/authorize/the-request"}
	if change != nil {
		change(&c)
	}
	return r.loginAs(owner, vault.Agent{Issuer: r.url, ID: "dcr_1", Name: "Nice <b>client</b>", Host: c.Redirect}, c)
}

// loginAs is loginOf for that agent.
func (r *real) loginAs(owner vault.Person, agent vault.Agent, c vault.ClientRequest) string {
	r.t.Helper()
	t, err := r.keep.OpenClientTicket(r.t.Context(), owner, agent, c)
	if err != nil {
		r.t.Fatal(err)
	}
	return "/consent/" + r.keep.Handle(t)
}

// TestR52ClientPage: the page names the client's host and where the answer goes,
// warns where anybody on the machine could be it, and both answers go on to where the client gets its own.
func TestR52ClientPage(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	alice := r.person("alice")
	b := r.browser("alice")
	b.signIn("/connections").want(t, http.StatusOK)
	link := r.loginOf(alice, func(c *vault.ClientRequest) { c.Document = "publisher.example" })
	p := b.get(link).want(t, http.StatusOK, "Nice <b>client</b>", "wants to act for you", "publisher.example", "app.example", "Use tools that read", "not verified", "90 days", "You may add them: Use tools that change things").
		without(t, "decline.", "once", "checked")
	next := b.post(link, p, "answer", "allow", "scope", "tools:write").want(t, http.StatusOK, "is logged in", "app.example")
	if to := next.refresh(t); to.Path != "/oauth/authorize/the-request" {
		t.Errorf("after Allow the page moves on to %s", to)
	}
	b.get(link).want(t, http.StatusGone, "already allowed")
	done, err := r.keep.Ticket(t.Context(), strings.TrimPrefix(link, "/consent/"))
	if err != nil || strings.Join(done.Client.Scopes, " ") != "tools:read connections:manage tools:write" {
		t.Errorf("given is %+v, %v", done.Client, err)
	}

	link = r.loginOf(alice, func(c *vault.ClientRequest) { c.Redirect, c.Local, c.Remember = "127.0.0.1", true, false })
	p = b.get(link).want(t, http.StatusOK, "any program on your computer", "127.0.0.1", "each time").without(t, "90 days")
	next = b.post(link, p, "answer", "decline").want(t, http.StatusOK, "You declined")
	if to := next.refresh(t); to.Path != "/oauth/authorize/the-request" {
		t.Errorf("after Decline the page moves on to %s", to)
	}
	b.get(link).want(t, http.StatusGone, "declined")

	link = r.loginAs(alice, vault.Agent{Issuer: vault.WorkloadIssuer, ID: "portal", Name: "portal", Verified: true}, vault.ClientRequest{
		Scopes:   []string{"openid", "profile", "email", "offline_access", "create:me:connected_accounts", "read:me:connected_accounts", "delete:me:connected_accounts"},
		Redirect: "app.example", Remember: true, Continue: "/oauth/authorize/the-request",
	})
	b.get(link).want(t, http.StatusOK, "Know you again", "your name", "your e-mail address", "while you are away", "Send you to connect", "which accounts you have", "Disconnect accounts",
		"wants to sign you in", "an application that", "a token of one that you have not opened").
		without(t, "You may add them", "ask you for more", "wants to act for you", "a password or a token")

	link = r.loginOf(alice, nil)
	p = b.get(link)
	b.post(link, p, "answer", "once").want(t, http.StatusBadRequest, "no answer")
	bob := r.browser("bob")
	bob.signIn("/connections").want(t, http.StatusOK)
	bob.get(link).want(t, http.StatusForbidden, "somebody else").without(t, "Nice")
}

// TestVisitor: who is not signed in does that first and comes back to the same
// address, query and all; every reason for a refusal has its words.
func TestVisitor(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	h, err := consent.New(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Mount(mux)
	mux.HandleFunc("GET /oauth/authorize", func(w http.ResponseWriter, q *http.Request) {
		if who, ok := h.Visitor(w, q); ok {
			_, _ = w.Write([]byte(who.Email + " asks for " + q.URL.Query().Get("client_id")))
		}
	})
	mux.HandleFunc("GET /refused", func(w http.ResponseWriter, q *http.Request) { h.RefuseClient(w, q, q.URL.Query().Get("why")) })
	r.pages.Store(mux)
	b := r.browser("alice")
	b.signIn("/oauth/authorize?client_id=x%26y").want(t, http.StatusOK, "alice@example.com asks for x&y")
	said := map[string]bool{}
	for why, status := range map[string]int{
		"request": 400, "client": 400, "document": 400, "redirect": 400, "browser": 403, "over": 410, "broken": 503,
	} {
		said[b.get("/refused?why="+why).want(t, status, "Your connections").text()] = true
	}
	if len(said) != 7 {
		t.Errorf("seven reasons have %d pages", len(said))
	}
}
