package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/tools/sandbox"
	"github.com/grantry/grantry/vault/storetest/port"
	"github.com/grantry/grantry/vault/sts"
)

const (
	connectedAccounts = "/me/v1/connected-accounts/"
	readCalendar      = "https://www.googleapis.com/auth/calendar.readonly"
)

// withGoogle serves with a connection to a Google of the sandbox, and what yaml adds.
func withGoogle(t *testing.T, yaml string) app.Ready {
	t.Helper()
	held := port.Get(t)
	box := http.NewServeMux()
	srv := httptest.NewServer(box)
	t.Cleanup(srv.Close)
	sb, err := sandbox.New(sandbox.Config{BaseURL: srv.URL, PublicURL: "http://" + held.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	box.Handle("/", sb.Handler())
	g, _ := sb.Vendor("google")
	held.Release()
	return startAlone(t, fmt.Sprintf(`connections:
  google:
    provider: google
    client_id: %q
    client_secret: %q
    endpoints: { issuer: %q, authorization: %q, token: %q, revocation: %q, userinfo: %q, jwks: %q, api: %q }
`, g.ClientID, "exec:echo "+g.ClientSecret, g.Issuer, g.Authorization, g.Token, g.Revocation, g.Userinfo, g.JWKS, g.API)+yaml,
		func(o *app.Options) { o.Config.Listen = held.Addr() })
}

// begin asks for a connection, and answers the link for the browser and the session.
func begin(t *testing.T, base, redirect string, bearer []string) (link, session string) {
	t.Helper()
	sum := sha256.Sum256([]byte(strings.Repeat("v", 50)))
	raw, err := json.Marshal(map[string]any{
		"connection": "google", "redirect_uri": redirect, "state": "st", "scopes": []string{readCalendar},
		"code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "S256",
	})
	if err != nil {
		t.Fatal(err)
	}
	a := send(t, http.MethodPost, base+connectedAccounts+"connect", "application/json", string(raw), bearer...)
	if a.status != http.StatusCreated {
		t.Fatalf("connect: %d %s", a.status, a.raw)
	}
	params, _ := a.fields["connect_params"].(map[string]any)
	return a.fields["connect_uri"].(string) + "?ticket=" + params["ticket"].(string), a.fields["auth_session"].(string)
}

// visit allows on the page and at the sandbox's Google, and answers what the application gets.
func (b *browser) visit(link string, to *callback) url.Values {
	b.t.Helper()
	b.get(link)
	b.get(b.post("answer", "allow"))
	resp, err := b.client.PostForm(b.url, url.Values{"user": {"alice"}})
	b.read(resp, err)
	select {
	case q := <-to.got:
		return q
	case <-time.After(time.Minute):
		b.t.Fatalf("the application had no answer; the browser is at %s: %s", b.url, b.body)
		return nil
	}
}

func finish(t *testing.T, base, session, code, redirect string, bearer []string) answered {
	t.Helper()
	body := fmt.Sprintf(`{"auth_session":%q,"connect_code":%q,"redirect_uri":%q,"code_verifier":%q}`, session, code, redirect, strings.Repeat("v", 50))
	return send(t, http.MethodPost, base+connectedAccounts+"complete", "application/json", body, bearer...)
}

// TestConnectedAccounts: a workload signs its person in at the real server, has them connect Google,
// exchanges for a token of it, and disconnects it. Its other tokens, and an MCP client's, are refused there.
func TestConnectedAccounts(t *testing.T) {
	t.Parallel()
	to := newCallback(t)
	r := withGoogle(t, `workloads:
  portal: { client_secret: "exec:echo the-secret-of-the-portal", redirect_uris: ["`+to.url+`"], connections: { google: [`+readCalendar+`] } }
clients:
  desk: { redirect_uris: ["`+to.url+`"] }
`)
	base, b := strings.TrimSuffix(r.MCP, "/mcp"), signedIn(t, r)
	code, verifier := b.code(base, "portal", to, "scope", "openid offline_access", "audience", base+"/")
	basic := []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("portal:the-secret-of-the-portal"))}
	tok := token(t, base, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {to.url}, "code_verifier": {verifier}}, basic...)
	me := token(t, base, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {fmt.Sprint(tok.fields["refresh_token"])}, "audience": {base + "/me/"}, "scope": {"openid create:me:connected_accounts read:me:connected_accounts delete:me:connected_accounts"},
	}, basic...)
	bearer := []string{"Authorization", "Bearer " + fmt.Sprint(me.fields["access_token"])}
	list := func(bearer []string) answered {
		return send(t, http.MethodGet, base+connectedAccounts+"accounts", "", "", bearer...)
	}
	code, verifier = b.code(base, "desk", to, "resource", r.MCP)
	desk := token(t, base, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {"desk"}, "redirect_uri": {to.url}, "code_verifier": {verifier}})
	for what, a := range map[string]answered{"a subject token": tok, "an MCP token": desk} {
		if got := list([]string{"Authorization", "Bearer " + fmt.Sprint(a.fields["access_token"])}); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", what, got.status, got.raw)
		}
	}
	if a := list(bearer); a.status != http.StatusOK || a.raw != `{"accounts":[]}` {
		t.Fatalf("list: %d %s", a.status, a.raw)
	}
	link, session := begin(t, base, to.url, bearer)
	q := b.visit(link, to)
	done := finish(t, base, session, q.Get("connect_code"), to.url, bearer)
	if done.status != http.StatusCreated || q.Get("state") != "st" {
		t.Fatalf("complete: %d %s, after %v", done.status, done.raw, q)
	}
	exchange := func() answered {
		return token(t, base, url.Values{
			"grant_type": {sts.Auth0GrantType}, "subject_token": {fmt.Sprint(tok.fields["access_token"])}, "connection": {"google"},
			"subject_token_type":   {"urn:ietf:params:oauth:token-type:access_token"},
			"requested_token_type": {"http://auth0.com/oauth/token-type/federated-connection-access-token"},
		}, basic...)
	}
	if a := exchange(); a.status != http.StatusOK || !strings.Contains(fmt.Sprint(a.fields["scope"]), readCalendar) {
		t.Errorf("exchange: %d %s", a.status, a.raw)
	}
	id := fmt.Sprint(done.fields["id"])
	if a := send(t, http.MethodGet, base+connectedAccounts+"connections", "", "", bearer...); a.status != http.StatusOK || !strings.Contains(a.raw, `"strategy":"google-oauth2"`) {
		t.Errorf("connections: %d %s", a.status, a.raw)
	}
	if a := send(t, http.MethodDelete, base+connectedAccounts+"accounts/"+id, "", "", bearer...); a.status != http.StatusNoContent {
		t.Errorf("delete: %d %s", a.status, a.raw)
	}
	if a := exchange(); a.status == http.StatusOK {
		t.Errorf("exchange after delete: %s", a.raw)
	}
}

