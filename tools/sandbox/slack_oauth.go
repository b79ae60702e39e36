package sandbox

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// With token rotation (on here) an access token lives twelve hours and a refresh token is single-use.
const slackTTL = 43200 * time.Second

func (s *Sandbox) mountSlack(mux *http.ServeMux) {
	page := s.authorize(slackFront())
	s.route(mux, slack, "authorize", "GET /slack/oauth/v2/authorize", page)
	s.route(mux, slack, "authorize", "POST /slack/oauth/v2/authorize", page)
	s.route(mux, slack, "token", "POST /slack/api/oauth.v2.access", s.slackToken)
	for _, m := range []string{"GET ", "POST "} {
		s.route(mux, slack, "revoke", m+"/slack/api/auth.revoke", s.slackAPI(slackMethod{handle: s.slackRevoke}))
		for _, api := range s.slackMethods() {
			s.route(mux, slack, "api", m+"/slack/api/"+api.name, s.slackAPI(api))
		}
		s.route(mux, slack, "api", m+"/slack/api/{method}", func(w http.ResponseWriter, r *http.Request) {
			slackNo(w, "unknown_method", reply{"req_method": r.PathValue("method")})
		})
	}
}

// slackNo is a refusal as Slack gives it: HTTP 200 and ok:false.
func slackNo(w http.ResponseWriter, code string, more ...reply) {
	out := reply{"ok": false, "error": code}
	for _, m := range more {
		for k, v := range m {
			out[k] = v
		}
	}
	writeJSON(w, http.StatusOK, out)
}

// slackFront: scopes only ever add up; "It is not possible to downgrade an access token's scopes"
// (docs.slack.dev, installing with OAuth).
func slackFront() front {
	return front{
		vendor: slack, title: "Slack", verb: "Allow as", decline: true,
		identity: []string{"users:read", "users:read.email", "identity.basic", "identity.email"},
		parse:    slackAsk,
		give: func(g *grant, a ask) code {
			c := code{Scopes: g.Scopes, Offline: true}
			if len(a.bot) > 0 {
				c.BotScopes = g.BotScopes
			}
			if len(a.scopes) == 0 {
				c.Scopes = nil
			}
			return c
		},
	}
}

// slackAsk reads scope (the bot's) and user_scope, both with commas; PKCE only if the client sends it.
func slackAsk(_ client, q url.Values) (ask, *denial) {
	ch, no := challenge(q)
	a := ask{challenge: ch, scopes: merged(strings.Split(q.Get("user_scope"), ","), nil), bot: merged(strings.Split(q.Get("scope"), ","), nil)}
	switch {
	case no != nil:
		return ask{}, &denial{no.code, no.text, true}
	case len(a.scopes)+len(a.bot) == 0:
		return ask{}, &denial{"invalid_scope", "The request names no scopes.", true}
	case strings.ContainsAny(q.Get("user_scope")+q.Get("scope"), "/<> "):
		return ask{}, &denial{"invalid_scope", "Scopes are separated by commas, and each is a Slack scope.", true}
	}
	return a, nil
}

func (s *Sandbox) slackToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	c, why := s.authenticate(slack, r)
	switch why {
	case unknownClient:
		slackNo(w, "invalid_client_id")
		return
	case wrongSecret:
		slackNo(w, "bad_client_secret")
		return
	}
	switch cmp.Or(r.PostFormValue("grant_type"), "authorization_code") {
	case "authorization_code":
		s.slackCode(w, r, c)
	case "refresh_token":
		s.slackRefresh(w, r, c)
	default:
		slackNo(w, "invalid_grant_type")
	}
}

// pair is an access token and, mostly, its refresh token.
type pair struct{ access, refresh string }

func (s *Sandbox) slackPair(st *state, t token, dropRefresh bool) pair {
	prefix := "xoxe.xoxp-1-"
	if t.Bot {
		prefix = "xoxe.xoxb-1-"
	}
	p := pair{access: s.giveAccess(st, prefix, slackTTL, t)}
	if !dropRefresh {
		p.refresh = s.giveRefresh(st, "xoxe-1-", t)
	}
	return p
}

// put writes a token the way Slack does, at the top level or under authed_user.
func (p pair) put(into reply, kind string, scopes []string) {
	into["access_token"], into["token_type"], into["scope"] = p.access, kind, strings.Join(scopes, ",")
	into["expires_in"] = int(slackTTL.Seconds())
	if p.refresh != "" {
		into["refresh_token"] = p.refresh
	}
}

func (s *Sandbox) slackCode(w http.ResponseWriter, r *http.Request, c client) {
	var got *code
	var why refusal
	var user, bot pair
	s.update(func(st *state) {
		got, why = st.redeem(redemption{
			slack, c.ID, r.PostFormValue("code"), r.PostFormValue("redirect_uri"), r.PostFormValue("code_verifier"),
		}, s.cfg.Now())
		if why != accepted {
			return
		}
		drop := st.take(slack, "drop_refresh", "token") != nil
		if len(got.Scopes) > 0 {
			user = s.slackPair(st, got.holds(got.Scopes, false), drop)
		}
		if len(got.BotScopes) > 0 {
			bot = s.slackPair(st, got.holds(got.BotScopes, true), drop)
		}
	})
	if why != accepted {
		slackNo(w, slackCodeError(why))
		return
	}
	p, _ := findPerson(got.User)
	authed := reply{"id": p.slackID}
	if user.access != "" {
		user.put(authed, "user", got.Scopes)
	}
	body := slackInstallation()
	body["authed_user"] = authed
	if bot.access != "" {
		bot.put(body, "bot", got.BotScopes)
		body["bot_user_id"] = slackBotUser
	}
	writeJSON(w, http.StatusOK, body)
}

func slackCodeError(why refusal) string {
	switch why {
	case usedCode:
		return "code_already_used"
	case wrongRedirect:
		return "bad_redirect_uri"
	case missingVerifier, wrongVerifier:
		return "bad_pkce_params"
	}
	return "invalid_code"
}

func slackInstallation() reply {
	return reply{
		"ok": true, "app_id": slackApp, "team": reply{"id": slackTeam, "name": companyName},
		"enterprise": nil, "is_enterprise_install": false,
	}
}

// slackRefresh answers the new pair at the top level, for a user token too.
func (s *Sandbox) slackRefresh(w http.ResponseWriter, r *http.Request, c client) {
	var old *token
	var why refusal
	var next pair
	s.update(func(st *state) {
		old, why = st.spend(spending{vendor: slack, client: c.ID, raw: r.PostFormValue("refresh_token"), rotates: true})
		if why == accepted {
			t := *old
			t.Spent = false
			next = s.slackPair(st, t, false)
		}
	})
	if why != accepted {
		slackNo(w, "invalid_refresh_token")
		return
	}
	body := slackInstallation()
	if old.Bot {
		next.put(body, "bot", old.Scopes)
		body["bot_user_id"] = slackBotUser
	} else {
		p, _ := findPerson(old.User)
		next.put(body, "user", old.Scopes)
		body["user_id"] = p.slackID
	}
	writeJSON(w, http.StatusOK, body)
}

// slackRevoke takes back the one token that the call carries; the installation and its other tokens stay
// (with rotation, auth.revoke is per token).
func (s *Sandbox) slackRevoke(w http.ResponseWriter, r *http.Request, c slackCall) {
	test := c.arg("test") == "1" || c.arg("test") == "true"
	if !test {
		s.update(func(st *state) {
			if t, _ := st.find(slack, c.raw); t != nil {
				t.Dead = true
			}
		})
	}
	writeJSON(w, http.StatusOK, reply{"ok": true, "revoked": !test})
}
