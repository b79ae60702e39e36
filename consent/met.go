package consent

import (
	"github.com/grantry/grantry/vault"
)

// metView is an agent that the person has met, as a choice on a form.
type metView struct {
	Key   string
	Agent *agentView
	Last  text
}

// met are the known agents that a ticket's page offers: on a person's own
// ticket those that may use the account, on an agent's those of its name and
// host whose access can go over to it. A vault that does not tell them only makes the page say less.
func (h *Handler) met(v *visit, t vault.Ticket) (known, earlier []metView) {
	all, err := h.cfg.Vault.Agents(v.ctx(), t.Owner.Caller)
	if err != nil {
		h.cfg.Logger.Warn("agents not read", "error", err)
		return nil, nil
	}
	own := t.Agent.ID == ""
	key, group := h.cfg.Vault.AgentKey(t.Agent), ""
	for _, a := range all {
		if !own && a.Key == key {
			group = a.Group
		}
	}
	for _, a := range all {
		switch {
		case !a.Stopped.IsZero() || a.Agent.ID == "":
		case own:
			known = append(known, h.metView(a))
		case a.Key != key && group != "" && a.Group == group && h.live(a.Access):
			earlier = append(earlier, h.metView(a))
		}
	}
	return known, earlier
}

func (h *Handler) metView(a vault.KnownAgent) metView {
	return metView{Key: a.Key, Agent: h.agentOf(a.Agent), Last: h.pages.ago(h.cfg.Now(), a.Last)}
}

// live says whether any of an agent's access has not ended.
func (h *Handler) live(access []vault.Access) bool {
	for _, a := range access {
		if !a.Once && a.Expires.After(h.cfg.Now()) && (a.Ends.IsZero() || a.Ends.After(h.cfg.Now())) {
			return true
		}
	}
	return false
}