// idp is an issuer elsewhere that signs what the test says.
type idp struct {
	url    string
	signer jose.Signer
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i, mux := &idp{}, http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	i.url = srv.URL
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v)
		}
	}
	mux.HandleFunc("/.well-known/openid-configuration", answer(map[string]any{
		"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/jwks",
	}))
	mux.HandleFunc("/jwks", answer(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256"}}}))
	opts := (&jose.SignerOptions{}).WithType("at+jwt")
	if i.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, opts); err != nil {
		t.Fatal(err)
	}
	return i
}

// token is alice's, as header.
func (i *idp) token(t *testing.T, client string, claims map[string]any) []string {
	t.Helper()
	all := map[string]any{
		"iss": i.url, "sub": "alice", "client_id": client, "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "email": "alice@example.com",
		"scope": "create:me:connected_accounts read:me:connected_accounts",
	}
	for name, v := range claims {
		all[name] = v
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := i.signer.Sign(raw)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"Authorization", "Bearer " + compact}
}

// TestClientsOfAnIssuer: with an issuer elsewhere its tokens for {public_url}/me/ are taken, of the clients of the config; one that is
// marked binding: app answers for its user, so that nobody signs in on the page.
func TestClientsOfAnIssuer(t *testing.T) {
	t.Parallel()
	i, to := newIDP(t), newCallback(t)
	r := withGoogle(t, `identity: { issuer: "`+i.url+`", client_id: grantry }
clients:
  kiosk: { redirect_uris: ["`+to.url+`"], binding: app }
  web: { redirect_uris: ["`+to.url+`"] }
`)
	base := strings.TrimSuffix(r.MCP, "/mcp")
	aud := func(to ...string) map[string]any { return map[string]any{"aud": to} }
	list := func(bearer []string) answered {
		return send(t, http.MethodGet, base+connectedAccounts+"accounts", "", "", bearer...)
	}
	for what, c := range map[string]struct {
		client string
		claims map[string]any
		status int
	}{
		"good":                   {"kiosk", aud(base + "/me/"), http.StatusOK},
		"no slash":               {"kiosk", aud(base + "/me"), http.StatusUnauthorized},
		"an MCP token":           {"kiosk", aud(base + "/mcp"), http.StatusUnauthorized},
		"a token for both":       {"kiosk", aud(base+"/me/", base+"/mcp"), http.StatusUnauthorized},
		"a subject token, too":   {"kiosk", aud(base+"/me/", base+"/"), http.StatusUnauthorized},
		"an agent in its place":  {"kiosk", map[string]any{"aud": base + "/me/", "act": map[string]any{"sub": "agent"}}, http.StatusUnauthorized},
		"bound to a key":         {"kiosk", map[string]any{"aud": base + "/me/", "cnf": map[string]any{"jkt": "x"}}, http.StatusUnauthorized},
		"a client nobody named":  {"stranger", aud(base + "/me/"), http.StatusForbidden},
		"without the scope":      {"web", map[string]any{"aud": base + "/me/", "scope": "openid"}, http.StatusForbidden},
		"another issuer's claim": {"web", map[string]any{"aud": base + "/me/", "iss": "https://elsewhere.example"}, http.StatusUnauthorized},
	} {
		if a := list(i.token(t, c.client, c.claims)); a.status != c.status {
			t.Errorf("%s: %d %s", what, a.status, a.raw)
		}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, client: &http.Client{Jar: jar}}
	kiosk := i.token(t, "kiosk", aud(base+"/me/"))
	link, session := begin(t, base, to.url, kiosk)
	if b.get(link); !regexp.MustCompile(`kiosk.{0,20} says who you are`).MatchString(b.body) || !strings.Contains(b.body, "alice@example.com") {
		t.Fatalf("the page says %s", b.body)
	}
	q := b.visit(link, to)
	if a := finish(t, base, session, q.Get("connect_code"), to.url, kiosk); a.status != http.StatusCreated {
		t.Fatalf("complete: %d %s", a.status, a.raw)
	}
	if a := list(i.token(t, "web", aud(base+"/me/"))); !strings.Contains(a.raw, `"connection":"google"`) {
		t.Errorf("the person's account is not listed: %s", a.raw)
	}
}
