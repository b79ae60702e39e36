package consent

import (
	"context"
	"errors"
	"net/http"

	"github.com/grantry/grantry/vault"
)

const (
	formPair = "pair"
	pairPath = "/pair"
)

func (h *Handler) mountPair(mux *http.ServeMux) {
	mux.Handle("GET /pair", h.page(h.showPair))
	mux.Handle("POST /pair", h.form(h.pair))
}

// showPair asks whoever is signed in for the code that a terminal shows.
func (h *Handler) showPair(v *visit) {
	if !v.signedIn() {
		h.askSignIn(v, comeBack{Path: pairPath})
		return
	}
	if v.r.Method == http.MethodGet {
		if err := h.ensureSession(v); err != nil {
			h.broken(v, "starting session", err)
			return
		}
	}
	h.askPairing(v, http.StatusOK, codePage{})
}

func (h *Handler) askPairing(v *visit, status int, page codePage) {
	page.words(h, "pair.")
	page.Owner, page.Action, page.CSRF = shown(v.person.Label(), 80), pairPath, h.token(v, formPair)
	h.render(v, status, "code", frame{Title: h.say("pair.page"), Body: page})
}

// pair takes the code that was typed: what its terminal asked for becomes a
// request of the signed-in person's own, and they see it before anything happens.
func (h *Handler) pair(v *visit) {
	page := codePage{Value: shown(v.r.PostForm.Get("code"), 20)}
	code, ok := typedCode(page.Value)
	switch {
	case !v.signedIn() || !h.tokenValid(v, formPair):
		h.staleForm(v, pairPath)
		return
	case !ok:
		page.Problem = h.say("code.form")
		h.askPairing(v, http.StatusBadRequest, page)
		return
	}
	place := h.cfg.Vault.Pseudonym(v.person.Caller)
	if !h.mayTry(v, h.pairTries, place, func(when text) {
		h.note(v, vault.Entry{Kind: "pairing.refused", Reason: "too_many"})
		page.Problem = h.say("pair.too_many", "when", when)
		h.askPairing(v, http.StatusTooManyRequests, page)
	}) {
		return
	}
	var what Pairing
	err := h.takeJSON(v.ctx(), kindPairing, codeHandle(h.cfg.Vault, kindPairing, code), &what)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		h.note(v, vault.Entry{Kind: "pairing.refused", Reason: "code"})
		page.Problem = h.say("pair.wrong")
		h.askPairing(v, http.StatusForbidden, page)
	case err != nil:
		h.broken(v, "taking pairing", err)
	default:
		h.forgive(v, h.pairTries, place)
		h.openPaired(v, code, what)
	}
}

// openPaired makes the ticket of a pairing, tells its terminal whose it is, and shows it.
func (h *Handler) openPaired(v *visit, code string, what Pairing) {
	t, err := h.ownTicket(v, vault.NotConnected, vault.Option{
		Connection: what.Connection, Scopes: what.Scopes, Missing: what.Scopes, VendorNeeded: true,
	})
	if err != nil {
		h.keepPairing(v.ctx(), code, what)
		h.ticketError(v, t, "", err)
		return
	}
	if err := h.putJSON(v.ctx(), kindPaired, what.ID, paired{Owner: v.person.Caller, Ticket: t.ID}, pairedKept); err != nil {
		h.broken(v, "storing whose a pairing is", err)
		return
	}
	from := origin{Machine: what.Machine, From: what.From}
	if err := h.putJSON(v.ctx(), kindFrom, t.ID, from, pairedKept); err != nil {
		h.cfg.Logger.Warn("where a request came from was not remembered", "error", err) // its page says less
	}
	h.redirect(v, ticketPath(h.cfg.Vault.Handle(t)))
}

// keepPairing puts a code back whose request could not be made, so that it can be typed again.
func (h *Handler) keepPairing(ctx context.Context, code string, what Pairing) {
	err := h.putJSON(ctx, kindPairing, codeHandle(h.cfg.Vault, kindPairing, code), what, what.Expires.Sub(h.cfg.Now()))
	if err != nil {
		h.cfg.Logger.Error("a code was lost", "error", err)
	}
}

// origin is where a person's own request was asked for.
type origin struct {
	Machine string `json:"machine"`
	From    string `json:"from"`
}

// askedFrom says in words at which terminal a person's own request began; "" when it was on a page.
func (h *Handler) askedFrom(ctx context.Context, t vault.Ticket) text {
	if t.Agent != (vault.Agent{}) {
		return ""
	}
	var from origin
	if err := h.getJSON(ctx, kindFrom, t.ID, &from); err != nil || from.Machine == "" {
		return "" // a record that does not read only makes the page say less
	}
	if from.From == "" {
		return h.say("pair.from", "machine", from.Machine)
	}
	return h.say("pair.from_user", "machine", from.Machine, "user", from.From)
}
