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
	Write      bool         `json:"write"`
	EndsBy     time.Time    `json:"ends_by"`
	Lost       []string     `json:"lost,omitempty"`
	Return     string       `json:"return,omitempty"` // the path that goes back to an application
}

func finishedBy(v *visit, t vault.Ticket, a vault.Account) finished {
	connection := a.Connection
	if connection == "" {
		connection = firstConnection(t)
	}
	return finished{
		Owner: v.person.Caller, Account: a.Label, Connection: connection, Agent: t.Agent,
		Once: t.Once, Write: t.Approval != "", EndsBy: a.EndsBy, Lost: t.Lost,
	}
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
	if h.vouchForFlow(v, connection); !v.signedIn() {
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
	f := finishedBy(v, t, account)
	if t.App != nil {
		f.Return = returnPath(h.cfg.Vault.Handle(t))
	}
	if err := h.putJSON(v.ctx(), kindDone, state, f, doneTTL); err != nil {
		h.cfg.Logger.Warn("a finished flow was not remembered", "error", err) // only a reload says less
	}
	h.dropFlowCookie(v, "flow", state)
	if t.App != nil && h.appCode(v, t) {
		return
	}
	h.done(v, t, account)
}

// done is the page at the end of the way.
func (h *Handler) done(v *visit, t vault.Ticket, a vault.Account) {
	h.message(v, h.doneMessage(v, finishedBy(v, t, a), t.Kind))
}

func (h *Handler) doneMessage(v *visit, f finished, kind vault.TicketKind) message {
	p, _ := h.provider(f.Connection)
	vendor, who := titleOf(p, f.Connection), h.agentOf(f.Agent)
	m := message{
		Status: http.StatusOK, Tone: toneGood, Title: h.say("done.connected", "vendor", vendor),
		Owner: shown(v.person.Label(), 80), Machine: shown(h.cfg.Machine, 60),
		Facts: []fact{{Name: h.say("done.account", "vendor", vendor), Value: shown(f.Account, 80)}},
		Links: []link{h.toConnections()},
	}
	if who == nil {
		m.Text = []text{h.say("done.self")}
		return h.withLimits(m, f)
	}
	m.Facts = append(m.Facts, fact{Name: h.say("done.agent"), Value: who.Name})
	if kind == vault.KindAccess || kind == vault.KindApprove {
		m.Title = h.say("done.may_go_on", "agent", who.Name)
	}
	switch {
	case f.Write:
		m.Text = []text{h.say("done.write", "agent", who.Name)}
	case f.Once:
		m.Text = []text{h.say("done.once", "agent", who.Name)}
	default:
		m.Text = []text{h.say("done.goes_on", "agent", who.Name)}
	}
	return h.withLimits(m, f)
}

// withLimits adds what the connection cannot do although it was asked for, and
// when the vendor will end it, where that is known (a Google project in testing).
func (h *Handler) withLimits(m message, f finished) message {
	p, _ := h.provider(f.Connection)
	vendor := titleOf(p, f.Connection)
	if len(f.Lost) > 0 {
		m.Text = append(m.Text, h.say("done.lost", "vendor", vendor))
	}
	for _, one := range h.permissionsOf(p, f.Lost) {
		m.Facts = append(m.Facts, fact{Name: h.say("failed.missing"), Value: bare(one.Text)})
	}
	if !f.EndsBy.IsZero() {
		m.Text = append(m.Text, h.say("done.ends_by", "vendor", vendor, "day", day(f.EndsBy)))
	}
	return m
}

// callbackWithoutSession says where to go on: the code is not redeemed for a
// browser in which nobody is signed in (R03).
func (h *Handler) callbackWithoutSession(v *visit, connection string) {
	m := h.tell(http.StatusForbidden, toneBad, "callback.no_session")
	to := "/signin"
	h.note(v, vault.Entry{Kind: "callback.refused", Connection: connection, Reason: "no_session"})
	if t, err := h.cfg.Vault.FlowOwner(v.ctx(), connection, v.r.URL.Query().Get("state")); err == nil {
		h.cfg.Logger.Warn("callback without a session", "caller", h.cfg.Vault.Pseudonym(t.Owner.Caller))
		// The address stays here: whoever signs in is compared with the ticket's owner first.
		if to, err = h.signInLink(v, comeBack{Path: ticketPath(h.cfg.Vault.Handle(t))}); err != nil {
			h.broken(v, "remembering the way back", err)
			return
		}
	}
	m.Links = []link{{Text: h.say("callback.open_here"), To: to, Primary: true}}
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
	t, again := h.ticketOf(v, fe, state)
	if h.failedForApp(v, t, fe) {
		return
	}
	switch {
	case again && fe.Held && t.Held != nil:
		h.showHeld(v, m.Status, t, h.cfg.Vault.Handle(t))
		return
	case fe.Failure == vault.FlowBrowser && again: // the same person in another browser
		p, _ := h.provider(fe.Connection)
		m = h.tell(m.Status, m.Tone, "failed.browser_own", "vendor", titleOf(p, fe.Connection))
		m.Links = []link{{Text: h.say("callback.open_here"), To: ticketPath(h.cfg.Vault.Handle(t)), Primary: true}}
	case again:
		m.Links = []link{{Text: h.say("words.again"), To: ticketPath(h.cfg.Vault.Handle(t)), Primary: true}}
	}
	m.Links = append(m.Links, h.toConnections())
	h.message(v, m)
}

// ticketOf is the ticket to go back to, for its owner only.
func (h *Handler) ticketOf(v *visit, fe *vault.FlowError, state string) (t vault.Ticket, again bool) {
	var err error
	if fe.Ticket != "" {
		t, err = h.cfg.Vault.TicketByID(v.ctx(), v.person.Caller, fe.Ticket)
	} else {
		t, err = h.cfg.Vault.FlowOwner(v.ctx(), fe.Connection, state)
	}
	return t, err == nil && t.Owner.Caller == v.person.Caller && !t.Over()
}

// reloaded shows a success again when the browser repeats a callback (R23): the code is not sent twice.
func (h *Handler) reloaded(v *visit, state string) bool {
	var f finished
	if err := h.getJSON(v.ctx(), kindDone, state, &f); err != nil || f.Owner != v.person.Caller {
		return false
	}
	if f.Return != "" {
		h.redirect(v, f.Return)
		return true
	}
	m := h.doneMessage(v, f, vault.KindConnect)
	m.Text = append([]text{h.say("done.reloaded")}, m.Text...)
	h.message(v, m)
	return true
}
