package consent

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/grantry/grantry/vault"
)

// appView is what a ticket's page says of the application that asked for it.
type appView struct {
	Back    text   // where the browser goes afterwards
	Vouched []text // said where nobody signs in, because the application answers for its user
}

func (h *Handler) appView(v *visit, t vault.Ticket) *appView {
	if t.App == nil {
		return nil
	}
	name, to := h.agentOf(t.Agent).Name, appHost(t)
	out := &appView{Back: h.say("app.back", "to", to)}
	if v.vouched {
		m := h.tell(http.StatusOK, toneBad, "app.vouched", "agent", name, "owner", t.Owner.Label(), "to", to)
		out.Vouched = append([]text{m.Title}, m.Text...)
	}
	return out
}

// keptScopes are those that the vendor is asked for again beside an application's, so that connecting loses none of
// them: all that the person's accounts there have. Where nobody signed in they are not told.
func (h *Handler) keptScopes(v *visit, t vault.Ticket, o vault.Option) (kept []string) {
	if t.App == nil || v.vouched {
		return nil
	}
	all, err := h.cfg.Vault.Accounts(v.ctx(), t.Owner.Caller)
	if err != nil {
		h.cfg.Logger.Warn("accounts not read", "error", err) // the page only says less
	}
	for _, a := range all {
		if a.Connection == o.Connection && a.State == vault.GrantActive {
			kept = append(kept, a.Scopes...)
		}
	}
	return kept
}

// vouch lets a browser in which nobody is signed in answer for the owner of a ticket
// whose application answers for who sits there (binding: app). It is told by its visitor's
// cookie until the vendor has sent it back. Somebody who is signed in stays who they are.
func (h *Handler) vouch(v *visit, t vault.Ticket) {
	if v.signedIn() || t.App == nil || !t.App.Vouched {
		return
	}
	id, err := h.visitor(v)
	if err != nil {
		h.cfg.Logger.Error("visitor not drawn", "error", err)
		return
	}
	v.person, v.vouched, v.visitor = t.Owner, true, id
}

// vouchForFlow is vouch for a browser that comes back from a vendor.
func (h *Handler) vouchForFlow(v *visit, connection string) {
	if v.signedIn() {
		return
	}
	if t, err := h.cfg.Vault.FlowOwner(v.ctx(), connection, v.r.URL.Query().Get("state")); err == nil {
		h.vouch(v, t)
	}
}

func returnPath(handle string) string { return ticketPath(handle) + "/return" }

// returnToApp is where a page of ours moves on to after an answer: it sends the browser
// back to the application. What it says is made of the ticket, so that it changes nothing however often it is loaded.
func (h *Handler) returnToApp(v *visit) {
	handle := v.r.PathValue("handle")
	t, ok := h.findTicket(v, handle)
	if !ok {
		return
	}
	h.vouch(v, t)
	switch {
	case t.App == nil:
		h.notFound(v)
	case v.r.Method == http.MethodHead:
		v.w.WriteHeader(http.StatusNoContent)
	case !v.signedIn():
		h.askSignIn(v, comeBack{Path: ticketPath(handle)})
	case v.person.Caller != t.Owner.Caller:
		h.foreign(v, t, handle)
	case t.State == vault.TicketDeclined:
		h.appError(v, t, vault.FlowDenied)
	case !h.appCode(v, t):
		h.redirect(v, ticketPath(handle))
	}
}

// appCode sends the browser that went to the vendor back to the application, with the
// code by which it completes the connection; false for another browser, and where nothing waits.
func (h *Handler) appCode(v *visit, t vault.Ticket) bool {
	code, ok := h.cfg.Vault.ConnectCode(t, h.sid(v))
	if ok {
		h.toApp(v, t, url.Values{"connect_code": {code}})
	}
	return ok
}

// appError sends the browser back with what went wrong, in our words: nothing of the vendor's.
func (h *Handler) appError(v *visit, t vault.Ticket, why vault.FlowFailure) {
	code, key := "server_error", "app.failed"
	switch why {
	case vault.FlowDenied:
		code, key = "access_denied", "app.denied"
	case vault.FlowDomain:
		code, key = "access_denied", "app.domain"
	case vault.FlowScopes:
		code, key = "access_denied", "app.scopes"
	case vault.FlowNoRefresh:
		key = "app.no_refresh"
	case vault.FlowOperator:
		key = "app.misconfigured"
	case vault.FlowUnreachable:
		code, key = "temporarily_unavailable", "app.unreachable"
	case vault.FlowVault:
		code, key = "temporarily_unavailable", "app.vault"
	}
	h.toApp(v, t, url.Values{"error": {code}, "error_description": {bare(h.say(key))}})
}

// toApp goes to the address that the application registered and nowhere else. What it has in its query stays.
func (h *Handler) toApp(v *visit, t vault.Ticket, q url.Values) {
	if t.App.State != "" {
		q.Set("state", t.App.State)
	}
	between := "?"
	if strings.Contains(t.App.RedirectURI, "?") {
		between = "&"
	}
	h.redirect(v, t.App.RedirectURI+between+q.Encode())
}

// appHost is where an application's answer goes, as a page shows it: a host, or an app's own scheme.
func appHost(t vault.Ticket) string {
	u, err := url.Parse(t.App.RedirectURI)
	switch {
	case err != nil:
		return ""
	case u.Host == "":
		return shown(u.Scheme+":", 120)
	}
	return shown(u.Host, 120)
}

// failedForApp tells an application that its user's visit to the vendor led to nothing. What
// came from a browser that did not begin it tells nobody anything.
func (h *Handler) failedForApp(v *visit, t vault.Ticket, fe *vault.FlowError) bool {
	if t.App == nil || fe.Ticket == "" || fe.Held || t.Owner.Caller != v.person.Caller || fe.Failure == vault.FlowState || fe.Failure == vault.FlowBrowser {
		return false
	}
	h.appError(v, t, fe.Failure)
	return true
}

// movesOn says on a page of ours what was answered, and goes on to the application: after
// a form a redirect there would break form-action.
func (h *Handler) movesOn(v *visit, t vault.Ticket, handle, key string) {
	m := h.tell(http.StatusOK, tonePlain, key, "agent", h.agentOf(t.Agent).Name, "to", appHost(t))
	m.Links = []link{{Text: h.say("app.go_on", "to", appHost(t)), To: returnPath(handle), Primary: true}}
	h.render(v, m.Status, "message", frame{Title: m.Title, Refresh: returnPath(handle), Body: m})
}

// showWaiting is the page of a ticket whose grant waits for the application's word.
func (h *Handler) showWaiting(v *visit, t vault.Ticket, handle string) {
	m := h.tell(http.StatusOK, tonePlain, "app.waiting", "agent", h.agentOf(t.Agent).Name, "when", h.pages.until(h.cfg.Now(), t.Held.Until))
	if _, ok := h.cfg.Vault.ConnectCode(t, h.sid(v)); ok {
		m.Links = []link{{Text: h.say("app.go_on", "to", appHost(t)), To: returnPath(handle), Primary: true}}
	}
	h.message(v, m)
}
