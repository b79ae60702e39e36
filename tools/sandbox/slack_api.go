package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// slackMethod is one Web API method and the scope it needs; "" needs none.
type slackMethod struct {
	name, scope string
	handle      func(w http.ResponseWriter, r *http.Request, c slackCall)
}

// slackCall is a request that has been let in.
type slackCall struct {
	token  token
	raw    string // the token's text
	person person
	args   map[string]string
}

func (c slackCall) arg(name string) string { return c.args[name] }

func (c slackCall) has(scope string) bool { return slices.Contains(c.token.Scopes, scope) }

func (s *Sandbox) slackMethods() []slackMethod {
	return []slackMethod{
		{"auth.test", "", s.authTest},
		{"users.info", "users:read", s.usersInfo},
		{"chat.postMessage", "chat:write", s.postMessage},
		{"chat.getPermalink", "", s.getPermalink},
		{"conversations.list", "", s.listConversations},
		{"conversations.history", "", s.history},
	}
}

// slackAPI finds the token in the header or in a non-empty "token" argument, and the arguments in the
// query, a form, or a JSON body.
func (s *Sandbox) slackAPI(m slackMethod) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := slackCall{args: slackArgs(r)}
		c.raw = bearer(r)
		if c.raw == "" {
			c.raw = c.args["token"]
		}
		var why refusal
		c.token, why = s.slackAccess(c.raw, m.name == "")
		if why != accepted {
			slackNo(w, slackTokenError(why))
			return
		}
		c.person, _ = findPerson(c.token.User)
		w.Header().Set("X-OAuth-Scopes", strings.Join(c.token.Scopes, ","))
		if m.scope != "" {
			w.Header().Set("X-Accepted-OAuth-Scopes", m.scope)
			if !c.has(m.scope) {
				slackMissing(w, m.scope, c)
				return
			}
		}
		m.handle(w, r, c)
	}
}

// slackAccess is access, which for auth.revoke finds refresh tokens, too.
func (s *Sandbox) slackAccess(raw string, refreshToo bool) (token, refusal) {
	t, why := s.access(slack, raw)
	if why != unknownToken || !refreshToo {
		return t, why
	}
	s.view(func(st *state) {
		known, _ := st.find(slack, raw)
		switch {
		case known == nil:
		case known.Dead || known.Spent || st.grant(known.Grant).Dead:
			why = deadToken
		default:
			t, why = *known, accepted
		}
	})
	return t, why
}

func slackTokenError(why refusal) string {
	switch why {
	case noToken:
		return "not_authed"
	case expiredToken:
		return "token_expired"
	case deadToken:
		return "token_revoked"
	}
	return "invalid_auth"
}

func slackMissing(w http.ResponseWriter, needed string, c slackCall) {
	slackNo(w, "missing_scope", reply{"needed": needed, "provided": strings.Join(c.token.Scopes, ",")})
}

func slackArgs(r *http.Request) map[string]string {
	args := map[string]string{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var body map[string]any
		if json.NewDecoder(r.Body).Decode(&body) == nil {
			for k, v := range body {
				args[k] = fmt.Sprint(v)
			}
		}
		return args
	}
	if err := r.ParseMultipartForm(maxBody); err != nil && r.Form == nil {
		return args
	}
	for k, v := range r.Form {
		args[k] = v[0]
	}
	return args
}

func (s *Sandbox) authTest(w http.ResponseWriter, _ *http.Request, c slackCall) {
	out := reply{
		"ok": true, "url": "https://example-corp.slack.com/", "team": companyName, "team_id": slackTeam,
		"user": c.person.name, "user_id": c.person.slackID, "is_enterprise_install": false,
		"expires_in": int(c.token.Expires.Sub(s.cfg.Now()).Seconds()),
	}
	if c.token.Bot {
		out["user"], out["user_id"], out["bot_id"] = "grantry", slackBotUser, "B07SBXGRBOT"
	}
	writeJSON(w, http.StatusOK, out)
}

func (s *Sandbox) usersInfo(w http.ResponseWriter, _ *http.Request, c slackCall) {
	for _, p := range people() {
		if p.slackID != c.arg("user") {
			continue
		}
		profile := reply{"real_name": p.full(), "display_name": p.name, "title": p.title, "team": slackTeam}
		if c.has("users:read.email") {
			profile["email"] = p.email
		}
		writeJSON(w, http.StatusOK, reply{"ok": true, "user": reply{
			"id": p.slackID, "team_id": slackTeam, "name": p.name, "real_name": p.full(), "deleted": false,
			"is_bot": false, "tz": "Etc/UTC", "profile": profile,
		}})
		return
	}
	slackNo(w, "user_not_found")
}
