package sandbox_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// method calls a Web API method with a form and expects HTTP 200, which Slack answers whatever happened.
func (w *world) method(name, token string, args url.Values) map[string]any {
	w.t.Helper()
	res := w.post(w.vendor("slack").API+"/api/"+name, args, "Authorization", "Bearer "+token)
	if res.status != http.StatusOK {
		w.t.Fatalf("%s: status %d", name, res.status)
	}
	return res.object(w.t)
}

func TestSlackFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	got := w.connect("slack", "alice", "chat:write,users:read,users:read.email")
	if _, there := got["access_token"]; there {
		t.Error("a user token stands under authed_user, not at the top level")
	}
	user, _ := got["authed_user"].(map[string]any)
	want(t, "scope", str(user, "scope"), "chat:write,users:read,users:read.email")
	want(t, "token_type", str(user, "token_type"), "user")
	want(t, "expires_in", user["expires_in"], any(float64(43200)))
	access, refresh := str(user, "access_token"), str(user, "refresh_token")
	if !strings.HasPrefix(access, "xoxe.xoxp-1-") || !strings.HasPrefix(refresh, "xoxe-1-") {
		t.Error("tokens do not have Slack's prefixes")
	}

	me := w.method("auth.test", access, nil)
	want(t, "user", str(me, "user_id"), str(user, "id"))
	want(t, "team", str(me, "team_id"), str(got, "team", "id"))
	info := w.method("users.info", access, url.Values{"user": {str(me, "user_id")}})
	want(t, "email", str(info, "user", "profile", "email"), "alice@example.com")

	next := w.refresh("slack", refresh).object(t)
	want(t, "ok", next["ok"], any(true))
	want(t, "top-level token_type", str(next, "token_type"), "user")
	want(t, "scope", str(next, "scope"), str(user, "scope"))
	reuse := w.refresh("slack", refresh)
	want(t, "reuse status", reuse.status, http.StatusOK)
	want(t, "reuse", str(reuse.object(t), "error"), "invalid_refresh_token")
	want(t, "the new pair lives on", w.method("auth.test", str(next, "access_token"), nil)["ok"], any(true))

	want(t, "revoked", w.method("auth.revoke", str(next, "access_token"), nil)["revoked"], any(true))
	want(t, "after revoke", str(w.method("auth.test", str(next, "access_token"), nil), "error"), "token_revoked")
	want(t, "one token only", w.grants()[0].Live, true)
	w.method("auth.revoke", access, nil)
	w.method("auth.revoke", str(next, "refresh_token"), nil)
	want(t, "all tokens", w.grants()[0].Live, false)
	want(t, "refresh after revoke", str(w.refresh("slack", str(next, "refresh_token")).object(t), "error"), "invalid_refresh_token")
}

func TestSlackScopesAddUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.connect("slack", "bob", "chat:write")
	got := w.connect("slack", "bob", "channels:read")
	want(t, "scope", str(got, "authed_user", "scope"), "chat:write,channels:read")
}

func TestSlackBotAndUserTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	got := w.connect("slack", "bob", "users:read", "scope", "chat:write,chat:write.public")
	want(t, "bot scope", str(got, "scope"), "chat:write,chat:write.public")
	want(t, "bot type", str(got, "token_type"), "bot")
	want(t, "user scope", str(got, "authed_user", "scope"), "users:read")
	want(t, "bot_user_id", str(w.method("auth.test", str(got, "access_token"), nil), "user_id"), str(got, "bot_user_id"))
	next := w.refresh("slack", str(got, "refresh_token")).object(t)
	want(t, "refreshed type", str(next, "token_type"), "bot")
}

func TestSlackRefusesWithHTTP200(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	back := w.click(w.vendor("slack").Authorization, w.params("slack", "chat:write"), "Allow as bob")
	for _, c := range []struct {
		code  string
		more  []string
		error string
	}{
		{"made-up", nil, "invalid_code"},
		{back.Get("code"), []string{"client_secret", "x"}, "bad_client_secret"},
		{back.Get("code"), []string{"client_id", "x"}, "invalid_client_id"},
		{back.Get("code"), []string{"grant_type", "password"}, "invalid_grant_type"},
		{back.Get("code"), nil, ""},
		{back.Get("code"), nil, "code_already_used"},
	} {
		res := w.redeem("slack", c.code, c.more...)
		want(t, "status", res.status, http.StatusOK)
		want(t, "error", str(res.object(t), "error"), c.error)
	}
	back = w.click(w.vendor("slack").Authorization, w.params("slack", "chat:write"), "Allow as bob")
	want(t, "redirect", str(w.redeem("slack", back.Get("code"), "redirect_uri", public+"/x").object(t), "error"), "bad_redirect_uri")
	want(t, "decline", w.click(w.vendor("slack").Authorization, w.params("slack", "chat:write"), "Decline").Get("error"), "access_denied")
}

func TestSlackWithoutPKCE(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	q := w.params("slack", "chat:write")
	q.Del("code_challenge")
	q.Del("code_challenge_method")
	back := w.click(w.vendor("slack").Authorization, q, "Allow as alice")
	want(t, "ok", w.redeem("slack", back.Get("code"), "code_verifier", "").object(t)["ok"], any(true))
}

func TestSlackDeadTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	access := str(w.connect("slack", "alice", "chat:write"), "authed_user", "access_token")
	want(t, "invented", str(w.method("auth.test", "xoxe.xoxp-1-x", nil), "error"), "invalid_auth")
	none := w.post(w.vendor("slack").API+"/api/auth.test", nil)
	want(t, "none", str(none.object(t), "error"), "not_authed")
	form := w.post(w.vendor("slack").API+"/api/auth.test", url.Values{"token": {access}})
	want(t, "in the form", form.object(t)["ok"], any(true))
	empty := w.method("auth.test", access, url.Values{"token": {""}})
	want(t, "header with an empty token in the form", empty["ok"], any(true))
	w.sleep(43201 * time.Second)
	want(t, "expired", str(w.method("auth.test", access, nil), "error"), "token_expired")
}
