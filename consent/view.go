package consent

import (
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
	Owner, Machine     string
	Headline           string
	Agent              *agentView // nil when the person asks for themselves
	Why, When          string
	Notice             string // what went wrong at the last try
	Options            []optionView
	Several            bool
	For                string // how long agents may go on
	Action, CSRF       string
	AllowText, TokenOf string
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
	Cannot                      []string
	Raw                         []string
	Next                        string // host of the vendor's page, "" when none is visited
}

func (h *Handler) ticketPage(v *visit, t vault.Ticket, handle string) ticketPage {
	page := ticketPage{
		Owner: shown(t.Owner.Label(), 80), Machine: shown(h.cfg.Machine, 60), Agent: agentOf(t.Agent),
		Why: h.why(t), When: ago(h.cfg.Now(), t.Created), For: span(h.cfg.AccessTTL), Several: len(t.Options) > 1,
		Action: ticketPath(handle), AllowText: "Allow",
	}
	if v.r.Method == http.MethodGet {
		page.CSRF = h.ticketToken(v, t, handle)
	}
	if t.Failure != "" {
		page.Notice = h.failure(&vault.FlowError{Failure: t.Failure, Connection: firstConnection(t)}).Title + ". Nothing was stored; you can try again."
	}
	for _, o := range t.Options {
		page.Options = append(page.Options, h.optionView(v, o))
	}
	page.Headline = h.headline(t)
	page.TokenOf = "any"
	if len(page.Options) == 1 {
		page.TokenOf = page.Options[0].Vendor
	}
	if page.Agent == nil {
		page.AllowText = "Connect"
	}
	return page
}

func firstConnection(t vault.Ticket) string {
	if len(t.Options) == 0 {
		return ""
	}
	return t.Options[0].Connection
}

func agentOf(a vault.Agent) *agentView {
	if a.ID == "" {
		return nil
	}
	name := shown(a.Label(), 60)
	if name == "" {
		name = "An agent without a name"
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
		Connection: o.Connection, Vendor: titleOf(p, o.Connection), Can: permissionsOf(p, news), Already: permissionsOf(p, have),
	}
	view.Initial = initial(view.Vendor)
	view.Cannot = cannot(p, o.Scopes)
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
func cannot(p *provider.Provider, scopes []string) []string {
	out := []string{"Use your other accounts, or anything that is not listed here"}
	for _, one := range permissionsOf(p, scopes) {
		if one.Write || !one.Known {
			return out
		}
	}
	return append([]string{"Change, send or delete anything"}, out...)
}

// headline says in one sentence who wants what.
func (h *Handler) headline(t vault.Ticket) string {
	if len(t.Options) == 0 {
		return "A request for you"
	}
	o := t.Options[0]
	p, _ := h.provider(o.Connection)
	vendor := titleOf(p, o.Connection)
	if t.Agent.ID == "" {
		if o.Grant != "" {
			return "Connect your " + vendor + " account again"
		}
		return "Connect your " + vendor + " account"
	}
	who := agentOf(t.Agent).Name
	if len(t.Options) > 1 {
		return who + " wants to use one of your accounts"
	}
	if does := deeds(p, o); does != "" {
		return who + " wants to " + does + " in your " + vendor + " account"
	}
	return who + " wants to use your " + vendor + " account"
}

// maxDeeds is how much of what an agent wants fits a headline.
const maxDeeds = 60

// deeds are up to two things that an option allows, or "" when they do not fit a sentence.
func deeds(p *provider.Provider, o vault.Option) string {
	scopes := o.Missing
	if len(scopes) == 0 {
		scopes = o.Scopes
	}
	scopes = slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return identityOnly(p, s) })
	all := permissionsOf(p, scopes)
	if len(all) == 0 || len(all) > 2 {
		return ""
	}
	var parts []string
	for _, one := range all {
		if !one.Known {
			return ""
		}
		parts = append(parts, phrase(one.Text))
	}
	if does := list(parts); len(does) <= maxDeeds {
		return does
	}
	return ""
}

// why says what led here.
func (h *Handler) why(t vault.Ticket) string {
	p, _ := h.provider(firstConnection(t))
	vendor := titleOf(p, firstConnection(t))
	if t.Agent.ID == "" {
		return "You asked for this yourself."
	}
	who := agentOf(t.Agent).Name
	because := map[vault.Reason]string{
		vault.NotConnected:    "you have not connected an account for this yet",
		vault.UnderScoped:     "the connected account does not allow this yet",
		vault.Revoked:         "the account's access was taken back",
		vault.Expired:         vendor + " ended the connection",
		vault.NoRefreshToken:  "the connection ran out and could not be renewed",
		vault.AccountChanged:  "another account came back than the one that was connected",
		vault.ConnChanged:     "this vault's settings for " + vendor + " have changed since you connected",
		vault.AgentNotAllowed: "you have not allowed " + who + " to use this account",
	}[t.Reason]
	switch {
	case because == "":
		return who + " needs your answer to go on."
	case t.Tool == "":
		return who + " cannot go on: " + because + "."
	}
	return who + " wanted to use “" + shown(t.Tool, 60) + "”, and " + because + "."
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

// until says when t is, seen from now.
func until(now, t time.Time) string {
	if t.Sub(now) < time.Minute {
		return "in a moment"
	}
	return "in " + span(t.Sub(now))
}
