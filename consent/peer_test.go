package consent_test

import (
	"net/http"
	"testing"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/vault"
)

// TestPeerRefused holds R03 on a local vault: a browser of another user sees
// and does nothing, and its callback redeems nothing, also when it is refused only there.
func TestPeerRefused(t *testing.T) {
	t.Parallel()
	for err, says := range map[error]string{
		consent.ErrPeerOther: "another user of this machine", consent.ErrPeerUnknown: "grantry signin",
	} {
		var refuse error
		w := newWorld(t, local, func(w *world) { w.cfg.Peer = func(*http.Request) error { return refuse } })
		h := w.vault.add(w.request("alice"))
		b := w.browser("alice")
		open := b.get("/consent/"+h).want(t, http.StatusOK)
		to := callbackOf(t, b.post("/consent/"+h, open, "answer", "allow"))
		refuse = err
		for _, path := range []string{"/consent/" + h, "/connections", to, "/signin", "/consent/none"} {
			b.get(path).want(t, http.StatusForbidden, says).without(t, "Claude", "alice")
		}
		b.post("/consent/"+h, open, "answer", "decline").want(t, http.StatusForbidden, says)
		if w.vault.redeemed != 0 || w.vault.ticket(h).State != vault.TicketStarted {
			t.Error("something was done")
		}
	}
}
