package consent

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/grantry/grantry/vault"
)

// connectionsPage is what waits for a person, what they connected, and what they could.
type connectionsPage struct {
	Notice, Owner, CSRF string
	Waiting             []waitingView
	Accounts            []accountView
	Connect             []connectView
}

type waitingView struct {
	Headline, Why, When, To string
	Initial                 string
}

type accountView struct {
	ID, Vendor, Initial, Label, Connection string
	State                                  string // "active", "broken" or "off", for the colour
	StateText, Problem                     string
	Default, CanDefault, Over              bool
	Scopes                                 []permission
	Raw                                    []string
	Agents                                 []accessView
	Used, Since                            string
}

type accessView struct {
	ID    string
	Agent *agentView
	Until string
	Used  string
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
	page.Owner, page.CSRF = shown(v.person.Label(), 80), h.token(v, formConnections)
	if v.r.Method == http.MethodGet {
		page.Notice = h.takeNotice(v)
	}
	for _, t := range tickets {
		if !t.Over() {
			page.Waiting = append(page.Waiting, h.waitingView(t))
		}
	}
	for _, a := range inOrder(accounts) {
		page.Accounts = append(page.Accounts, h.accountView(a, accounts, access))
	}
	for _, name := range h.cfg.Vault.Connections() {
		p, _ := h.provider(name)
		title := titleOf(p, name)
		page.Connect = append(page.Connect, connectView{Name: shown(name, 40), Vendor: title, Initial: initial(title)})
	}
	return page, nil
}

func (h *Handler) waitingView(t vault.Ticket) waitingView {
	w := waitingView{
		Headline: h.headline(t), Why: h.why(t), When: ago(h.cfg.Now(), t.Created), To: ticketPath(h.cfg.Vault.Handle(t)), Initial: "→",
	}
	if a := agentOf(t.Agent); a != nil {
		w.Initial = a.Initial
	}
	return w
}

// inOrder puts what works before what does not, and what is disconnected last; the vault's order otherwise.
func inOrder(accounts []vault.Account) []vault.Account {
	rank := func(a vault.Account) int {
		switch a.State {
		case vault.GrantRevoked:
			return 2
		case vault.GrantActive:
			return 0
		}
		return 1
	}
	out := slices.Clone(accounts)
	slices.SortStableFunc(out, func(a, b vault.Account) int { return cmp.Compare(rank(a), rank(b)) })
	return out
}

func (h *Handler) accountView(a vault.Account, all []vault.Account, access []vault.Access) accountView {
	p, _ := h.provider(a.Connection)
	view := accountView{
		ID: a.ID, Vendor: titleOf(p, a.Connection), Label: shown(a.Label, 80), Connection: shown(a.Connection, 40),
		Default: a.Default, Over: a.State == vault.GrantRevoked, Scopes: permissionsOf(p, a.Scopes),
		Used: h.used(a.Used), Since: clock(a.Created),
	}
	view.Initial = initial(view.Vendor)
	view.State, view.StateText, view.Problem = stateWords(a, view.Vendor)
	view.CanDefault = !a.Default && a.State == vault.GrantActive && siblings(all, a) > 0
	for _, s := range a.Scopes {
		view.Raw = append(view.Raw, shown(s, 120))
	}
	if view.Over {
		return view
	}
	for _, x := range access {
		if x.Account == a.ID && x.Expires.After(h.cfg.Now()) {
			view.Agents = append(view.Agents, h.accessView(x))
		}
	}
	return view
}

func (h *Handler) accessView(x vault.Access) accessView {
	view := accessView{ID: x.ID, Agent: agentOf(x.Agent), Until: "until " + clock(x.Expires), Used: h.used(x.Used)}
	if view.Agent == nil {
		view.Agent = &agentView{Name: "An agent without a name", Initial: "?"}
	}
	if x.Once {
		view.Until = "for one call"
	}
	return view
}

func (h *Handler) used(t time.Time) string {
	if t.IsZero() {
		return "not used yet"
	}
	return "used " + ago(h.cfg.Now(), t)
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

func stateWords(a vault.Account, vendor string) (state, text, problem string) {
	switch {
	case a.State == vault.GrantRevoked:
		return "off", "Disconnected", ""
	case a.State == vault.GrantExpired:
		return "broken", "Ended by " + vendor, vendor + " no longer takes this connection. Connect it again to go on."
	case a.State == vault.GrantNoRefresh:
		return "broken", "Ran out", "It could not be renewed. Connect it again to go on."
	case a.State == vault.GrantQuarantined:
		return "broken", "Set aside", "Something about this connection did not check out, so no agent can use it. Connect it again, or disconnect it."
	case a.Changed:
		return "broken", "Settings changed", "This vault's settings for " + vendor + " have changed since you connected. Nothing is sent until you connect it again."
	case a.Failures > 0:
		return "broken", "Not reachable", vendor + " did not answer lately. Grantry keeps trying."
	}
	return "active", "Connected", ""
}
