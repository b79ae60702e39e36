package consent

import (
	"errors"
	"net/http"
	"slices"

	"github.com/grantry/grantry/vault"
)

const formConnections = "connections"

func (h *Handler) mountConnections(mux *http.ServeMux) {
	mux.Handle("GET /connections", h.page(h.showConnections))
	mux.Handle("GET /connections/{more...}", h.page(h.notFound))
	for path, do := range map[string]func(*visit){
		"connect": h.connect, "reconnect": h.reconnect, "disconnect": h.disconnect, "default": h.makeDefault,
		"stop": h.stopAccount, "resume": h.resumeAccount, "access/revoke": h.revokeAccess(home),
	} {
		mux.Handle("POST /connections/"+path, h.change(formConnections, home, do))
	}
}

func (h *Handler) showConnections(v *visit) {
	if !h.atHome(v, home) {
		return
	}
	page, err := h.connectionsPage(v)
	if err != nil {
		h.broken(v, "listing connections", err)
		return
	}
	h.render(v, http.StatusOK, "connections", frame{Title: h.say("connections.page"), Body: page})
}

// change wraps what every button of a page has in common: a person, and a form of that page for their session.
func (h *Handler) change(form, page string, do func(v *visit)) http.Handler {
	return h.form(func(v *visit) {
		if !v.signedIn() || !h.tokenValid(v, form) {
			h.staleForm(v, page)
			return
		}
		do(v)
	})
}

// connect makes a ticket that the person asks of themselves, and shows it: one consent page for all ways.
func (h *Handler) connect(v *visit) {
	name := v.r.PostForm.Get("connection")
	if _, ok := h.cfg.Connection(name); !ok {
		h.notFound(v)
		return
	}
	scopes := h.cfg.Scopes(name)
	h.openOwn(v, vault.NotConnected, vault.Option{Connection: name, Scopes: scopes, Missing: scopes, VendorNeeded: true})
}

// reconnect asks again for an account that broke, with the scopes that it had.
func (h *Handler) reconnect(v *visit) {
	a, ok := h.ownAccount(v)
	if !ok {
		return
	}
	reason := map[vault.GrantState]vault.Reason{
		vault.GrantExpired: vault.Expired, vault.GrantNoRefresh: vault.NoRefreshToken, vault.GrantQuarantined: vault.AccountChanged,
	}[a.State]
	switch {
	case reason != "":
	case a.Changed:
		reason = vault.ConnChanged
	default:
		reason = vault.Revoked
	}
	h.openOwn(v, reason, vault.Option{Connection: a.Connection, Scopes: a.Scopes, Grant: a.ID, VendorNeeded: true})
}

func (h *Handler) openOwn(v *visit, why vault.Reason, o vault.Option) {
	t, err := h.ownTicket(v, why, o)
	if err != nil {
		h.ticketError(v, t, "", err)
		return
	}
	h.redirect(v, ticketPath(h.cfg.Vault.Handle(t)))
}

// ownTicket opens a request that a person makes of themselves. All scopes but
// those that say whose account it is may be left out.
func (h *Handler) ownTicket(v *visit, why vault.Reason, o vault.Option) (vault.Ticket, error) {
	p, _ := h.provider(o.Connection)
	o.Optional = slices.DeleteFunc(slices.Clone(o.Scopes), func(s string) bool { return identityOnly(p, s) })
	t, _, err := h.cfg.Vault.OpenTicket(v.ctx(), vault.TicketRequest{
		Owner: v.person, Need: &vault.ConsentError{Reason: why, Options: []vault.Option{o}},
	})
	return t, err
}

// ownAccount is the account that the form names; somebody else's is not found, like one that does not exist.
func (h *Handler) ownAccount(v *visit) (vault.Account, bool) {
	id := v.r.PostForm.Get("account")
	a, err := h.cfg.Vault.Account(v.ctx(), v.person.Caller, id)
	switch {
	case errors.Is(err, vault.ErrNotFound), err == nil && a.ID != id: // a label is no id
		h.notFound(v)
	case err != nil:
		h.broken(v, "reading account", err)
	default:
		return a, true
	}
	return vault.Account{}, false
}

// disconnect ends an account here at once, and says what became of it at the vendor.
func (h *Handler) disconnect(v *visit) {
	a, ok := h.ownAccount(v)
	if !ok {
		return
	}
	done, err := h.cfg.Vault.Disconnect(v.ctx(), v.person.Caller, a.ID)
	if err != nil {
		h.goneOr(v, "disconnecting", err)
		return
	}
	p, _ := h.provider(a.Connection)
	key := "disconnected.here"
	switch {
	case done.AtVendor:
		key = "disconnected.at_vendor"
	case done.Pending:
		key = "disconnected.pending"
	case done.Kept != "":
		key = "disconnected.kept"
	}
	h.notice(v, h.say(key, "account", a.Label, "vendor", titleOf(p, a.Connection), "kept", done.Kept))
	h.redirect(v, home)
}

// stopAccount is the kill switch of one account: no agent uses it until it is let go on.
func (h *Handler) stopAccount(v *visit) {
	if a, ok := h.ownAccount(v); ok {
		h.stop(v, vault.StopScope{Account: a.ID}, a.Label, home, formConnections)
	}
}

func (h *Handler) resumeAccount(v *visit) {
	if a, ok := h.ownAccount(v); ok {
		h.resume(v, vault.StopScope{Account: a.ID}, a.Label, home)
	}
}

func (h *Handler) makeDefault(v *visit) {
	a, ok := h.ownAccount(v)
	if !ok {
		return
	}
	if err := h.cfg.Vault.SetDefault(v.ctx(), v.person.Caller, a.ID); err != nil {
		h.broken(v, "setting default", err)
		return
	}
	h.notice(v, h.say("connections.now_default", "account", a.Label))
	h.redirect(v, home)
}
