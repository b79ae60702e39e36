package consent

import (
	"context"
	"slices"
	"time"

	"github.com/grantry/grantry/vault"
)

// endsSoon is how long before its end access is marked.
const endsSoon = 3 * 24 * time.Hour

// agentsPage is who acts for a person, what they may use until when, and the switches that end it.
type agentsPage struct {
	Notice      text
	Owner, CSRF string
	Stopped     text // since when everything is stopped, "" when it is not
	Groups      []agentGroup
}

// agentGroup are agents of the same name and redirect host: one program, as far as anybody can tell.
type agentGroup struct {
	Agent  *agentView
	Agents []knownView
	Times  text // seen several times, "" for one
}

type knownView struct {
	Key, Newest   string // agent keys; Newest is of the group's, "" on that one itself
	Agent         *agentView
	Seen, Stopped text
	Access        []accessView
	Standing      []standingView
	CanMove       bool
	Logins        []loginView
	Idle          bool // it is logged in, and has asked for nothing that could be stopped
	IsNewest      bool // of several
}

type standingView struct {
	ID, Account string
	Tool        string
	Until       text
}

func (h *Handler) agentsPage(v *visit) (page agentsPage, err error) {
	who := v.person.Caller
	known, err := h.cfg.Vault.Agents(v.ctx(), who)
	if err != nil {
		return page, err
	}
	labels, err := h.accountLabels(v.ctx(), who)
	if err != nil {
		return page, err
	}
	stops, err := h.stopsSince(v.ctx(), who)
	if err != nil {
		return page, err
	}
	logins, err := h.logins(v.ctx(), who)
	if err != nil {
		return page, err
	}
	page.Owner, page.CSRF, page.Notice = shown(v.person.Label(), 80), h.token(v, formAgents), h.takeNotice(v)
	page.Stopped = stops[vault.StopScope{}]
	for _, group := range grouped(alsoLoggedIn(known, logins)) {
		view := h.groupView(group, labels, stops)
		for i := range view.Agents {
			a := &view.Agents[i]
			a.Logins = h.loginViews(logins[a.Key])
			a.Idle = !slices.ContainsFunc(known, func(k vault.KnownAgent) bool { return k.Key == a.Key })
		}
		page.Groups = append(page.Groups, view)
	}
	return page, nil
}

// stopsSince are since when what is stopped, in words.
func (h *Handler) stopsSince(ctx context.Context, who vault.Caller) (map[vault.StopScope]text, error) {
	stops, err := h.cfg.Vault.Stops(ctx, who)
	since := map[vault.StopScope]text{}
	for _, s := range stops {
		since[s.StopScope] = h.pages.ago(h.cfg.Now(), s.Since)
	}
	return since, err
}

// accountLabels are the person's accounts by id.
func (h *Handler) accountLabels(ctx context.Context, who vault.Caller) (map[string]string, error) {
	accounts, err := h.cfg.Vault.Accounts(ctx, who)
	labels := map[string]string{}
	for _, a := range accounts {
		labels[a.ID] = shown(a.Label, 80)
	}
	return labels, err
}

// grouped puts agents of one group together, in the order of the first of each.
func grouped(known []vault.KnownAgent) (out [][]vault.KnownAgent) {
	at := map[string]int{}
	for _, k := range known {
		i, ok := at[k.Group]
		if !ok {
			i = len(out)
			at[k.Group], out = i, append(out, nil)
		}
		out[i] = append(out[i], k)
	}
	return out
}

func (h *Handler) groupView(known []vault.KnownAgent, labels map[string]string, stops map[vault.StopScope]text) agentGroup {
	newest := slices.MaxFunc(known, func(a, b vault.KnownAgent) int { return a.First.Compare(b.First) })
	g := agentGroup{Agent: h.agentView(newest.Agent)}
	if len(known) > 1 {
		g.Times = h.say("agents.several", "n", len(known))
	}
	for _, k := range known {
		view := h.knownView(k, labels)
		if since, ok := stops[vault.StopScope{Agent: k.Key}]; ok {
			view.Stopped = h.say("agents.stopped", "when", since)
		}
		view.IsNewest = len(known) > 1 && k.Key == newest.Key
		if newest.Inherits(k) {
			view.Newest, view.CanMove = newest.Key, slices.ContainsFunc(k.Access, h.movable)
		}
		g.Agents = append(g.Agents, view)
	}
	return g
}

func (h *Handler) knownView(k vault.KnownAgent, labels map[string]string) knownView {
	now := h.cfg.Now()
	view := knownView{Key: k.Key, Agent: h.agentView(k.Agent), Seen: h.say("agents.first", "first", h.date(k.First))}
	if !k.Last.IsZero() {
		view.Seen = h.say("agents.seen", "first", h.date(k.First), "last", h.pages.ago(now, k.Last))
	}
	for _, x := range k.Access {
		if lives(x, now) {
			view.Access = append(view.Access, h.accessView(x))
		}
	}
	for _, s := range k.Standing {
		view.Standing = append(view.Standing, standingView{
			ID: s.ID, Tool: shown(s.Tool, 120), Account: labels[s.Account], Until: h.pages.until(now, s.Until),
		})
	}
	return view
}

// agentView is agentOf for a list, in which an agent without a name or an id has its place, too.
func (h *Handler) agentView(a vault.Agent) *agentView {
	if view := h.agentOf(a); view != nil {
		return view
	}
	return &agentView{Name: bare(h.say("words.unnamed")), Initial: "?"}
}

// lives says whether an access may still be used.
func lives(x vault.Access, now time.Time) bool { return !x.Spent && ends(x).After(now) }

// ends is when access ends, as far as it is known now: by its date, or because nobody uses it.
func ends(x vault.Access) time.Time {
	if !x.Ends.IsZero() && x.Ends.Before(x.Expires) {
		return x.Ends
	}
	return x.Expires
}
