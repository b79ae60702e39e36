package consent

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

const maxHandle = 128

func (h *Handler) mountTicket(mux *http.ServeMux) {
	mux.Handle("GET /consent/{handle}", h.page(h.showTicket))
	mux.Handle("POST /consent/{handle}", h.form(h.answerTicket))
	mux.Handle("GET /consent/{handle}/return", h.page(h.returnToApp))
	mux.Handle("GET /consent/{cut...}", h.page(h.notFound))
}

func ticketPath(handle string) string { return "/consent/" + url.PathEscape(handle) }

// showTicket is a GET: however often it comes, nothing changes (R05).
func (h *Handler) showTicket(v *visit) {
	handle := v.r.PathValue("handle")
	t, ok := h.findTicket(v, handle)
	if !ok {
		return
	}
	h.vouch(v, t)
	switch {
	case !t.Over() && h.sendElsewhere(v, handle):
		return
	case !v.signedIn() && (!t.Over() || v.r.Method == http.MethodHead):
		h.askSignIn(v, comeBack{Path: ticketPath(handle)})
		return
	case !v.signedIn():
		h.overForStrangers(v, t, handle)
		return
	case !h.mayAnswer(v, t, handle):
		return
	}
	if v.r.Method == http.MethodGet {
		if err := h.ensureSession(v); err != nil {
			h.broken(v, "starting session", err)
			return
		}
	}
	h.renderTicket(v, t, handle)
}

func (h *Handler) renderTicket(v *visit, t vault.Ticket, handle string) {
	if t.Kind == vault.KindClient {
		h.showClient(v, t, handle)
		return
	}
	if t.Held.ForApp() {
		h.showWaiting(v, t, handle)
		return
	}
	if t.Held != nil {
		h.showHeld(v, http.StatusOK, t, handle)
		return
	}
	page, err := h.ticketPage(v, t, handle)
	if err != nil {
		h.broken(v, "making ticket's page", err)
		return
	}
	h.render(v, http.StatusOK, "ticket", frame{Title: page.Headline, Body: page})
}

// findTicket answers 404 for a handle that nobody made.
func (h *Handler) findTicket(v *visit, handle string) (vault.Ticket, bool) {
	if len(handle) > maxHandle {
		h.notFound(v)
		return vault.Ticket{}, false
	}
	t, err := h.cfg.Vault.Ticket(v.ctx(), handle)
	if err != nil {
		h.ticketError(v, t, handle, err)
		return t, false
	}
	return t, true
}

// mayAnswer compares the signed-in person with the owner, before the vendor is
// contacted (R01), and turns away from a ticket that is over (R06).
func (h *Handler) mayAnswer(v *visit, t vault.Ticket, handle string) bool {
	switch {
	case v.person.Caller != t.Owner.Caller:
		h.foreign(v, t, handle)
	case t.Over():
		h.over(v, t, handle)
	default:
		return true
	}
	return false
}

// answerTicket is the form's POST.
func (h *Handler) answerTicket(v *visit) {
	handle := v.r.PathValue("handle")
	t, ok := h.findTicket(v, handle)
	if !ok {
		return
	}
	h.vouch(v, t)
	again := v.r.PostForm.Get("answer") == "again" && t.State == vault.TicketExpired
	version, valid := h.ticketTokenValid(v, handle)
	switch {
	case !v.signedIn():
		h.staleForm(v, ticketPath(handle))
	case v.person.Caller != t.Owner.Caller:
		h.foreign(v, t, handle)
	case t.Over() && !again:
		h.note(v, vault.Entry{Kind: "ticket.replayed", Agent: t.Agent, Tool: t.Tool, Reason: string(t.State)})
		h.over(v, t, handle)
	case !valid:
		h.staleForm(v, ticketPath(handle))
	case again:
		h.askAgain(v, t, handle)
	default:
		h.takeAnswer(v, t, handle, version)
	}
}

func (h *Handler) takeAnswer(v *visit, t vault.Ticket, handle string, version int64) {
	if t.Kind == vault.KindClient {
		h.answerClient(v, t, handle, version)
		return
	}
	answer := v.r.PostForm.Get("answer")
	if answer == "" && v.r.PostForm.Has("approve") { // a button can send one value only
		answer = "allow"
	}
	switch answer {
	case "allow", "once":
		h.allow(v, t, handle, version)
	case "decline":
		h.decline(v, t, handle)
	case "confirm":
		h.confirmHeld(v, t, handle, version)
	case "refuse":
		h.refuseHeld(v, t, handle)
	default:
		h.backToTicket(v, handle, "answer.none")
	}
}

// backToTicket is for a form that did not say what to do.
func (h *Handler) backToTicket(v *visit, handle, key string) {
	m := h.tell(http.StatusBadRequest, tonePlain, key)
	m.Links = []link{{Text: h.say("answer.back"), To: ticketPath(handle), Primary: true}}
	h.message(v, m)
}

