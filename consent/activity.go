package consent

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
)

const activityPath = "/activity"

// activityKinds are the filters of the page, with the kinds of entries (or
// their beginnings) that each shows. The first leaves out what repeats with every call.
var activityKinds = [...]struct {
	name  string
	kinds []string
}{
	{name: "main", kinds: []string{
		"tool.called", "tool.refused", "token.exchanged", "proxy.request", "proxy.refused", "approval.", "access.", "ticket.opened", "ticket.done", "ticket.declined", "ticket.expired", "ticket.dismissed",
		"connect.", "grant.stored", "grant.held", "grant.confirmed", "grant.refused", "grant.ended", "grant.revoked", "grant.revoked_at_vendor", "grant.revocation_given_up", "grant.quarantined", "grant.reaped",
		"account.", "person.",
	}},
	{name: "calls", kinds: []string{"tool.called", "tool.refused", "proxy.request", "proxy.refused"}},
	{name: "answers", kinds: []string{"ticket.", "approval.", "access.", "person.stopped", "person.resumed"}},
	{name: "accounts", kinds: []string{"grant.", "account.", "connect.", "connection."}},
	{name: "signins", kinds: []string{"person.", "signin.", "session.", "pairing.", "request.", "callback."}},
	{name: "tokens", kinds: []string{"token.", "proxy.token_issued", "grant.refreshed", "grant.refresh_failed", "grant.alternate"}},
}

func (h *Handler) mountActivity(mux *http.ServeMux) {
	mux.Handle("GET /activity", h.page(h.showActivity))
	mux.Handle("GET /activity/{more...}", h.page(h.notFound))
}

func (h *Handler) showActivity(v *visit) {
	q := v.r.URL.Query()
	if !h.atHome(v, activityLink(q, q.Get("before"))) {
		return
	}
	page, err := h.activityPage(v)
	switch {
	case errors.Is(err, vault.ErrNotFound): // a cursor that is none
		h.notFound(v)
	case err != nil:
		h.broken(v, "reading activity", err)
	default:
		h.render(v, http.StatusOK, "activity", frame{Title: h.say("activity.title"), Body: page})
	}
}

// activityPage is what was done in a person's name, newest first.
type activityPage struct {
	Owner                   string
	Agents, Accounts, Kinds []choice
	Tool                    string
	Filtered                bool
	Days                    []dayView
	Newest, Older           string // links to the first page and to the next one, "" for none
}

// choice is one entry of a filter.
type choice struct {
	Value  string
	Text   text
	Chosen bool
}

type dayView struct {
	Day     text
	Entries []entryView
}

// entryView is one thing that happened.
type entryView struct {
	At, Clock        string // RFC 3339, and as people read it
	Deed, Outcome    text
	Tone             string // of the outcome: "warn" or "bad"
	Summary, Account string
	Reference        string // of the call, as the agent was shown it
}

func (h *Handler) activityPage(v *visit) (page activityPage, err error) {
	q := v.r.URL.Query()
	page.Owner, page.Tool = shown(v.person.Label(), 80), shown(q.Get("tool"), 60)
	query := vault.ActivityQuery{Agent: q.Get("agent"), Account: q.Get("account"), Tool: page.Tool, Before: q.Get("before")}
	query.Kinds = activityKinds[0].kinds
	for _, k := range activityKinds {
		page.Kinds = append(page.Kinds, choice{Value: k.name, Text: h.say("activity.kind." + k.name), Chosen: k.name == q.Get("kind")})
		if k.name == q.Get("kind") {
			query.Kinds = k.kinds
		}
	}
	names, err := h.activityFilters(v, q, &page)
	if err != nil {
		return page, err
	}
	entries, next, err := h.cfg.Vault.Activity(v.ctx(), v.person.Caller, query)
	if err != nil {
		return page, err
	}
	for _, e := range entries {
		if name, ok := names[h.cfg.Vault.AgentKey(vault.Agent{Issuer: e.AgentFrom, ID: e.Agent})]; ok {
			e.AgentName = name
		}
		h.addEntry(&page, e)
	}
	page.Filtered = query.Agent != "" || query.Account != "" || query.Tool != "" || !slices.Equal(query.Kinds, activityKinds[0].kinds)
	if next != "" {
		page.Older = activityLink(q, next)
	}
	if query.Before != "" {
		page.Newest = activityLink(q, "")
	}
	return page, nil
}

// activityLink is the page with the same filters from a cursor on.
func activityLink(q url.Values, before string) string {
	to := url.Values{}
	for _, name := range []string{"agent", "account", "tool", "kind"} {
		if q.Get(name) != "" {
			to.Set(name, q.Get(name))
		}
	}
	if before != "" {
		to.Set("before", before)
	}
	if len(to) == 0 {
		return activityPath
	}
	return activityPath + "?" + to.Encode()
}

