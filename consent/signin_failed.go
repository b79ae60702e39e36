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
	m := h.tell(http.StatusBadRequest, tonePlain, "signin.over")
	m.Links = []link{{Text: h.say("signin.again"), To: "/signin", Primary: true}}
	h.message(v, m)
}

// signInRefused is an answer with an error instead of a code.
func (h *Handler) signInRefused(v *visit, f signInFlow, code string) {
	h.noteSignIn(v, known(code))
	m := h.tell(http.StatusForbidden, tonePlain, "signin.refused")
	if code != "access_denied" {
		h.cfg.Logger.Warn("issuer refused a sign-in", "code", known(code))
		m.Text = append(m.Text, h.say("signin.refused_again"))
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
	status, key := http.StatusBadGateway, "signin.setup"
	switch {
	case errors.Is(err, errIssuerMixup):
		status, key = http.StatusForbidden, "signin.mixup"
	case errors.Is(err, errStale):
		status, key = http.StatusForbidden, "signin.too_old"
	case errors.Is(err, errIssuerDown):
		key = "signin.down"
	case errors.Is(err, errIdentity):
		status, key = http.StatusForbidden, "signin.identity"
	}
	m := h.tell(status, toneBad, key)
	m.Links = h.again(v, f)
	h.message(v, m)
}

// again offers the same sign-in anew, with the same way back.
func (h *Handler) again(v *visit, f signInFlow) []link {
	to, err := h.signInLink(v, f.comeBack)
	if err != nil {
		to = "/signin"
	}
	return []link{{Text: h.say("words.again"), To: to, Primary: true}}
}
