package consent

import (
	"errors"
	"net/http"

	"github.com/grantry/grantry/vault"
)

// signInOver says that an answer of the issuer belongs to no sign-in that is under way.
func (h *Handler) signInOver(v *visit, err error) {
	if !errors.Is(err, vault.ErrNotFound) {
		h.broken(v, "reading sign-in", err)
		return
	}
	h.noteSignIn(v, "state")
	h.message(v, message{
		Status: http.StatusBadRequest, Title: "This sign-in is over",
		Text:  []string{"It was used already, or it took longer than ten minutes."},
		Links: []link{{Text: "Sign in again", To: "/signin", Primary: true}},
	})
}

// signInRefused is an answer with an error instead of a code.
func (h *Handler) signInRefused(v *visit, f signInFlow, code string) {
	h.noteSignIn(v, known(code))
	m := message{
		Status: http.StatusForbidden, Title: "You were not signed in",
		Text: []string{"The sign-in page sent you back without signing you in. Nothing was connected or changed."},
	}
	if code != "access_denied" {
		h.cfg.Logger.Warn("issuer refused a sign-in", "code", known(code))
		m.Text = append(m.Text, "If this happens again, the person who runs this vault finds the reason in its log.")
	}
	m.Links = h.again(v, f)
	h.message(v, m)
}

// known keeps error codes of the standards (RFC 6749 §4.1.2.1, OpenID Connect
// Core §3.1.2.6) and drops everything else that an issuer may send.
func known(code string) string {
	switch code {
	case "access_denied", "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "server_error",
		"temporarily_unavailable", "interaction_required", "login_required", "account_selection_required", "consent_required":
		return code
	}
	return "other"
}

func (h *Handler) signInFailed(v *visit, f signInFlow, err error) {
	h.cfg.Logger.Warn("sign-in made no session", "error", err)
	h.noteSignIn(v, signInReason(err))
	m := message{Tone: toneBad}
	switch {
	case errors.Is(err, errIssuerMixup):
		m.Status, m.Title = http.StatusForbidden, "That answer came from somewhere else"
		m.Text = []string{"The sign-in was answered in another issuer's name, so it was not used."}
	case errors.Is(err, errStale):
		m.Status, m.Title = http.StatusForbidden, "Your sign-in is too old"
		m.Text = []string{"This vault asks for a recent sign-in, and the sign-in page did not ask you again. Sign out there, then try again."}
	case errors.Is(err, errIssuerDown):
		m.Status, m.Title = http.StatusBadGateway, "The sign-in page cannot be reached"
		m.Text = []string{"Grantry could not talk to the issuer where you sign in. Wait a moment and try again."}
	case errors.Is(err, errIdentity):
		m.Status, m.Title = http.StatusForbidden, "The sign-in did not say who you are"
		m.Text = []string{"Grantry could not use the issuer's answer. Try again; if it happens again, the person who runs this vault finds the reason in its log."}
	default:
		m.Status, m.Title = http.StatusBadGateway, "This vault is not set up for sign-in"
		m.Text = []string{"The issuer does not take this vault's registration. The person who runs it finds the reason in its log (identity.issuer, client_id, client_secret)."}
	}
	m.Links = h.again(v, f)
	h.message(v, m)
}

// again offers the same sign-in anew, with the same way back.
func (h *Handler) again(v *visit, f signInFlow) []link {
	to, err := h.signInLink(v, f.comeBack)
	if err != nil {
		to = "/signin"
	}
	return []link{{Text: "Try again", To: to, Primary: true}}
}
