package consent

import (
	"errors"
	"net/http"
)

// ErrPeerUnknown says that this system does not tell which user holds the other end of a connection.
var ErrPeerUnknown = errors.New("cannot tell whose browser this is")

// ErrPeerOther says that the other end of the connection belongs to another user of this machine.
var ErrPeerOther = errors.New("browser of another user")

// peerAllowed runs the peer check on every request, so on the vendor's
// callback, too: before a code is redeemed.
func (h *Handler) peerAllowed(v *visit) bool {
	if h.cfg.Peer == nil {
		return true
	}
	err := h.cfg.Peer(v.r)
	if err == nil {
		return true
	}
	h.cfg.Logger.Warn("browser refused", "reason", err)
	if errors.Is(err, ErrPeerUnknown) {
		h.noteRequest(v, "peer_unknown")
	} else {
		h.noteRequest(v, "peer")
	}
	h.message(v, peerMessage(err))
	return false
}

func peerMessage(err error) message {
	m := message{
		Status: http.StatusForbidden, Tone: toneBad, Title: "This vault belongs to another user of this machine",
		Text: []string{
			"Only a browser that the vault's owner has started may open its pages. Nothing was done.",
			"If the vault is yours, open the link in a browser of the user who runs Grantry. For a vault of your own, run Grantry as yourself, with another listen address.",
		},
	}
	if errors.Is(err, ErrPeerUnknown) {
		m.Title = "Grantry cannot tell whose browser this is"
		m.Text = []string{
			"On a local vault only the browser of the person who runs Grantry may open its pages, and this system does not say who started yours. Nothing was done.",
			"Pairing a browser with “grantry signin” is coming. Until then run “grantry serve” with identity.issuer in its config, where you sign in instead.",
		}
	}
	return m
}
