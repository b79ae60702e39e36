package consent_test

import (
	"net/http"
	"testing"

	"github.com/grantry/grantry/vault"
)

// nightly is the ticket of a workload.
func (w *world) nightly(wider bool) vault.Ticket {
	t := w.request("alice")
	t.Tool, t.Wider = "", wider
	t.Agent = vault.Agent{Issuer: vault.WorkloadIssuer, ID: "nightly", Name: "nightly", Verified: true}
	return t
}

// TestWorkloadPage: of a workload, which is handed tokens, the page does not say that it never sees one, and it names who knows it.
func TestWorkloadPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.browser("alice").get("/consent/"+w.vault.add(w.nightly(false))).want(t, http.StatusOK,
		"nightly wants to read your Google Calendar", "nightly verified", "The configuration of this vault knows it as nightly",
		"It will not be able to", "Change, send or delete anything",
		"nightly never sees your password. It is handed tokens of your account that can do what stands above, and nothing else.").
		without(t, "password or token", "able to do more", "Your sign-in")
}

// TestWiderPage: where the operator allows tokens wider than what is asked for, the page says so, and promises nothing that does not hold.
func TestWiderPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, change := range map[string]func(*vault.Ticket){
		"connect": func(*vault.Ticket) {},
		"access":  func(t *vault.Ticket) { t.Kind, t.Options[0].VendorNeeded = vault.KindAccess, false },
		"choice": func(t *vault.Ticket) {
			t.Options = append(t.Options, vault.Option{Connection: "slack", Scopes: []string{"chat:write"}, VendorNeeded: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			ticket := w.nightly(true)
			change(&ticket)
			p := w.browser("alice").get("/consent/"+w.vault.add(ticket)).want(t, http.StatusOK,
				"It will be able to", "It will be able to do more than that.",
				"Google gives no tokens that can do less than everything that you have allowed this vault at Google, now or later, and nightly is handed such tokens.",
				"Whoever runs this vault has agreed to that", "nightly never sees your password. It is handed tokens of your account.").
				without(t, "It will not be able to", "nothing else", "password or token", "Change, send or delete anything")
			checkInert(t, p)
		})
	}
}
