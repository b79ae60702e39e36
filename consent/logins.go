package consent

import (
	"context"
	"slices"
	"strings"

	"github.com/grantry/grantry/vault"
)

// Logins are the clients that are logged in at the built-in authorization server in a person's name.
type Logins interface {
	Logins(ctx context.Context, c vault.Caller) ([]vault.Login, error)
	// EndLogin ends one of the caller's at once, with all its tokens. vault.ErrNotFound where they have no such login.
	EndLogin(ctx context.Context, c vault.Caller, id string) error
}

// loginView is one login of an agent.
type loginView struct {
	ID          string
	Since, Used text
}

// logins are the person's by the key of their agent, the newest first; none where the built-in server is not ours.
func (h *Handler) logins(ctx context.Context, c vault.Caller) (map[string][]vault.Login, error) {
	if h.cfg.Logins == nil {
		return nil, nil
	}
	all, err := h.cfg.Logins.Logins(ctx, c)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b vault.Login) int { return b.Since.Compare(a.Since) })
	by := map[string][]vault.Login{}
	for _, l := range all {
		key := h.cfg.Vault.AgentKey(l.Agent)
		by[key] = append(by[key], l)
	}
	return by, nil
}

// alsoLoggedIn adds to the agents that a person has met those that are logged in and have asked for nothing yet.
func alsoLoggedIn(known []vault.KnownAgent, logins map[string][]vault.Login) []vault.KnownAgent {
	var more []vault.KnownAgent
	for key, all := range logins {
		if slices.ContainsFunc(known, func(k vault.KnownAgent) bool { return k.Key == key }) {
			continue
		}
		k := vault.KnownAgent{Key: key, Group: "login " + key, Agent: all[0].Agent, First: all[0].Since, Last: all[0].Used}
		for _, l := range all {
			if l.Since.Before(k.First) {
				k.First = l.Since
			}
			if l.Used.After(k.Last) {
				k.Last = l.Used
			}
		}
		more = append(more, k)
	}
	slices.SortFunc(more, func(a, b vault.KnownAgent) int { return strings.Compare(a.Key, b.Key) })
	return slices.Concat(known, more)
}

func (h *Handler) loginViews(all []vault.Login) (out []loginView) {
	now := h.cfg.Now()
	for _, l := range all {
		out = append(out, loginView{
			ID: l.ID, Since: h.say("agents.login_since", "when", h.date(l.Since)), Used: h.say("agents.login_used", "when", h.pages.ago(now, l.Used)),
		})
	}
	return out
}

func (h *Handler) endLogin(v *visit) {
	if h.cfg.Logins == nil {
		h.notFound(v)
		return
	}
	if err := h.cfg.Logins.EndLogin(v.ctx(), v.person.Caller, v.r.PostForm.Get("login")); err != nil {
		h.goneOr(v, "ending a login", err)
		return
	}
	h.notice(v, h.say("agents.login_ended"))
	h.redirect(v, agentsPath)
}
