package consent

import (
	"cmp"
	"slices"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// connectionsPage is what waits for a person, what they connected, and what they could.
type connectionsPage struct {
	Notice      text
	Owner, CSRF string
	Waiting     []waitingView
	Accounts    []accountView
	Connect     []connectView
}

type waitingView struct {
	Headline, Why, When text
	To, Initial         string
}

type accountView struct {
	ID, Vendor, Initial, Label, Connection string
	State                                  string // "active", "broken" or "off", for the colour
	StateText, Problem                     text
	Default, CanDefault, Over              bool
	Scopes                                 []permission
	Raw                                    []string
	Agents                                 []accessView
	Used, EndsBy, Stopped                  text // Stopped: since when its person has stopped it
	Since                                  string
}

// accessView is one agent's access to one account, on the page of either.
type accessView struct {
	ID                     string
	Agent                  *agentView
	Vendor, Initial, Label string // of the account
	Can                    text   // what it lets the agent do
	Until, Used            text
	Soon                   bool // ends within three days
}

type connectView struct{ Name, Vendor, Initial string }

func (h *Handler) connectionsPage(v *visit) (page connectionsPage, err error) {
	who := v.person.Caller
	tickets, err := h.cfg.Vault.Tickets(v.ctx(), who)
	if err != nil {
		return page, err
	}
	accounts, err := h.cfg.Vault.Accounts(v.ctx(), who)
	if err != nil {
		return page, err
	}
	access, err := h.cfg.Vault.AccessList(v.ctx(), who)
	if err != nil {
		return page, err
	}
	stops, err := h.stopsSince(v.ctx(), who)
	if err != nil {
		return page, err
	}
	page.Owner, page.CSRF, page.Notice = shown(v.person.Label(), 80), h.token(v, formConnections), h.takeNotice(v)
	for _, t := range tickets {
		if !t.Over() {
			page.Waiting = append(page.Waiting, h.waitingView(v, t))
		}
	}
	for _, a := range inOrder(accounts) {
		view := h.accountView(a, accounts, access)
		if since, ok := stops[vault.StopScope{Account: a.ID}]; ok {
			view.Stopped = h.say("connections.stopped", "when", since)
		}
		page.Accounts = append(page.Accounts, view)
	}
	for _, name := range h.cfg.Vault.Connections() {
		p, _ := h.provider(name)
		title := titleOf(p, name)
		page.Connect = append(page.Connect, connectView{Name: shown(name, 40), Vendor: title, Initial: initial(title)})
	}
	return page, nil
}

func (h *Handler) waitingView(v *visit, t vault.Ticket) waitingView {
	w := waitingView{
		Headline: h.headline(t), Why: cmp.Or(h.askedFrom(v.ctx(), t), h.why(t)), When: h.pages.ago(h.cfg.Now(), t.Created), To: ticketPath(h.cfg.Vault.Handle(t)), Initial: "→",
	}
	if a := h.agentOf(t.Agent); a != nil {
		w.Initial = a.Initial
	}
	return w
}

// inOrder puts what works before what does not, and what is disconnected last; the vault's order otherwise.
func inOrder(accounts []vault.Account) []vault.Account {
	rank := func(a vault.Account) int {
		switch {
		case disconnected(a):
			return 2
		case a.State == vault.GrantActive:
			return 0
		}
		return 1
	}
	out := slices.Clone(accounts)
	slices.SortStableFunc(out, func(a, b vault.Account) int { return cmp.Compare(rank(a), rank(b)) })
	return out
}

// disconnected says that an account was ended here, and not by its vendor.
func disconnected(a vault.Account) bool { return a.State == vault.GrantRevoked && !a.Taken }

func (h *Handler) accountView(a vault.Account, all []vault.Account, access []vault.Access) accountView {
	p, _ := h.provider(a.Connection)
	view := accountView{
		ID: a.ID, Vendor: titleOf(p, a.Connection), Label: shown(a.Label, 80), Connection: shown(a.Connection, 40),
		Default: a.Default, Over: disconnected(a), Scopes: h.permissionsOf(p, a.Scopes),
		Used: h.used(a.Used), Since: h.date(a.Created),
	}
	view.Initial = initial(view.Vendor)
	view.State, view.StateText, view.Problem = h.stateWords(a, view.Vendor)
	view.CanDefault = !a.Default && a.State == vault.GrantActive && siblings(all, a) > 0
	for _, s := range a.Scopes {
		view.Raw = append(view.Raw, shown(s, 120))
	}
	if view.Over {
		return view
	}
	if !a.EndsBy.IsZero() {
		view.EndsBy = h.say("connections.ends_by", "vendor", view.Vendor, "when", h.date(a.EndsBy))
	}
	for _, x := range access {
		if x.Account == a.ID && lives(x, h.cfg.Now()) {
			view.Agents = append(view.Agents, h.accessView(x))
		}
	}
	return view
}

func (h *Handler) accessView(x vault.Access) accessView {
	now, end := h.cfg.Now(), ends(x)
	p, _ := h.provider(x.Connection)
	view := accessView{
		ID: x.ID, Agent: h.agentView(x.Agent), Vendor: titleOf(p, x.Connection), Label: shown(x.Label, 80), Can: h.mayDo(p, x.Scopes),
		Until: h.say("connections.until", "when", h.date(end)), Used: h.used(x.Used),
	}
	view.Initial = initial(view.Vendor)
	if x.Wider {
		view.Can = h.say("connections.may_more", "may", view.Can)
	}
	switch {
	case x.Once:
		view.Until = h.say("connections.for_one_call")
	case end.Sub(now) < endsSoon:
		view.Until, view.Soon = h.say("connections.ends_soon", "when", h.pages.until(now, end)), true
	}
	return view
}

// mayDo is what scopes allow, in half a sentence.
func (h *Handler) mayDo(p *provider.Provider, scopes []string) text {
	var does []text
	for _, one := range h.permissionsOf(p, slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return identityOnly(p, s) })) {
		does = append(does, phrase(one.Text))
	}
	if len(does) == 0 {
		return h.say("connections.may_identify")
	}
	return h.say("connections.may", "does", h.pages.list(does))
}

// date is a day as people say it, in the time zone of the vault's clock.
func (h *Handler) date(t time.Time) string {
	return t.In(h.cfg.Now().Location()).Format("2 January 2006")
}

func (h *Handler) used(t time.Time) text {
	if t.IsZero() {
		return h.say("connections.unused")
	}
	return h.say("connections.used", "when", h.pages.ago(h.cfg.Now(), t))
}

func siblings(all []vault.Account, a vault.Account) int {
	n := 0
	for _, o := range all {
		if o.ID != a.ID && o.Connection == a.Connection && o.State != vault.GrantRevoked {
			n++
		}
	}
	return n
}

func (h *Handler) stateWords(a vault.Account, vendor string) (state string, words, problem text) {
	key := ""
	switch {
	case disconnected(a):
		return "off", h.say("health.off"), ""
	case a.State == vault.GrantRevoked:
		key = "health.taken"
	case a.State == vault.GrantExpired:
		key = "health.expired"
	case a.State == vault.GrantNoRefresh:
		key = "health.no_refresh"
	case a.State == vault.GrantQuarantined:
		key = "health.quarantined"
	case a.Changed:
		key = "health.changed"
	case a.Failures > 0:
		key = "health.failing"
	default:
		return "active", h.say("health.active"), ""
	}
	return "broken", h.say(key, "vendor", vendor), h.say(key+"_text", "vendor", vendor)
}
