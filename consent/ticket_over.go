package consent

import (
	"errors"
	"net/http"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// ticketError answers what the vault says about a ticket.
func (h *Handler) ticketError(v *visit, t vault.Ticket, handle string, err error) {
	var needs *vault.ConsentError
	var limit *vault.LimitError
	var rule *vault.RuleError
	var stopped *vault.StoppedError
	var flow *vault.FlowError
	switch {
	case errors.Is(err, vault.ErrNotFound):
		h.notFound(v)
	case errors.Is(err, vault.ErrForeign):
		h.foreign(v, t, handle)
	case errors.Is(err, vault.ErrGone):
		h.over(v, t, handle)
	case errors.Is(err, vault.ErrStale):
		m := h.tell(http.StatusConflict, tonePlain, "answer.stale")
		m.Links = []link{{Text: h.say("answer.look"), To: ticketPath(handle), Primary: true}}
		h.message(v, m)
	case errors.Is(err, vault.ErrNoScopes):
		h.backToTicket(v, handle, "answer.nothing_left")
	case errors.As(err, &rule):
		h.notForYou(v, rule)
	case errors.As(err, &stopped):
		h.stopped(v, t, stopped)
	case errors.As(err, &flow):
		h.callbackFailed(v, firstConnection(t), "", err)
	case errors.As(err, &needs):
		h.misconfigured(v, needs)
	case errors.As(err, &limit):
		h.tooMany(v, limit)
	default:
		h.broken(v, "answering ticket", err)
	}
}

// foreign is the page for somebody who is not the ticket's owner. It says
// nothing about the ticket; the ticket stays as it is, so that nobody can lock
// its owner out (R01).
func (h *Handler) foreign(v *visit, t vault.Ticket, handle string) {
	entry := vault.Entry{Kind: "connect.subject_mismatch", Caller: v.person.Caller, Agent: t.Agent, Tool: t.Tool, Result: "refused", Reason: "foreign"}
	if len(t.Options) > 0 {
		entry.Connection = t.Options[0].Connection
	}
	if err := h.cfg.Vault.Note(v.ctx(), entry); err != nil {
		h.broken(v, "writing audit", err)
		return
	}
	m := h.tell(http.StatusForbidden, toneBad, "foreign", "person", v.person.Label())
	m.Links = []link{h.toConnections()}
	if h.issuer != nil {
		m.Button = &button{
			Text: h.say("foreign.switch", "person", shown(v.person.Label(), 40)), To: "/signout", CSRF: h.token(v, formSignOut),
			Fields: []field{{Name: "ticket", Value: handle}},
		}
	}
	h.message(v, m)
}

// overForStrangers is for a browser without a session: no details, only the way to sign in for an owner who may ask again.
func (h *Handler) overForStrangers(v *visit, t vault.Ticket, handle string) {
	m := h.tell(http.StatusGone, tonePlain, "over.stranger")
	if t.State == vault.TicketExpired && t.App == nil {
		to, err := h.signInLink(v, comeBack{Path: ticketPath(handle)})
		if err != nil {
			h.broken(v, "remembering the way back", err)
			return
		}
		m.Text = append(m.Text, h.say("over.stranger_yours"))
		m.Links = []link{{Text: h.say("words.sign_in"), To: to, Primary: true}}
	}
	h.message(v, m)
}

// over is the page of a ticket with which nothing more can be done (R06).
func (h *Handler) over(v *visit, t vault.Ticket, handle string) {
	key, tone := "over.expired", tonePlain
	switch t.State {
	case vault.TicketDone:
		key, tone = "over.done", toneGood
	case vault.TicketDeclined:
		key = "over.declined"
	}
	m := h.tell(http.StatusGone, tone, key)
	m.Links = []link{h.toConnections()}
	if t.App != nil {
		m.Text = []text{h.say("app.over", "agent", h.agentOf(t.Agent).Name)}
	}
	if t.State == vault.TicketExpired && t.Kind != vault.KindClient && t.App == nil { // a client asks by itself
		if v.r.Method == http.MethodGet {
			if err := h.ensureSession(v); err != nil {
				h.broken(v, "starting session", err)
				return
			}
		}
		m.Button = &button{
			Text: h.say("over.ask_again"), To: ticketPath(handle), CSRF: h.ticketToken(v, t, handle), Fields: []field{{Name: "answer", Value: "again"}},
		}
	}
	h.message(v, m)
}

// staleForm answers a form that was made for another session, or for none (R11).
func (h *Handler) staleForm(v *visit, back string) {
	h.noteRequest(v, "stale_form")
	m := h.tell(http.StatusForbidden, tonePlain, "form.stale")
	m.Links = []link{{Text: h.say("form.open_again"), To: back, Primary: true}}
	h.message(v, m)
}

func (h *Handler) misconfigured(v *visit, err *vault.ConsentError) {
	h.cfg.Logger.Error("connection not usable", "reason", err.Reason, "error", err)
	key := "setup.wrong"
	switch {
	case errors.Is(err, vault.ErrCopied):
		key = "setup.copy"
	case err.Reason == vault.ProviderUnreachable:
		key = "setup.unreachable"
	}
	h.message(v, h.tell(http.StatusServiceUnavailable, toneBad, key))
}

// cannotComeBack says why this vault's address is none that the vendor sends people back to.
func (h *Handler) cannotComeBack(v *visit, connection string, err error) {
	var rule *provider.RedirectError
	if !errors.As(err, &rule) {
		h.misconfigured(v, &vault.ConsentError{Reason: vault.ConnMisconfigured, Err: err})
		return
	}
	h.cfg.Logger.Error("connection not usable", "connection", connection, "error", err)
	m := h.tell(http.StatusServiceUnavailable, toneBad, "setup.https", "vendor", rule.Provider, "address", h.cfg.PublicURL)
	m.Links = []link{h.toConnections()}
	h.message(v, m)
}

// notForYou is the operator's rule on who may use a connection.
func (h *Handler) notForYou(v *visit, err *vault.RuleError) {
	p, _ := h.provider(err.Connection)
	m := h.tell(http.StatusForbidden, toneBad, "setup.not_for_you",
		"vendor", titleOf(p, err.Connection), "claim", err.Claim, "person", v.person.Label())
	m.Links = []link{h.toConnections()}
	h.message(v, m)
}

// stopped is for an answer to what the person has stopped before.
func (h *Handler) stopped(v *visit, t vault.Ticket, err *vault.StoppedError) {
	key := "setup.stopped_all"
	if err.Agent != "" {
		key = "setup.stopped_agent"
	} else if err.Account != "" {
		key = "setup.stopped_account"
	}
	name := h.say("words.unnamed")
	if who := h.agentOf(t.Agent); who != nil {
		name = isolated(who.Name)
	}
	m := h.tell(http.StatusConflict, tonePlain, key, "agent", name, "when", h.pages.ago(h.cfg.Now(), err.Since))
	m.Links = []link{{Text: h.say("words.agents"), To: "/agents", Primary: true}}
	h.message(v, m)
}

func (h *Handler) tooMany(v *visit, err *vault.LimitError) {
	m := h.tell(http.StatusTooManyRequests, tonePlain, "setup.too_many", "when", h.pages.until(h.cfg.Now(), err.Until))
	m.Links = []link{{Text: h.say("setup.waiting"), To: home, Primary: true}}
	h.message(v, m)
}
