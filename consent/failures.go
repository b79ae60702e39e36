package consent

import (
	"errors"
	"net/http"

	"github.com/grantry/grantry/vault"
)

const copiedText = "It was copied or restored from a backup, and nobody has said yet that it is the one that lives, so it contacts no vendor. " +
	"The person who runs it confirms that by: grantry restore --confirm. Then try again."

// failure is the page for a vendor visit that made no grant: what went wrong
// and what to do, in our words. Labels of accounts are the only thing from
// outside on it.
func (h *Handler) failure(fe *vault.FlowError) message {
	p, _ := h.provider(fe.Connection)
	vendor := titleOf(p, fe.Connection)
	m := message{Status: http.StatusBadRequest, Tone: toneBad}
	switch fe.Failure {
	case vault.FlowState:
		m.Tone, m.Title = tonePlain, "This answer was used already, or is not ours"
		m.Text = []string{"Every visit to " + vendor + " counts once. If you have just connected your account, it is on your connections page; otherwise open the link again."}
	case vault.FlowBrowser:
		m.Status, m.Title = http.StatusForbidden, "Another browser started this"
		m.Text = []string{
			vendor + " sent you here, but the button was pressed in another browser or by another person. The answer was not used and nothing was connected.",
			"If somebody sent you the page at " + vendor + ": close this tab. What you connect would end up in their vault.",
		}
	case vault.FlowIssuer:
		m.Status, m.Title = http.StatusForbidden, "That answer did not come from "+vendor
		m.Text = []string{"It was given in another service's name, so it was not used. Open the link again; if it happens again, tell the person who runs this vault."}
	case vault.FlowDenied:
		m.Status, m.Tone, m.Title = http.StatusOK, tonePlain, "You declined at "+vendor
		m.Text = []string{"Nothing was connected, and the request is closed. If that was a mistake, connect the account yourself on your connections page, or ask your agent to try again in a few minutes."}
	case vault.FlowScopes:
		m.Title = vendor + " allowed less than what is needed"
		m.Text = []string{"Nothing was stored. Try again and leave all the boxes ticked on " + vendor + "'s page. If there are no boxes, your organisation may not allow it."}
		for _, one := range permissionsOf(p, fe.Missing) {
			m.Facts = append(m.Facts, fact{Name: "Missing", Value: one.Text})
		}
	case vault.FlowAccount:
		m.Status, m.Title = http.StatusConflict, "That was another "+vendor+" account"
		m.Text = []string{"The request is about the account below. Nothing of the other one was kept. Try again and choose the right account at " + vendor + "."}
		m.Facts = accountFacts("Needed", fe.Want, "You chose", fe.Got)
	case vault.FlowEmail:
		m.Status, m.Title = http.StatusForbidden, "That "+vendor+" account belongs to another address"
		m.Text = []string{"A vault keeps only accounts of the person who is signed in. Nothing of it was kept. Try again with your own account."}
		m.Facts = accountFacts("Signed in here as", fe.Want, "Account at "+vendor, fe.Got)
	default:
		h.vendorFailure(&m, fe, vendor)
	}
	return m
}

// vendorFailure is for what the person cannot mend alone.
func (h *Handler) vendorFailure(m *message, fe *vault.FlowError, vendor string) {
	m.Status = http.StatusBadGateway
	switch fe.Failure {
	case vault.FlowUnreachable:
		m.Title = vendor + " did not answer"
		m.Text = []string{"Your yes arrived, but " + vendor + " could not be reached to finish. Nothing was stored. Wait a moment and try again."}
	case vault.FlowVault:
		if errors.Is(fe, vault.ErrCopied) {
			m.Status, m.Title = http.StatusServiceUnavailable, "This vault is a copy"
			m.Text = []string{copiedText}
			return
		}
		m.Status, m.Title = http.StatusInternalServerError, "The vault could not store it"
		m.Text = []string{"Your yes arrived, but this vault cannot be written at the moment, so nothing was kept. Its operator finds the reason in the log. Try again when it is mended."}
	case vault.FlowRejected:
		m.Title = vendor + " did not take its own answer back"
		m.Text = []string{"That happens when the page was open for too long. Nothing was stored. Try again."}
	case vault.FlowOperator:
		m.Title = "This vault is not set up right for " + vendor
		m.Text = []string{vendor + " does not know this vault's registration. The person who runs the vault has to check the connection's client_id and client_secret; the log says more. Trying again will not help."}
	case vault.FlowNoRefresh:
		m.Title = vendor + " gave access for a short time only"
		m.Text = []string{"Without lasting access your agent would have to ask you again within the hour, so nothing was stored. Try again; if it stays so, remove this vault's app in your " + vendor + " account first."}
	case vault.FlowIdentity:
		m.Title = vendor + " did not say whose account that is"
		m.Text = []string{"Grantry stores no access without knowing its owner. Nothing was stored. Try again in a moment."}
	default:
		m.Title = vendor + " reported an error"
		m.Text = []string{"Nothing was connected. Try again; if it happens again, the person who runs this vault finds the reason in its log."}
	}
}

func accountFacts(name1, value1, name2, value2 string) []fact {
	var out []fact
	for _, f := range []fact{{name1, value1}, {name2, value2}} {
		if f.Value = shown(f.Value, 80); f.Value != "" {
			out = append(out, f)
		}
	}
	return out
}
