package consent

import (
	"slices"

	"github.com/grantry/grantry/vault"
)

// metView is an agent that the person has met, as a choice on a form.
type metView struct {
	Key   string
	Agent *agentView
	Last  text
}

// met are the known agents that a ticket's page offers: on a person's own
// ticket those that may use the account, on an agent's the earlier ones that it
// inherits from and that may use an account at a vendor that it asks for. A
// vault that does not tell them only makes the page say less.
func (h *Handler) met(v *visit, t vault.Ticket) (known, earlier []metView) {
	if t.Kind == vault.KindApprove { // the yes to a write opens no account
		return nil, nil
	}
	all, err := h.cfg.Vault.Agents(v.ctx(), t.Owner.Caller)
	if err != nil {
		h.cfg.Logger.Warn("agents not read", "error", err)
		return nil, nil
	}
	var asking vault.KnownAgent
	own := t.Agent.ID == ""
	if i := slices.IndexFunc(all, func(a vault.KnownAgent) bool { return a.Key == h.cfg.Vault.AgentKey(t.Agent) }); i >= 0 && !own {
		asking = all[i]
	}
	for _, a := range all {
		switch {
		case !a.Stopped.IsZero() || a.Agent.ID == "":
		case own:
			known = append(known, h.metView(a))
		case asking.Key != "" && asking.Inherits(a) && slices.ContainsFunc(a.Access, func(x vault.Access) bool { return h.movable(x) && asksFor(t, x.Connection) }):
			earlier = append(earlier, h.metView(a))
		}
	}
	return known, earlier
}

// asksFor says whether a ticket would be served by an account at this connection.
func asksFor(t vault.Ticket, connection string) bool {
	return slices.ContainsFunc(t.Options, func(o vault.Option) bool { return o.Connection == connection })
}

func (h *Handler) metView(a vault.KnownAgent) metView {
	return metView{Key: a.Key, Agent: h.agentOf(a.Agent), Last: h.pages.ago(h.cfg.Now(), a.Last)}
}

// movable says whether an access can go over to another agent: it lasts, and has not ended.
func (h *Handler) movable(x vault.Access) bool {
	return !x.Once && lives(x, h.cfg.Now())
}
