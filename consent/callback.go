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
	vendor, who := titleOf(p, f.Connection), h.agentOf(f.Agent)
	m := message{
		Status: http.StatusOK, Tone: toneGood, Title: h.say("done.connected", "vendor", vendor),
		Facts: []fact{
			{Name: h.say("done.account", "vendor", vendor), Value: shown(f.Account, 80)},
			{Name: h.say("done.vault"), Value: shown(v.person.Label(), 80)},
		},
		Links: []link{h.toConnections()},
	}
	if who == nil {
		m.Text = []text{h.say("done.self")}
		return m
	}
	if accessOnly {
		m.Title = h.say("done.may_go_on", "agent", who.Name)
	}
	m.Text = []text{h.say("done.goes_on", "agent", who.Name)}
	if f.Once {
		m.Text = []text{h.say("done.once", "agent", who.Name)}
	}
	m.Facts = append(m.Facts, fact{Name: h.say("done.agent"), Value: who.Name})
	return m
}

// callbackWithoutSession says where to go on: the code is not redeemed for a
// browser in which nobody is signed in (R03).
func (h *Handler) callbackWithoutSession(v *visit, connection string) {
	m := h.tell(http.StatusForbidden, toneBad, "callback.no_session")
	m.Links = []link{{Text: h.say("words.sign_in"), To: "/signin"}}
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
	m.Links = append(h.wayBack(v, fe), h.toConnections())
	h.message(v, m)
}

// reloaded shows a success again when the browser repeats a callback (R23): the code is not sent twice.
func (h *Handler) reloaded(v *visit, state string) bool {
	var f finished
	if err := h.getJSON(v.ctx(), kindDone, state, &f); err != nil || f.Owner != v.person.Caller {
		return false
	}
	m := h.doneMessage(v, f, false)
	m.Text = append([]text{h.say("done.reloaded")}, m.Text...)
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
	return []link{{Text: h.say("words.again"), To: ticketPath(h.cfg.Vault.Handle(t)), Primary: true}}
}
