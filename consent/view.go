package consent

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// ticketPage is what the consent page shows, in plain words.
type ticketPage struct {
	Owner, Machine string
	Headline       text
	Agent          *agentView // nil when the person asks for themselves
	Why, When      text
	Notice         text // what went wrong at the last try
	Options        []optionView
	Several        bool
	For            text // how long agents may go on
	Action, CSRF   string
}

// agentView is an agent, with how much its name is worth.
type agentView struct {
	Name, Host, Initial string
	Client, At          string // the proven client id, to which access is bound, and the host of who vouches for it; "" on stdio
	Verified            bool
}

// optionView is one way to satisfy the request.
type optionView struct {
	Connection, Vendor, Initial string
	Account                     string // that it would be, "" = the person picks at the vendor
	Can, Already                []permission
	Cannot                      []text
	Raw                         []string
	Next                        string // host of the vendor's page, "" when none is visited
}

func (h *Handler) ticketPage(v *visit, t vault.Ticket, handle string) ticketPage {
	page := ticketPage{
		Owner: shown(t.Owner.Label(), 80), Machine: shown(h.cfg.Machine, 60), Agent: h.agentOf(t.Agent),
		Why: cmp.Or(h.askedFrom(v.ctx(), t), h.why(t)), When: h.pages.ago(h.cfg.Now(), t.Created), For: h.pages.span(h.cfg.AccessTTL), Several: len(t.Options) > 1,
		Action: ticketPath(handle),
	}
	if v.r.Method == http.MethodGet {
		page.CSRF = h.ticketToken(v, t, handle)
	}
	if t.Failure != "" {
		failed := h.failure(&vault.FlowError{Failure: t.Failure, Connection: firstConnection(t)})
		page.Notice = h.say("ticket.failed_before", "failure", failed.Title)
	}
	for _, o := range t.Options {
		page.Options = append(page.Options, h.optionView(v, o))
	}
	page.Headline = h.headline(t)
	return page
}

func firstConnection(t vault.Ticket) string {
	if len(t.Options) == 0 {
		return ""
	}
	return t.Options[0].Connection
}

func (h *Handler) agentOf(a vault.Agent) *agentView {
	if a.ID == "" {
		return nil
	}
	name := shown(a.Label(), 60)
	if name == "" {
		name = bare(h.say("words.unnamed"))
	}
	out := &agentView{Name: name, Host: shown(a.Host, 80), Initial: initial(name), Verified: a.Verified}
	if u, err := url.Parse(a.Issuer); err == nil && a.Issuer != "" {
		out.Client, out.At = shown(a.ID, 120), shown(u.Host, 80)
	}
	return out
}

func initial(s string) string {
	for _, r := range s {
		return string(r)
	}
	return "?"
}

func (h *Handler) optionView(v *visit, o vault.Option) optionView {
	p, _ := h.provider(o.Connection)
	news, have := o.Missing, []string(nil)
	if len(news) == 0 {
		news = o.Scopes
	} else {
		for _, s := range o.Scopes {
			if !slices.Contains(news, s) {
				have = append(have, s)
			}
		}
	}
	view := optionView{
		Connection: o.Connection, Vendor: titleOf(p, o.Connection), Can: h.permissionsOf(p, news), Already: h.permissionsOf(p, have),
	}
	view.Initial = initial(view.Vendor)
	view.Cannot = h.cannot(p, o.Scopes)
	asked := o.Scopes
	if c, ok := h.cfg.Connection(o.Connection); ok && o.VendorNeeded {
		asked = c.Asks(o.Scopes) // what the vendor's screen will list
	}
	for _, s := range asked {
		view.Raw = append(view.Raw, shown(s, 120))
	}
	if o.VendorNeeded {
		view.Next = h.vendorHost(v, o.Connection)
	}
	if o.Grant != "" {
		view.Account = shown(h.accountOf(v, vault.Ticket{Grant: o.Grant}).Label, 80)
	}
	return view
}

// cannot says what the scopes leave out. "Nothing is changed" is said only when
// every scope is known to us and none of them writes.
func (h *Handler) cannot(p *provider.Provider, scopes []string) []text {
	out := []text{h.say("scope.no_others")}
	for _, one := range h.permissionsOf(p, scopes) {
		if one.Write || !one.Known {
			return out
		}
	}
	return append([]text{h.say("scope.no_writes")}, out...)
}

// headline says in one sentence who wants what.
func (h *Handler) headline(t vault.Ticket) text {
	if len(t.Options) == 0 {
		return h.say("ticket.page")
	}
	o := t.Options[0]
	p, _ := h.provider(o.Connection)
	vendor, who := titleOf(p, o.Connection), h.agentOf(t.Agent)
	deeds := h.deeds(p, o)
	switch {
	case who == nil && o.Grant != "":
		return h.say("ticket.connect_again", "vendor", vendor)
	case who == nil:
		return h.say("ticket.connect", "vendor", vendor)
	case len(t.Options) > 1:
		return h.say("ticket.wants_one", "agent", who.Name)
	case deeds != "":
		return h.say("ticket.wants_to", "agent", who.Name, "deeds", deeds, "vendor", vendor)
	}
	return h.say("ticket.wants_use", "agent", who.Name, "vendor", vendor)
}

// maxDeeds is how much of what an agent wants fits a headline.
const maxDeeds = 60

// deeds are up to two things that an option allows, or "" when they do not fit a sentence.
func (h *Handler) deeds(p *provider.Provider, o vault.Option) text {
	scopes := o.Missing
	if len(scopes) == 0 {
		scopes = o.Scopes
	}
	scopes = slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return identityOnly(p, s) })
	all := h.permissionsOf(p, scopes)
	if len(all) == 0 || len(all) > 2 {
		return ""
	}
	var parts []text
	for _, one := range all {
		if !one.Known {
			return ""
		}
		parts = append(parts, phrase(one.Text))
	}
	if does := h.pages.list(parts); len(bare(does)) <= maxDeeds {
		return does
	}
	return ""
}

// why says what led here.
func (h *Handler) why(t vault.Ticket) text {
	p, _ := h.provider(firstConnection(t))
	who := h.agentOf(t.Agent)
	if who == nil {
		return h.say("why.self")
	}
	key := "why." + string(t.Reason)
	if !h.pages.has(key) {
		return h.say("why.needs_answer", "agent", who.Name)
	}
	because := h.say(key, "vendor", titleOf(p, firstConnection(t)), "agent", who.Name)
	if t.Tool == "" {
		return h.say("why.stuck", "agent", who.Name, "because", because)
	}
	return h.say("why.wanted", "agent", who.Name, "tool", shown(t.Tool, 60), "because", because)
}

// vendorHost is the host of the page at which the vendor will ask. A vendor by
// discovery may have to be looked up first; a slow one is named by its title.
func (h *Handler) vendorHost(v *visit, connection string) string {
	c, ok := h.cfg.Connection(connection)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithTimeout(v.ctx(), 2*time.Second)
	defer cancel()
	if host := c.AuthorizationHost(ctx); host != "" {
		return shown(host, 80)
	}
	return titleOf(c.Provider(), connection)
}
