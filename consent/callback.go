package consent

import (
	"errors"
	"net/http"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	kindDone = "callback-done"
	// doneTTL is how long a reloaded callback still says that it worked.
	doneTTL = 15 * time.Minute
)

func (h *Handler) mountCallback(mux *http.ServeMux) {
	mux.Handle("GET /callback/{connection}", h.page(h.callback))
	mux.Handle("GET /callback/{cut...}", h.page(h.notFound))
}

// finished is what a reload of a callback may show again, to the same person.
type finished struct {
	Owner      vault.Caller `json:"owner"`
	Account    string       `json:"account"`
	Connection string       `json:"connection"`
	Agent      vault.Agent  `json:"agent"`
	Once       bool         `json:"once"`
}

// callback is the vendor's redirect. It is read from the query only, and shows
// nothing of it: words on the page are ours (R12). The browser was just
// checked again by page: its session, and on a local vault its peer socket.
func (h *Handler) callback(v *visit) {
	connection := v.r.PathValue("connection")
	if _, ok := h.cfg.Connection(connection); !ok {
		h.notFound(v)
		return
	}
	if v.r.Method == http.MethodHead {
		v.w.WriteHeader(http.StatusNoContent) // inert
		return
	}
	if !v.signedIn() {
		h.callbackWithoutSession(v, connection)
		return
	}
	q := v.r.URL.Query()
	state := q.Get("state")
	t, account, err := h.cfg.Vault.Finish(v.ctx(), vault.Callback{
		Connection: connection, State: state, Code: q.Get("code"), Iss: q.Get("iss"), Error: q.Get("error"),
		Cookie: h.flowCookie(v, "flow", state), Session: h.sid(v), Person: v.person,
	})
	if err != nil {
		h.callbackFailed(v, connection, state, err)
		return
	}
	f := finished{Owner: v.person.Caller, Account: account.Label, Connection: account.Connection, Agent: t.Agent, Once: t.Once}
	if err := h.putJSON(v.ctx(), kindDone, state, f, doneTTL); err != nil {
		h.cfg.Logger.Warn("a finished flow was not remembered", "error", err) // only a reload says less
	}
	h.dropFlowCookie(v, "flow", state)
	h.done(v, t, account)
}

// done is the page at the end of the way.
func (h *Handler) done(v *visit, t vault.Ticket, a vault.Account) {
	connection := a.Connection
	if connection == "" {
		connection = firstConnection(t)
	}
	f := finished{Owner: v.person.Caller, Account: a.Label, Connection: connection, Agent: t.Agent, Once: t.Once}
	h.message(v, h.doneMessage(v, f, t.Kind == vault.KindAccess))
}

func (h *Handler) doneMessage(v *visit, f finished, accessOnly bool) message {
	p, _ := h.provider(f.Connection)
	vendor, who := titleOf(p, f.Connection), agentOf(f.Agent)
	m := message{
		Status: http.StatusOK, Tone: toneGood, Title: vendor + " is connected",
		Facts: []fact{{Name: vendor + " account", Value: shown(f.Account, 80)}, {Name: "Vault of", Value: shown(v.person.Label(), 80)}},
		Links: []link{{Text: "Your connections", To: home}},
	}
	if accessOnly && who != nil {
		m.Title = who.Name + " may go on"
	}
	switch {
	case who == nil:
		m.Text = []string{"Your agents can ask to use it now; each one needs your word first. You can close this tab."}
	case f.Once:
		m.Text = []string{who.Name + " may use it for its next call within 10 minutes, then it has to ask again. It continues by itself; you can close this tab."}
	default:
		m.Text = []string{who.Name + " continues by itself. You can close this tab."}
	}
	if who != nil {
		m.Facts = append(m.Facts, fact{Name: "Agent", Value: who.Name})
	}
	return m
}

// callbackWithoutSession says where to go on: the code is not redeemed for a
// browser in which nobody is signed in (R03).
func (h *Handler) callbackWithoutSession(v *visit, connection string) {
	m := message{
		Status: http.StatusForbidden, Tone: toneBad, Title: "Open the link again in the browser that you started in",
		Text: []string{
			"Nobody is signed in to this vault in this browser, so the vendor's answer was not used. Nothing was connected.",
			"If somebody sent you the vendor's page: close this tab. What you connect would end up in their vault.",
		},
		Links: []link{{Text: "Sign in", To: "/signin"}},
	}
	h.note(v, vault.Entry{Kind: "callback.refused", Connection: connection, Reason: "no_session"})
	t, err := h.cfg.Vault.FlowOwner(v.ctx(), connection, v.r.URL.Query().Get("state"))
	if err == nil {
		// The link holds no more than the ticket's owner has; it asks for a sign-in.
		h.cfg.Logger.Warn("callback without a session", "caller", h.cfg.Vault.Pseudonym(t.Owner.Caller))
	}
	h.message(v, m)
}

func (h *Handler) callbackFailed(v *visit, connection, state string, err error) {
	var fe *vault.FlowError
	if !errors.As(err, &fe) {
		h.broken(v, "finishing flow", err)
		return
	}
	if fe.Failure == vault.FlowState {
		if h.reloaded(v, state) {
			h.note(v, vault.Entry{Kind: "callback.refused", Connection: connection, Reason: "replayed"})
			return
		}
		h.note(v, vault.Entry{Kind: "callback.refused", Connection: connection, Reason: "state"})
	}
	h.cfg.Logger.Warn("flow made no grant", "failure", string(fe.Failure), "connection", connection,
		"caller", h.cfg.Vault.Pseudonym(v.person.Caller), "error", fe.Err)
	if fe.Connection == "" {
		fe.Connection = connection
	}
	m := h.failure(fe)
	m.Links = append(h.wayBack(v, fe), link{Text: "Your connections", To: home})
	h.message(v, m)
}

// reloaded shows a success again when the browser repeats a callback (R23): the code is not sent twice.
func (h *Handler) reloaded(v *visit, state string) bool {
	var f finished
	if err := h.getJSON(v.ctx(), kindDone, state, &f); err != nil || f.Owner != v.person.Caller {
		return false
	}
	m := h.doneMessage(v, f, false)
	m.Text = append([]string{"You have done this already; reloading changed nothing."}, m.Text...)
	h.message(v, m)
	return true
}

// wayBack links to the ticket, for its owner only.
func (h *Handler) wayBack(v *visit, fe *vault.FlowError) []link {
	if fe.Ticket == "" || fe.Failure == vault.FlowBrowser {
		return nil
	}
	t, err := h.cfg.Vault.TicketByID(v.ctx(), v.person.Caller, fe.Ticket)
	if err != nil || t.Over() {
		return nil
	}
	return []link{{Text: "Try again", To: ticketPath(h.cfg.Vault.Handle(t)), Primary: true}}
}