// activityFilters are the person's own agents and accounts, to choose from. It answers the agents' names by their keys.
func (h *Handler) activityFilters(v *visit, q url.Values, page *activityPage) (names map[string]string, err error) {
	known, err := h.cfg.Vault.Agents(v.ctx(), v.person.Caller)
	if err != nil {
		return nil, err
	}
	names = map[string]string{}
	page.Agents = []choice{{Text: h.say("activity.all_agents")}}
	for _, k := range known {
		a := h.agentView(k.Agent)
		names[k.Key] = a.Name
		page.Agents = append(page.Agents, choice{Value: k.Key, Text: h.said(a.Name, a.Host), Chosen: k.Key == q.Get("agent")})
	}
	accounts, err := h.cfg.Vault.Accounts(v.ctx(), v.person.Caller)
	page.Accounts = []choice{{Text: h.say("activity.all_accounts")}}
	for _, a := range accounts {
		p, _ := h.provider(a.Connection)
		page.Accounts = append(page.Accounts, choice{
			Value: a.ID, Text: h.said(titleOf(p, a.Connection), a.Label), Chosen: a.ID == q.Get("account"),
		})
	}
	return names, err
}

// said is two names beside each other, the second only where there is one.
func (h *Handler) said(name, more string) text {
	if more == "" {
		return isolated(name)
	}
	return h.say("activity.pair", "name", name, "more", more)
}

func (h *Handler) addEntry(page *activityPage, a vault.Activity) {
	day := h.day(a.Time)
	if n := len(page.Days); n == 0 || page.Days[n-1].Day != day {
		page.Days = append(page.Days, dayView{Day: day})
	}
	last := &page.Days[len(page.Days)-1]
	last.Entries = append(last.Entries, h.entryView(a))
}

// day is a date as people say it, in the time zone of the vault's clock.
func (h *Handler) day(t time.Time) text {
	now := h.cfg.Now()
	t = t.In(now.Location())
	y, m, d := now.Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, now.Location())
	switch {
	case !t.Before(today):
		return h.say("activity.today")
	case !t.Before(today.AddDate(0, 0, -1)):
		return h.say("activity.yesterday")
	}
	return ours(t.Format("Monday, 2 January 2006"))
}

func (h *Handler) entryView(a vault.Activity) entryView {
	t, vendor := a.Time.In(h.cfg.Now().Location()), ""
	if a.Connection != "" {
		p, _ := h.provider(a.Connection)
		vendor = titleOf(p, a.Connection)
	}
	view := entryView{
		At: t.Format(time.RFC3339), Clock: t.Format("15:04"), Summary: shown(a.Summary, 200), Account: shown(a.AccountLabel, 80),
		Reference: shown(a.Detail.Call, 40), Deed: h.deed(a, vendor),
	}
	view.Outcome, view.Tone = h.outcome(a)
	return view
}

// deed says in one sentence what happened. A kind without words of its own is named as the audit names it.
func (h *Handler) deed(a vault.Activity, vendor string) text {
	key := "deed." + strings.ReplaceAll(a.Kind, ".", "_")
	if a.Kind == "tool.called" && a.Result == "refused" {
		key = "deed.tool_refused"
	}
	switch {
	case a.AgentName == "" && h.pages.has(key+"_own"):
		key += "_own"
	case a.Reason == vault.ByApplication && h.pages.has(key+"_app"):
		key += "_app"
	}
	if !h.pages.has(key) {
		return h.say("deed.other", "kind", a.Kind)
	}
	deeds := h.reach(a)
	if deeds != "" {
		key += "_to"
	}
	who, what := h.say("deed.you"), h.say("deed.everything")
	account := h.say("deed.account")
	if a.AccountLabel != "" {
		account = isolated(a.AccountLabel)
		what = account
	}
	if vendor != "" {
		account = isolated(vendor)
	}
	if a.AgentName != "" {
		who = isolated(a.AgentName)
		what = who
	}
	words := h.say(key, "agent", who, "tool", a.Tool, "vendor", account, "what", what, "deeds", deeds)
	if n := int(a.Detail.Count); n > 1 {
		words = h.say("deed.times", "deed", words, "n", n)
	}
	return words
}

// maxReach is how many things that a token can do fit one line.
const maxReach = 3

// reach is what a token can do that was taken away, "" when that is too much for a line, or nothing.
func (h *Handler) reach(a vault.Activity) text {
	if a.Kind != "token.exchanged" {
		return ""
	}
	p, _ := h.provider(a.Connection)
	scopes := slices.DeleteFunc(slices.Clone(a.Scopes), func(s string) bool { return identityOnly(p, s) })
	var parts []text
	for _, one := range h.permissionsOf(p, scopes) {
		parts = append(parts, phrase(one.Text))
	}
	if len(parts) > maxReach {
		return ""
	}
	return h.pages.list(parts)
}

// outcome is how it ended, where that is not plain from the deed. What was
// stopped on its way may have happened at the vendor all the same, and is said so.
func (h *Handler) outcome(a vault.Activity) (words text, tone string) {
	switch {
	case a.Detail.Sent && a.Result != "ok":
		return h.say("outcome.maybe"), "warn"
	case a.Result == "ok":
		return "", ""
	case slices.Contains([]string{"stopped", "revoked"}, a.Reason):
		return h.say("outcome.stopped"), "bad"
	case a.Result == "unreadable":
		return h.say("outcome.unreadable"), "bad"
	}
	key := "outcome.refused"
	if a.Result == "failed" {
		key = "outcome.failed"
	}
	if a.Reason == "" {
		return h.say(key), "bad"
	}
	return h.say("outcome.because", "outcome", h.say(key), "reason", h.reason(a.Reason)), "bad"
}

// reason is one of our codes in words.
func (h *Handler) reason(code string) text {
	if key := "reason." + code; h.pages.has(key) {
		return h.say(key)
	}
	return isolated(strings.ReplaceAll(code, "_", " "))
}
