package consent

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
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
	App            *appView   // nil when no application asked
	Notice         text       // what went wrong at the last try
	Write          *writeView // the call that it is about, nil when none
	WriteOnly      bool       // nothing else lacks
	Options        []optionView
	Several        bool
	Wider          bool      // it is handed tokens that can do more than the options list
	Lengths        []length  // of access
	Zone           string    // time zone of the midnight at which “today” ends
	Known          []metView // agents that may use what a person connects themselves
	Earlier        []metView // agents of the same name whose access can go over
	Action, CSRF   string
}

// agentView is an agent, with how much its name is worth.
type agentView struct {
	Name, Host, Initial string
	Client, At          string // the proven client id, to which access is bound, and the host of who vouches for it; "" on stdio
	Verified            bool
	Workload            bool // it is handed tokens
}

// optionView is one way to satisfy the request.
type optionView struct {
	Connection, Vendor, Initial string
	Account                     string // that it would be, "" = the person picks at the vendor
	Which                       string // tells it from the others: the account, else the connection's name
	New                         bool   // Already is not all that there is
	Can, Already                []permission
	Choose                      []permission // of Can, what the person may leave out
	Cannot                      []text
	Raw                         []string
	Next                        string // host of the vendor's page, "" when none is visited
}

// optionOf is an option on its page, for the template that shows both.
func optionOf(page ticketPage, o optionView) struct {
	Page   ticketPage
	Option optionView
} {
	return struct {
		Page   ticketPage
		Option optionView
	}{page, o}
}

