package consent

import (
	"errors"
	"net/http"

	"github.com/grantry/grantry/vault"
)

// heldPage is for what came back from a vendor and is not what was expected:
// it names both accounts, and whose vault it would go into (R13, T1b).
type heldPage struct {
	Owner, Machine string
	Title          text
	Text           []text
	Facts          []fact
	Until          text
	Confirm        text
	Action, CSRF   string
}

func (h *Handler) showHeld(v *visit, status int, t vault.Ticket, handle string) {
	p, _ := h.provider(t.Held.Connection)
	vendor, key := titleOf(p, t.Held.Connection), "held.account"
	if t.Held.Failure == vault.FlowEmail {
		key = "held.email"
	}
	m := h.tell(status, tonePlain, key, "vendor", vendor, "got", t.Held.Got, "want", t.Held.Want, "owner", v.person.Label())
	page := heldPage{
		Owner: shown(v.person.Label(), 80), Machine: shown(h.cfg.Machine, 60), Title: m.Title, Text: m.Text,
		Facts:   labels(h.say(key+".want"), t.Held.Want, h.say(key+".got", "vendor", vendor), t.Held.Got),
		Until:   h.say("held.until", "when", h.pages.until(h.cfg.Now(), t.Held.Until), "vendor", vendor),
		Confirm: h.say("held.confirm", "got", t.Held.Got),
		Action:  ticketPath(handle),
	}
	if v.r.Method == http.MethodGet {
		page.CSRF = h.ticketToken(v, t, handle)
	}
	h.render(v, status, "held", frame{Title: m.Title, Body: page})
}

// confirmHeld is the owner's word that the account is theirs, in the browser that went to the vendor.
func (h *Handler) confirmHeld(v *visit, t vault.Ticket, handle string, version int64) {
	done, account, err := h.cfg.Vault.ConfirmHeld(v.ctx(), handle, version, v.person, h.sid(v))
	var flow *vault.FlowError
	switch {
	case err == nil && done.App != nil:
		h.movesOn(v, done, handle, "app.confirmed")
	case err == nil:
		h.done(v, done, account)
	case errors.Is(err, vault.ErrGone): // answerTicket has seen that the ticket itself is not over
		h.heldOver(v, http.StatusGone, t, handle, "held.late")
	case errors.As(err, &flow) && flow.Failure == vault.FlowBrowser:
		h.heldOver(v, http.StatusForbidden, t, handle, "held.browser")
	default:
		h.ticketError(v, t, handle, err)
	}
}

func (h *Handler) refuseHeld(v *visit, t vault.Ticket, handle string) {
	if _, err := h.cfg.Vault.RefuseHeld(v.ctx(), handle, v.person); err != nil {
		h.ticketError(v, t, handle, err)
		return
	}
	h.heldOver(v, http.StatusOK, t, handle, "held.refused")
}

// heldOver says why nothing of what was held was connected, and leads back to the request.
func (h *Handler) heldOver(v *visit, status int, t vault.Ticket, handle, key string) {
	p, _ := h.provider(firstConnection(t))
	m := h.tell(status, tonePlain, key, "vendor", titleOf(p, firstConnection(t)))
	m.Links = []link{{Text: h.say("words.again"), To: ticketPath(handle), Primary: true}, h.toConnections()}
	h.message(v, m)
}
