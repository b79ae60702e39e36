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
	switch {
	case errors.Is(err, vault.ErrNotFound):
		h.notFound(v)
	case errors.Is(err, vault.ErrForeign):
		h.foreign(v, t, handle)
	case errors.Is(err, vault.ErrGone):
		h.over(v, t, handle)
	case errors.Is(err, vault.ErrStale):
		h.message(v, message{
			Status: http.StatusConflict, Title: "Already answered",
			Text:  []string{"This request was answered a moment ago in another tab. Go on there, or look at it again."},
			Links: []link{{Text: "Look at the request", To: ticketPath(handle), Primary: true}},
		})
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
	m := message{
		Status: http.StatusForbidden, Tone: toneBad, Title: "This link is for somebody else",
		Text: []string{
			"You are signed in as " + shown(v.person.Label(), 80) + ", and this request was made for another person. Nothing was done.",
			"If somebody sent you this link: do not sign in for them. What you connect would end up in their vault.",
		},
		Links: []link{{Text: "Your connections", To: home}},
	}
	if h.issuer != nil {
		m.Button = &button{
			Text: "Not " + shown(v.person.Label(), 40) + "? Switch user", To: "/signout", CSRF: h.token(v, formSignOut),
			Fields: []fact{{Name: "ticket", Value: handle}},
		}
	}
	h.message(v, m)
}

// overForStrangers is for a browser without a session: no details, only the way to sign in for an owner who may ask again.
func (h *Handler) overForStrangers(v *visit, t vault.Ticket, handle string) {
	m := message{Status: http.StatusGone, Title: "This link is over", Text: []string{"It was answered already, or nobody answered it in time."}}
	if t.State == vault.TicketExpired {
		to, err := h.signInLink(v, comeBack{Path: ticketPath(handle)})
		if err != nil {
			h.broken(v, "remembering the way back", err)
			return
		}
		m.Text = append(m.Text, "If it was yours, sign in and ask again.")
		m.Links = []link{{Text: "Sign in", To: to, Primary: true}}
	}
	h.message(v, m)
}

// over is the page of a ticket with which nothing more can be done (R06).
func (h *Handler) over(v *visit, t vault.Ticket, handle string) {
	m := message{Status: http.StatusGone, Links: []link{{Text: "Your connections", To: home}}}
	switch t.State {
	case vault.TicketDone:
		m.Title, m.Tone = "You have already allowed this", toneGood
		m.Text = []string{"The link has done its work. Go back to your agent; it continues by itself or when you ask it again."}
	case vault.TicketDeclined:
		m.Title = "You have declined this"
		m.Text = []string{"Nothing was connected. If you changed your mind, ask your agent to try again, or connect the account yourself."}
	default:
		m.Title = "This link has run out"
		m.Text = []string{"Links work for a limited time. Nothing was connected."}
		if t.State == vault.TicketExpired && v.r.Method == http.MethodGet {
			if err := h.ensureSession(v); err != nil {
				h.broken(v, "starting session", err)
				return
			}
		}
		if t.State == vault.TicketExpired {
			m.Button = &button{
				Text: "Ask again", To: ticketPath(handle), CSRF: h.ticketToken(v, t, handle), Fields: []fact{{Name: "answer", Value: "again"}},
			}
		}
	}
	h.message(v, m)
}

// staleForm answers a form that was made for another session, or for none (R11).
func (h *Handler) staleForm(v *visit, back string) {
	h.noteRequest(v, "stale_form")
	h.message(v, message{
		Status: http.StatusForbidden, Title: "This page was open for too long",
		Text:  []string{"Your session has ended or changed since the page was shown, so the button did nothing. Open the page again and press it once more."},
		Links: []link{{Text: "Open the page again", To: back, Primary: true}},
	})
}

func (h *Handler) misconfigured(v *visit, err *vault.ConsentError) {
	h.cfg.Logger.Error("connection not usable", "reason", err.Reason, "error", err)
	m := message{
		Status: http.StatusServiceUnavailable, Tone: toneBad, Title: "This connection is not set up",
		Text: []string{"The person who runs this vault has to look at the connection's settings; its log names what is missing. Nothing was connected."},
	}
	if err.Reason == vault.ProviderUnreachable {
		m.Title, m.Text = "The vendor cannot be reached", []string{"Grantry could not talk to the vendor just now. Wait a moment and open the link again."}
	}
	if errors.Is(err, vault.ErrCopied) {
		m.Title, m.Text = "This vault is a copy", []string{copiedText}
	}
	h.message(v, m)
}

// cannotComeBack says why this vault's address is none that the vendor sends people back to.
func (h *Handler) cannotComeBack(v *visit, connection string, err error) {
	var rule *provider.RedirectError
	if !errors.As(err, &rule) {
		h.misconfigured(v, &vault.ConsentError{Reason: vault.ConnMisconfigured, Err: err})
		return
	}
	h.cfg.Logger.Error("connection not usable", "connection", connection, "error", err)
	h.message(v, message{
		Status: http.StatusServiceUnavailable, Tone: toneBad, Title: rule.Provider + " needs a vault on https",
		Text: []string{
			rule.Provider + " sends people back to https addresses only, and this vault is at " + shown(h.cfg.PublicURL, 80) + ". Nothing was connected.",
			"The person who runs this vault can set public_url to an https address (with tls, or behind a proxy), register it at " + rule.Provider + ", and start again.",
		},
		Links: []link{{Text: "Your connections", To: home}},
	})
}

func (h *Handler) tooMany(v *visit, err *vault.LimitError) {
	h.message(v, message{
		Status: http.StatusTooManyRequests, Title: "Too many open requests",
		Text:  []string{"There are too many requests waiting for you already. Answer some of them, or try again " + until(h.cfg.Now(), err.Until) + "."},
		Links: []link{{Text: "What waits for you", To: home, Primary: true}},
	})
}