func (h *Handler) ticketPage(v *visit, t vault.Ticket, handle string) (page ticketPage, err error) {
	page = ticketPage{
		Owner: shown(v.person.Label(), 80), Machine: shown(h.cfg.Machine, 60), Agent: h.agentOf(t.Agent),
		Why: cmp.Or(h.askedFrom(v.ctx(), t), h.why(t)), When: h.pages.ago(h.cfg.Now(), t.Created), Several: len(t.Options) > 1, Wider: t.Wider,
		Lengths: h.lengths(), WriteOnly: t.Kind == vault.KindApprove, Zone: h.cfg.Now().Local().Format("MST"), Action: ticketPath(handle),
	}
	if v.r.Method == http.MethodGet {
		page.CSRF = h.ticketToken(v, t, handle)
	}
	if t.Failure != "" {
		failed := h.failure(&vault.FlowError{Failure: t.Failure, Connection: firstConnection(t)})
		page.Notice = h.say("ticket.failed_before", "failure", failed.Title)
	}
	if page.Write, err = h.writeView(v, t); err != nil {
		return page, err
	}
	for _, o := range t.Options {
		page.Options = append(page.Options, h.optionView(v, t, o))
	}
	page.App = h.appView(v, t)
	if !v.vouched {
		page.Known, page.Earlier = h.met(v, t)
	}
	if page.Headline = h.headline(t); page.Write != nil && page.Agent != nil {
		page.Headline = h.say("ticket.wants_write", "agent", page.Agent.Name, "title", lowerFirst(page.Write.Title))
	}
	return page, nil
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
	if out.Workload = a.Workload(); out.Workload {
		out.Client, out.At = shown(a.ID, 120), bare(h.say("ticket.this_config"))
	} else if u, err := url.Parse(a.Issuer); err == nil && a.Issuer != "" {
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

func (h *Handler) optionView(v *visit, t vault.Ticket, o vault.Option) optionView {
	p, _ := h.provider(o.Connection)
	view := optionView{Connection: o.Connection, Vendor: titleOf(p, o.Connection), Cannot: h.cannot(p, o.Scopes)}
	if t.Wider {
		view.Cannot = nil // nobody can say
	}
	view.Initial = initial(view.Vendor)
	news, have := h.newScopes(v, t, o)
	var must []string
	for _, s := range news {
		if slices.Contains(o.Optional, s) {
			view.Choose = append(view.Choose, h.permissionOf(p, s))
		} else {
			must = append(must, s)
		}
	}
	view.Can, view.Already, view.New = h.permissionsOf(p, must), h.permissionsOf(p, have), len(have) > 0
	asked := o.Scopes
	if c, ok := h.cfg.Connection(o.Connection); ok && o.VendorNeeded {
		asked = c.Asks(provider.Union(o.Scopes, h.keptScopes(v, t, o))) // what the vendor's screen will list
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
	if view.Which = view.Account; view.Which == "" && !strings.EqualFold(o.Connection, view.Vendor) {
		view.Which = shown(o.Connection, 40)
	}
	return view
}

// newScopes divides what an option asks for into what is new and what was
// allowed before: to the vault, where the vendor is asked, and to this agent, where only we ask.
func (h *Handler) newScopes(v *visit, t vault.Ticket, o vault.Option) (news, have []string) {
	old := func(s string) bool { return len(o.Missing) > 0 && !slices.Contains(o.Missing, s) }
	if !o.VendorNeeded {
		had := h.hadBefore(v, t, o.Grant)
		old = func(s string) bool { return slices.Contains(had, s) }
	}
	for _, s := range o.Scopes {
		if old(s) {
			have = append(have, s)
		} else {
			news = append(news, s)
		}
	}
	if len(news) == 0 {
		return have, nil
	}
	return news, have
}

// hadBefore are the scopes that an agent may use of an account already.
func (h *Handler) hadBefore(v *visit, t vault.Ticket, grant string) []string {
	access, err := h.cfg.Vault.AccessList(v.ctx(), t.Owner.Caller)
	if err != nil {
		h.cfg.Logger.Warn("access not read", "error", err) // the page only says less
		return nil
	}
	key := h.cfg.Vault.AgentKey(t.Agent)
	for _, a := range access {
		if a.Account == grant && !a.Once && h.cfg.Vault.AgentKey(a.Agent) == key && a.Expires.After(h.cfg.Now()) {
			return a.Scopes
		}
	}
	return nil
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
	if t.Kind == vault.KindClient {
		return h.say("client.headline", "agent", h.agentOf(t.Agent).Name)
	}
	if len(t.Options) == 0 {
		return h.say("ticket.page")
	}
	o := t.Options[0]
	p, _ := h.provider(o.Connection)
	vendor, who := titleOf(p, o.Connection), h.agentOf(t.Agent)
	deeds := h.deeds(p, o)
	key, products := h.products(p, o)
	switch {
	case who == nil && o.Grant != "":
		return h.say("ticket.connect_again", "vendor", vendor)
	case who == nil:
		return h.say("ticket.connect", "vendor", vendor)
	case len(t.Options) > 1:
		return h.say("ticket.wants_one", "agent", who.Name)
	case products != "":
		return h.say(key, "agent", who.Name, "products", products)
	case deeds != "":
		return h.say("ticket.wants_to", "agent", who.Name, "deeds", deeds, "vendor", vendor)
	}
	return h.say("ticket.wants_use", "agent", who.Name, "vendor", vendor)
}

// products are the vendor's products that an option reads or changes ("Google
// Calendar"), with the message for it; "" when they are more than two, or when
// reading and changing does not say what it does (sending mail).
func (h *Handler) products(p *provider.Provider, o vault.Option) (key string, names text) {
	if p == nil {
		return "", ""
	}
	key = "ticket.wants_read"
	var all []text
	for _, s := range wanted(p, o) {
		name := p.Product(s)
		if name == "" {
			return "", ""
		}
		if words, _ := p.Describe(s); words.Write {
			key = "ticket.wants_change"
		}
		if !slices.Contains(all, ours(name)) {
			all = append(all, ours(name))
		}
	}
	if len(all) > 2 {
		return "", ""
	}
	return key, h.pages.list(all)
}

// wanted are the scopes that an option is about: what is new, without those that only tell whose account it is.
func wanted(p *provider.Provider, o vault.Option) []string {
	scopes := o.Missing
	if len(scopes) == 0 {
		scopes = o.Scopes
	}
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return identityOnly(p, s) })
}

// maxDeeds is how much of what an agent wants fits a headline.
const maxDeeds = 60

// deeds are up to two things that an option allows, or "" when they do not fit a sentence.
func (h *Handler) deeds(p *provider.Provider, o vault.Option) text {
	all := h.permissionsOf(p, wanted(p, o))
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
	switch {
	case who == nil:
		return h.say("why.self")
	case t.App != nil:
		return h.say("app.why", "agent", who.Name)
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
