package sandbox_test

import (
	"net/http"
	"net/url"
	"testing"
)

func TestVendorsDiscoveryAgreesWithTheRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, name := range []string{"google", "salesforce"} {
		reg := w.vendor(name)
		doc := w.get(reg.Issuer+"/.well-known/openid-configuration", "").object(t)
		for field, value := range map[string]string{
			"issuer": reg.Issuer, "authorization_endpoint": reg.Authorization, "token_endpoint": reg.Token,
			"revocation_endpoint": reg.Revocation, "userinfo_endpoint": reg.Userinfo, "jwks_uri": reg.JWKS,
		} {
			want(t, name+" "+field, str(doc, field), value)
		}
		want(t, name+" keys", len(w.keys(reg.JWKS).Keys), 1)
	}
	want(t, "Slack's tokens come without OIDC", w.vendor("slack").Issuer+w.vendor("slack").JWKS, "")
}

func TestBrowsersMayCallTheIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, path := range []string{"/issuer/token", "/issuer/register", "/.well-known/oauth-authorization-server/issuer"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, w.base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res := w.do(req)
		want(t, path, res.status, http.StatusNoContent)
		want(t, path, res.header.Get("Access-Control-Allow-Origin"), "*")
	}
	page := w.get(w.box.Issuer().Authorization+"?"+mcpRequest("grantry", public+"/signin/callback").Encode(), "")
	want(t, "but not read its page", page.header.Get("Access-Control-Allow-Origin"), "")
	want(t, "the bare address", w.get(w.base+"/", "").status, http.StatusOK)
}

func TestEveryChannelHasMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	total := 0
	for _, who := range []string{"alice", "bob"} {
		token := str(w.connect("slack", who, slackScopes+",groups:history"), "authed_user", "access_token")
		args := url.Values{"types": {"public_channel,private_channel"}, "exclude_archived": {"true"}}
		for _, ch := range list(w.method("conversations.list", token, args), "channels") {
			if ch["is_member"] != any(true) {
				continue
			}
			n := len(list(w.method("conversations.history", token, url.Values{"channel": {str(ch, "id")}}), "messages"))
			if n == 0 {
				t.Errorf("#%s is empty for %s", str(ch, "name"), who)
			}
			total += n
		}
	}
	if total < 30 {
		t.Errorf("%d messages for both", total)
	}
}
