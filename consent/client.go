package consent

import (
	"net/http"

	"github.com/grantry/grantry/vault"
)

// clientPage is the page of a ticket of kind client: a client that wants to log in at the built-in authorization server.
type clientPage struct {
	Owner, Machine string
	Agent          *agentView
	When           text
	Can            []permission
	Also           []offered
	Raw            []string
	To             string // where its answer goes: a host, or an app's scheme
	Document       string // host of its metadata, "" = it has none
	Local          bool   // any program of this machine could be it
	Remember       bool
	Application    bool // it signs the person in, and may be handed tokens of accounts that they open to it
	Action, CSRF   string
}

// offered is a scope that the client did not ask for and the person may add.
type offered struct {
	Scope string
	Text  text
}

// showClient shows who wants to act for this person, and how much that is worth.
func (h *Handler) showClient(v *visit, t vault.Ticket, handle string) {
	c := t.Client
	page := clientPage{
		Owner: shown(v.person.Label(), 80), Machine: shown(h.cfg.Machine, 60), Agent: h.agentOf(t.Agent),
		When: h.pages.ago(h.cfg.Now(), t.Created), To: shown(c.Redirect, 120), Document: shown(c.Document, 120),
		Local: c.Local, Remember: c.Remember, Application: t.Agent.Workload(), Action: ticketPath(handle),
	}
	if v.r.Method == http.MethodGet {
		page.CSRF = h.ticketToken(v, t, handle)
	}
	for _, s := range c.Scopes {
		page.Raw = append(page.Raw, shown(s, 60))
		page.Can = append(page.Can, permission{Text: h.say("client.scope." + scopeKey(s)), Write: s == "tools:write" || s == "delete:me:connected_accounts", Known: true})
	}
	for _, s := range c.Offer {
		page.Also = append(page.Also, offered{Scope: s, Text: h.say("client.scope." + scopeKey(s))})
	}
	title := h.say("client.page")
	if page.Application {
		title = h.say("client.sign_in_page")
	}
	h.render(v, http.StatusOK, "client", frame{Title: title, Body: page})
}

// scopeKey names a scope of Grantry's own in the messages.
func scopeKey(s string) string {
	switch s {
	case "tools:read":
		return "read"
	case "tools:write":
		return "write"
	case "openid", "profile", "email":
		return s
	case "offline_access":
		return "stay"
	case "create:me:connected_accounts":
		return "connect"
	case "read:me:connected_accounts":
		return "list"
	case "delete:me:connected_accounts":
		return "disconnect"
	}
	return "connections"
}

// answerClient takes the form of such a page. After either answer the browser
// goes on by a page of ours, so that form-action holds, to where the client gets its own.
func (h *Handler) answerClient(v *visit, t vault.Ticket, handle string, version int64) {
	key := "client.allowed"
	var err error
	switch v.r.PostForm.Get("answer") {
	case "allow":
		_, err = h.cfg.Vault.AllowClient(v.ctx(), vault.Answer{Handle: handle, Version: version, Person: v.person, Also: v.r.PostForm["scope"]})
	case "decline":
		key = "client.declined"
		_, err = h.cfg.Vault.Decline(v.ctx(), handle, v.person)
	default:
		h.backToTicket(v, handle, "answer.none")
		return
	}
	if err != nil {
		h.ticketError(v, t, handle, err)
		return
	}
	m := h.tell(http.StatusOK, tonePlain, key, "agent", h.agentOf(t.Agent).Name, "to", shown(t.Client.Redirect, 120))
	m.Links = []link{{Text: h.say("client.go_on", "to", shown(t.Client.Redirect, 120)), To: t.Client.Continue, Primary: true}}
	h.render(v, http.StatusOK, "message", frame{Title: m.Title, Refresh: t.Client.Continue, Body: m})
}

// Visitor answers who is signed in in the browser of r, for the built-in
// authorization server. Where nobody is, it has answered itself: the browser
// signs in and comes back to the same address.
func (h *Handler) Visitor(w http.ResponseWriter, r *http.Request) (who vault.Person, ok bool) {
	h.page(func(v *visit) {
		if !v.signedIn() {
			h.askSignIn(v, comeBack{Path: v.r.URL.RequestURI()})
			return
		}
		who, ok = v.person, h.saved(v)
	}).ServeHTTP(w, r)
	return who, ok
}

// RefuseClient answers with a page that says why a client's request leads nowhere
// and what to do next. why is a key of the messages.
func (h *Handler) RefuseClient(w http.ResponseWriter, r *http.Request, why string) {
	status := http.StatusBadRequest
	switch why {
	case "over":
		status = http.StatusGone
	case "browser":
		status = http.StatusForbidden
	case "broken":
		status = http.StatusServiceUnavailable
	}
	h.page(func(v *visit) {
		m := h.tell(status, toneBad, "client."+why)
		m.Links = []link{h.toConnections()}
		h.message(v, m)
	}).ServeHTTP(w, r)
}