func (h *Handler) allow(v *visit, t vault.Ticket, handle string, version int64) {
	option, ok := chosen(t, v.r.PostForm.Get("connection"))
	if !ok {
		h.backToTicket(v, handle, "answer.choose")
		return
	}
	answer, err := readTerms(v.r.PostForm, t, option)
	if err != nil {
		h.backToTicket(v, handle, "answer.none")
		return
	}
	if option.VendorNeeded {
		if answer.RedirectURI, err = h.redirectURI(option.Connection); err != nil {
			h.cannotComeBack(v, option.Connection, err)
			return
		}
	}
	if v.vouched { // the form did not offer it
		answer.Move = ""
	}
	answer.Handle, answer.Version, answer.Person, answer.Session = handle, version, v.person, h.sid(v)
	start, err := h.cfg.Vault.Allow(v.ctx(), answer)
	switch {
	case err != nil:
		h.ticketError(v, t, handle, err)
	case start.AuthURL == "":
		h.done(v, start.Ticket, h.accountOf(v, start.Ticket))
	default:
		h.moveOn(v, start, option)
	}
}

// chosen is the option that the form names. With several the person must say which: never a guess.
func chosen(t vault.Ticket, connection string) (vault.Option, bool) {
	if connection == "" && len(t.Options) == 1 {
		return t.Options[0], true
	}
	i := slices.IndexFunc(t.Options, func(o vault.Option) bool { return o.Connection == connection })
	if i < 0 {
		return vault.Option{}, false
	}
	return t.Options[i], true
}

// moveOn answers an Allow with a page of ours that goes on to the vendor. Only
// now the browser gets the flow's cookie (R10).
func (h *Handler) moveOn(v *visit, s vault.Start, o vault.Option) {
	to, err := url.Parse(s.AuthURL)
	if err != nil || (to.Scheme != "https" && to.Scheme != "http") {
		h.broken(v, "reading the vendor's address", errors.New("not a web address"))
		return
	}
	h.setFlowCookie(v, "flow", to.Query().Get("state"), s.Cookie)
	p, _ := h.provider(o.Connection)
	h.render(v, http.StatusOK, "next", frame{
		Title: h.say("next.page", "vendor", titleOf(p, o.Connection)), Refresh: s.AuthURL,
		Body: nextPage{Vendor: titleOf(p, o.Connection), Host: shown(to.Host, 120), URL: s.AuthURL},
	})
}

// nextPage is the page between our Allow and the vendor's screen.
type nextPage struct{ Vendor, Host, URL string }

func (h *Handler) decline(v *visit, t vault.Ticket, handle string) {
	if _, err := h.cfg.Vault.Decline(v.ctx(), handle, v.person); err != nil {
		h.ticketError(v, t, handle, err)
		return
	}
	if t.App != nil {
		h.movesOn(v, t, handle, "app.declined")
		return
	}
	m := h.tell(http.StatusOK, tonePlain, "answer.declined")
	m.Links = []link{h.toConnections()}
	if who := h.agentOf(t.Agent); who != nil {
		m.Text = append(m.Text, h.say("answer.declined_agent", "agent", who.Name))
	}
	h.message(v, m)
}

// askAgain makes a new ticket for an expired one, for its owner.
func (h *Handler) askAgain(v *visit, t vault.Ticket, handle string) {
	fresh, err := h.cfg.Vault.AskAgain(v.ctx(), handle, v.person)
	if err != nil {
		h.ticketError(v, t, handle, err)
		return
	}
	h.redirect(v, ticketPath(h.cfg.Vault.Handle(fresh)))
}

// redirectURI is the one address at which this connection's vendor sends people back.
func (h *Handler) redirectURI(connection string) (string, error) {
	c, ok := h.cfg.Connection(connection)
	if !ok {
		return "", &vault.ConsentError{Reason: vault.ConnMisconfigured, Options: []vault.Option{{Connection: connection}}}
	}
	return c.RedirectURI(h.cfg.PublicURL)
}

func (h *Handler) provider(connection string) (*provider.Provider, bool) {
	c, ok := h.cfg.Connection(connection)
	if !ok {
		return nil, false
	}
	return c.Provider(), true
}

// accountOf is the account that a finished ticket led to; zero when it cannot be read, which only makes the page say less.
func (h *Handler) accountOf(v *visit, t vault.Ticket) vault.Account {
	if t.Grant == "" {
		return vault.Account{}
	}
	a, err := h.cfg.Vault.Account(v.ctx(), v.person.Caller, t.Grant)
	if err != nil {
		h.cfg.Logger.Warn("account not read", "error", err)
		return vault.Account{}
	}
	return a
}
