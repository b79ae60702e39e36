package consent_test

import (
	"net/http"
	"testing"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/vault"
)

// TestPeerRefused holds R03 on a local vault: a browser of another user sees
// and does nothing, and its callback redeems nothing, also when it is refused
// only there. The same for one that nobody can tell, until it has signed in by a code.
func TestPeerRefused(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]struct {
		status int
		says   string
	}{
		consent.ErrPeerOther: {http.StatusForbidden, "another user of this machine"}, consent.ErrPeerUnknown: {http.StatusOK, "grantry signin"},
	} {
		var refuse error
		w := newWorld(t, local, func(w *world) { w.cfg.Peer = func(*http.Request) error { return refuse } })
		h := w.vault.add(w.request("alice"))
		b := w.browser("alice")
		open := b.get("/consent/"+h).want(t, http.StatusOK)
		to := callbackOf(t, b.post("/consent/"+h, open, "answer", "allow"))
		refuse = err
		for _, path := range []string{"/consent/" + h, "/connections", "/signin"} {
			b.get(path).want(t, want.status, want.says).without(t, "Claude", "alice")
		}
		b.get(to).want(t, http.StatusForbidden).without(t, "Claude", "alice")
		b.post("/consent/"+h, open, "answer", "decline").want(t, http.StatusForbidden).without(t, "Claude", "alice")
		if w.vault.redeemed != 0 || w.vault.ticket(h).State != vault.TicketStarted {
			t.Error("something was done")
		}
	}
}
