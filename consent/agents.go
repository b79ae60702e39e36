package consent

import (
	"errors"
	"net/http"
	"slices"

	"github.com/grantry/grantry/vault"
)

const (
	formAgents = "agents"
	agentsPath = "/agents"
)

func (h *Handler) mountAgents(mux *http.ServeMux) {
	mux.Handle("GET /agents", h.page(h.showAgents))
	mux.Handle("GET /agents/{more...}", h.page(h.notFound))
	for path, do := range map[string]func(*visit){
		"stop": h.stopAgent, "resume": h.resumeAgent, "move": h.moveAccess, "access/revoke": h.revokeAccess(agentsPath), "standing/end": h.endStanding, "login/end": h.endLogin,
	} {
		mux.Handle("POST /agents/"+path, h.change(formAgents, agentsPath, do))
	}
}

func (h *Handler) showAgents(v *visit) {
	if !h.atHome(v, agentsPath) {
		return
	}
	page, err := h.agentsPage(v)
	if err != nil {
		h.broken(v, "listing agents", err)
		return
	}
	h.render(v, http.StatusOK, "agents", frame{Title: h.say("agents.title"), Body: page})
}

// atHome lets somebody on who is signed in, and sends everybody else to sign in first.
func (h *Handler) atHome(v *visit, path string) bool {
	if !v.signedIn() {
		h.askSignIn(v, comeBack{Path: path})
		return false
	}
	if v.r.Method != http.MethodGet {
		return true
	}
	if err := h.ensureSession(v); err != nil {
		h.broken(v, "starting session", err)
		return false
	}
	return true
}

// switched is what a switch of this page is about, with its name: one agent of
// the person's, or everything, which the form has to say in so many words.
func (h *Handler) switched(v *visit) (s vault.StopScope, name string, ok bool) {
	form := v.r.PostForm
	if key := form.Get("agent"); key != "" && !form.Has("all") {
		name, ok = h.agentName(v, key)
		return vault.StopScope{Agent: key}, name, ok
	}
	if form.Get("all") != "yes" || form.Has("agent") {
		h.notFound(v)
		return s, "", false
	}
	return vault.StopScope{}, "", true
}

// agentName is an agent's name by its key; nobody else's agent is found.
func (h *Handler) agentName(v *visit, key string) (string, bool) {
	known, err := h.cfg.Vault.Agents(v.ctx(), v.person.Caller)
	if err != nil {
		h.broken(v, "listing agents", err)
		return "", false
	}
	i := slices.IndexFunc(known, func(k vault.KnownAgent) bool { return k.Key == key })
	if i < 0 {
		h.notFound(v)
		return "", false
	}
	return h.agentView(known[i].Agent).Name, true
}

func (h *Handler) stopAgent(v *visit) {
	if s, name, ok := h.switched(v); ok {
		h.stop(v, s, name, agentsPath, formAgents)
	}
}

func (h *Handler) resumeAgent(v *visit) {
	if s, name, ok := h.switched(v); ok {
		h.resume(v, s, name, agentsPath)
	}
}

// stop is the kill switch, with a plain page of what it did.
func (h *Handler) stop(v *visit, s vault.StopScope, name, page, form string) {
	done, err := h.cfg.Vault.Stop(v.ctx(), v.person.Caller, s)
	if err != nil {
		h.goneOr(v, "stopping", err)
		return
	}
	m := h.tell(http.StatusOK, toneGood, "stop.done."+kindOf(s), "name", name)
	m.Text = append(m.Text,
		h.say("stop.ended", "access", h.count("stop.access.", done.Access), "requests", h.count("stop.requests.", done.Tickets)),
		h.say("stop.in_flight"))
	m.Button = &button{Text: h.say("stop.resume." + kindOf(s)), To: page + "/resume", CSRF: h.token(v, form), Fields: scopeFields(s), Aside: true}
	m.Links = []link{{Text: h.say("stop.see"), To: activityPath, Primary: true}, {Text: h.say("stop.back"), To: page}}
	h.message(v, m)
}

// kindOf names a scope as the messages do.
func kindOf(s vault.StopScope) string {
	switch {
	case s.Agent != "":
		return "agent"
	case s.Account != "":
		return "account"
	}
	return "all"
}

func scopeFields(s vault.StopScope) []field {
	switch {
	case s.Agent != "":
		return []field{{Name: "agent", Value: s.Agent}}
	case s.Account != "":
		return []field{{Name: "account", Value: s.Account}}
	}
	return []field{{Name: "all", Value: "yes"}}
}

// count is a number of things in words.
func (h *Handler) count(key string, n int) text {
	switch n {
	case 0:
		return h.say(key + "none")
	case 1:
		return h.say(key + "one")
	}
	return h.say(key+"some", "n", n)
}

// resume lets go on what was stopped: it may ask again, nothing comes back by itself.
func (h *Handler) resume(v *visit, s vault.StopScope, name, page string) {
	if err := h.cfg.Vault.Resume(v.ctx(), v.person.Caller, s); err != nil {
		h.goneOr(v, "letting go on", err)
		return
	}
	h.notice(v, h.say("stop.resumed."+kindOf(s), "name", name))
	h.redirect(v, page)
}

func (h *Handler) moveAccess(v *visit) {
	n, err := h.cfg.Vault.MoveAccess(v.ctx(), v.person.Caller, v.r.PostForm.Get("from"), v.r.PostForm.Get("to"))
	var stopped *vault.StoppedError
	switch {
	case errors.As(err, &stopped):
		h.notice(v, h.say("agents.move_stopped"))
		h.redirect(v, agentsPath)
	case errors.Is(err, vault.ErrForeign):
		h.notFound(v)
	case err != nil:
		h.goneOr(v, "moving access", err)
	default:
		h.notice(v, h.say("agents.moved", "accounts", h.count("agents.accounts.", n)))
		h.redirect(v, agentsPath)
	}
}

// revokeAccess ends one agent's access to one account.
func (h *Handler) revokeAccess(back string) func(v *visit) {
	return func(v *visit) {
		if err := h.cfg.Vault.RevokeAccess(v.ctx(), v.person.Caller, v.r.PostForm.Get("access")); err != nil {
			h.goneOr(v, "revoking access", err)
			return
		}
		h.notice(v, h.say("connections.access_ended"))
		h.redirect(v, back)
	}
}

func (h *Handler) endStanding(v *visit) {
	if err := h.cfg.Vault.EndStanding(v.ctx(), v.person.Caller, v.r.PostForm.Get("standing")); err != nil {
		h.goneOr(v, "ending a standing approval", err)
		return
	}
	h.notice(v, h.say("agents.asked_again"))
	h.redirect(v, agentsPath)
}

// goneOr answers 404 for what is not the person's, like for what does not exist (R42).
func (h *Handler) goneOr(v *visit, doing string, err error) {
	if errors.Is(err, vault.ErrNotFound) {
		h.notFound(v)
		return
	}
	h.broken(v, doing, err)
}
