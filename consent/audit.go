package consent

import (
	"errors"

	"github.com/grantry/grantry/vault"
)

// note writes down something that was refused. Whoever sends requests can cause
// it at will, so the vault counts what repeats.
func (h *Handler) note(v *visit, e vault.Entry) {
	e.Result, e.Caller = "refused", v.person.Caller
	if err := h.cfg.Vault.Note(v.ctx(), e); err != nil {
		h.cfg.Logger.Error("audit not written", "kind", e.Kind, "error", err)
	}
}

func (h *Handler) noteRequest(v *visit, why string) {
	h.note(v, vault.Entry{Kind: "request.refused", Reason: why})
}

func (h *Handler) noteSignIn(v *visit, why string) {
	h.note(v, vault.Entry{Kind: "signin.refused", Reason: why})
}

// noteSession notes a cookie that stands for nobody: for none that there is, or for one whose time is over.
func (h *Handler) noteSession(v *visit, cookie string, s session) {
	switch {
	case cookie == "" || v.signedIn():
	case s.SID == "":
		h.note(v, vault.Entry{Kind: "session.refused", Reason: "unknown"})
	case !s.Person.IsZero():
		h.note(v, vault.Entry{Kind: "session.refused", Reason: "expired"})
	}
}

// signInReason is our code for a sign-in that made no session.
func signInReason(err error) string {
	switch {
	case errors.Is(err, errIssuerMixup):
		return "issuer"
	case errors.Is(err, errStale):
		return "too_old"
	case errors.Is(err, errIssuerDown):
		return "issuer_unreachable"
	case errors.Is(err, errIdentity):
		return "identity"
	}
	return "misconfigured"
}
