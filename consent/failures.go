package consent

import (
	"errors"
	"net/http"

	"github.com/grantry/grantry/vault"
)

// failure is the page for a vendor visit that made no grant: what went wrong
// and what to do, in our words. Labels of accounts are the only thing from
// outside on it.
func (h *Handler) failure(fe *vault.FlowError) message {
	p, _ := h.provider(fe.Connection)
	vendor := titleOf(p, fe.Connection)
	status, key := failureKind(fe)
	m := h.tell(status, failureTone(fe.Failure), key, "vendor", vendor)
	switch fe.Failure {
	case vault.FlowScopes:
		for _, one := range h.permissionsOf(p, fe.Missing) {
			m.Facts = append(m.Facts, fact{Name: h.say("failed.missing"), Value: bare(one.Text)})
		}
	case vault.FlowAccount, vault.FlowEmail, vault.FlowDomain:
		m.Facts = labels(h.say(key+"_want"), fe.Want, h.say(key+"_got", "vendor", vendor), fe.Got)
	}
	return m
}

// failureKind is the status of a failure's page and its words.
func failureKind(fe *vault.FlowError) (status int, key string) {
	switch f := fe.Failure; f {
	case vault.FlowState, vault.FlowScopes:
		return http.StatusBadRequest, "failed." + string(f)
	case vault.FlowBrowser, vault.FlowIssuer, vault.FlowEmail, vault.FlowDomain:
		return http.StatusForbidden, "failed." + string(f)
	case vault.FlowDenied:
		return http.StatusOK, "failed." + string(f)
	case vault.FlowAccount:
		return http.StatusConflict, "failed." + string(f)
	case vault.FlowVault:
		if errors.Is(fe, vault.ErrCopied) {
			return http.StatusServiceUnavailable, "setup.copy"
		}
		return http.StatusInternalServerError, "failed." + string(f)
	case vault.FlowUnreachable, vault.FlowRejected, vault.FlowOperator, vault.FlowNoRefresh, vault.FlowIdentity:
		return http.StatusBadGateway, "failed." + string(f)
	}
	return http.StatusBadGateway, "failed." + string(vault.FlowVendor)
}

func failureTone(f vault.FlowFailure) tone {
	if f == vault.FlowState || f == vault.FlowDenied {
		return tonePlain
	}
	return toneBad
}

// labels are the two accounts of which a failure speaks, as far as it knows them.
func labels(name1 text, value1 string, name2 text, value2 string) []fact {
	var out []fact
	for _, f := range []fact{{name1, value1}, {name2, value2}} {
		if f.Value = shown(f.Value, 80); f.Value != "" {
			out = append(out, f)
		}
	}
	return out
}
