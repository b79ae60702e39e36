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
	if h.cfg.Local == nil || h.cfg.Peer == nil {
		return true
	}
	err := h.cfg.Peer(v.r)
	if err == nil || errors.Is(err, ErrPeerUnknown) {
		v.own = err == nil
		return true
	}
	h.cfg.Logger.Warn("browser refused", "reason", err)
	h.noteRequest(v, "peer")
	h.message(v, h.tell(http.StatusForbidden, toneBad, "peer.other"))
	return false
}
