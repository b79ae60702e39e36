package e2e_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The tests of this file hold the ground on which the others stand: what the
// counterparties really do, and that the helpers see what they must see.

// app is a client's redirect URI: it keeps the queries that arrive.
type app struct {
	URL  string
	came chan url.Values
	shut atomic.Bool // it answers nothing, so that a browser stays where it is
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{came: make(chan url.Values, 8)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.shut.Load() {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if r.URL.Path == "/callback" {
			a.came <- r.URL.Query()
		}
		io.WriteString(w, "<p>You may close this window.</p>") //nolint:errcheck // the browser may have gone
	}))
	t.Cleanup(server.Close)
	a.URL = server.URL + "/callback"
	return a
}

func (a *app) query(t *testing.T) url.Values {
	t.Helper()
	select {
	case query := <-a.came:
		return query
	case <-time.After(patience):
		t.Fatal("nothing came back to the redirect URI")
		return nil
	}
}

const (
	verifier = "a-verifier-of-at-least-forty-three-characters-in-length"
	state    = "a-state-that-comes-back"
)

// authorizeURL is a correct authorization request; extra adds to it.
func authorizeURL(endpoint, clientID, redirect, scope string, extra ...string) string {
	digest := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirect}, "scope": {scope}, "state": {state},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(digest[:])},
	}
	for i := 0; i+1 < len(extra); i += 2 {
		query.Set(extra[i], extra[i+1])
	}
	return endpoint + "?" + query.Encode()
}

// postForm answers status and JSON body of a token endpoint.
func postForm(t *testing.T, endpoint string, form ...string) (int, map[string]any) {
	t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	resp, err := http.PostForm(endpoint, values)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatalf("%s answered %d without JSON: %v", endpoint, resp.StatusCode, err)
	}
	return resp.StatusCode, body
}

// issuerToken goes through oidc-provider as name and answers its token answer; scopes are asked for besides openid.
func issuerToken(t *testing.T, i *issuer, name, clientID, resource string, scopes ...string) map[string]any {
	t.Helper()
	a := newApp(t)
	link := authorizeURL(i.URL+"/auth", clientID, a.URL, strings.Join(append([]string{"openid offline_access"}, scopes...), " "), "prompt", "consent", "resource", resource)
	b := newBrowser(t)
	b.open(link)
	b.signInAtIssuer(name)
	query := a.query(t)
	if query.Get("state") != state || query.Get("iss") != i.URL {
		t.Fatalf("the redirect carries state %q and iss %q", query.Get("state"), query.Get("iss"))
	}
	status, body := postForm(t, i.URL+"/token", "grant_type", "authorization_code", "client_id", clientID,
		"code", query.Get("code"), "redirect_uri", a.URL, "code_verifier", verifier, "resource", resource)
	if status != http.StatusOK {
		t.Fatalf("the token endpoint answered %d: %v", status, body)
	}
	return body
}

// claims reads a JWT without checking it.
func claims(t *testing.T, token string) (header, body map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: it has %d parts", len(parts))
	}
	for i, into := range []*map[string]any{&header, &body} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		unmarshal(t, string(text), into)
	}
	return header, body
}

func TestIssuerGivesAccessTokensForTheResource(t *testing.T) {
	t.Parallel()
	const resource = "http://127.0.0.1:8787/mcp"
	i := startIssuer(t, issuerConfig{Clients: []map[string]any{public("mcp-client")}, Resources: []string{resource}})
	token := issuerToken(t, i, "alice", "mcp-client", resource)["access_token"].(string)
	header, body := claims(t, token)
	got := map[string]any{"typ": header["typ"], "alg": header["alg"], "iss": body["iss"], "sub": body["sub"], "aud": body["aud"], "client_id": body["client_id"]}
	want := map[string]any{"typ": "at+jwt", "alg": "RS256", "iss": i.URL, "sub": "alice", "aud": resource, "client_id": "mcp-client"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the access token differs (-want +got):\n%s", diff)
	}
	if !slices.Contains(i.issued(t, "mcp-client"), token) {
		t.Error("the issuer does not say that it issued this token")
	}
}

func TestIssuerKillsTheFamilyOnReuse(t *testing.T) {
	t.Parallel()
	const resource = "http://127.0.0.1:8787/mcp"
	i := startIssuer(t, issuerConfig{Clients: []map[string]any{public("mcp-client")}, Resources: []string{resource}})
	first := issuerToken(t, i, "bob", "mcp-client", resource)["refresh_token"].(string)
	refresh := func(token string) (int, map[string]any) {
		return postForm(t, i.URL+"/token", "grant_type", "refresh_token", "client_id", "mcp-client", "refresh_token", token)
	}
	status, body := refresh(first)
	second, _ := body["refresh_token"].(string)
	if status != http.StatusOK || second == "" || second == first {
		t.Fatalf("a refresh answered %d and did not rotate", status)
	}
	if status, _ := refresh(first); status != http.StatusBadRequest {
		t.Errorf("the spent token was answered %d, want 400", status)
	}
	if status, _ := refresh(second); status != http.StatusBadRequest {
		t.Errorf("after the reuse the newest token was answered %d, want 400", status)
	}
	tokens, statuses := i.refreshes(t)
	if diff := cmp.Diff([]string{first, first, second}, tokens); diff != "" {
		t.Errorf("the issuer's record of refreshes differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{200, 400, 400}, statuses); diff != "" {
		t.Errorf("the issuer's record of statuses differs (-want +got):\n%s", diff)
	}
}

func TestEmulateBehindARecorder(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	base := strings.TrimSuffix(a.URL, "/callback")
	e := startEmulate(t, base)
	between := newRecorder(t, e.Google)
	between.inject(fault{Path: "/oauth2/token", Status: http.StatusServiceUnavailable, Body: `{"error":"server_error"}`})

	b := newBrowser(t).stopAt(base)
	b.open(authorizeURL(e.Google+"/o/oauth2/v2/auth", "emulate-google", base+"/callback/google", "openid email"))
	code := b.click("alice@example.com").Held.Query().Get("code")
	exchange := func() (int, map[string]any) {
		return postForm(t, between.URL+"/oauth2/token", "grant_type", "authorization_code", "code", code, "code_verifier", verifier,
			"client_id", "emulate-google", "client_secret", "emulate-google-secret", "redirect_uri", base+"/callback/google")
	}
	if status, _ := exchange(); status != http.StatusServiceUnavailable {
		t.Errorf("the injected fault answered %d", status)
	}
	status, body := exchange()
	if status != http.StatusOK || body["refresh_token"] == nil {
		t.Fatalf("emulate's token endpoint answered %d: %v", status, body)
	}
	if got := between.exchanges("/oauth2/token"); len(got) != 2 || got[1].Status != http.StatusOK || !strings.Contains(got[1].Body, url.QueryEscape(verifier)) {
		t.Errorf("the recorder saw %d exchanges, want both", len(got))
	}
	s := newBrowser(t).stopAt(base)
	s.open(e.Slack + "/oauth/v2/authorize?client_id=emulate-slack&user_scope=chat:write&state=s&redirect_uri=" + url.QueryEscape(base+"/callback/slack"))
	code = s.click("bob").Held.Query().Get("code")
	_, body = postForm(t, e.Slack+"/api/oauth.v2.access", "code", code, "client_id", "emulate-slack", "client_secret", "emulate-slack-secret")
	user, _ := body["authed_user"].(map[string]any)
	if body["ok"] != true || user["scope"] != "chat:write" {
		t.Errorf("emulate's Slack answered %v", body)
	}
}

func TestChromeSignsInAtTheIssuer(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	i := startIssuer(t, issuerConfig{Clients: []map[string]any{public("mcp-client")}})
	c := newChrome(t)
	c.open(authorizeURL(i.URL+"/auth", "mcp-client", a.URL, "openid"))
	c.fill("login", "alice")
	c.fill("password", "any")
	c.click("Sign-in")
	c.click("Continue")
	c.waitFor("You may close this window.")
	if a.query(t).Get("code") == "" {
		t.Error("no code came back")
	}
}

func TestCanarySeesEveryShape(t *testing.T) {
	t.Parallel()
	const secret = "xoxp-1234/5678+90ab cdef"
	c := newCanary(t, secret)
	for _, shape := range []string{
		secret, url.QueryEscape(secret), hex.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.URLEncoding.EncodeToString([]byte("x" + secret + "yz")),
		base64.RawStdEncoding.EncodeToString([]byte("xy" + secret)),
	} {
		if len(c.find([]byte("before"+shape+"after"))) != 1 {
			t.Errorf("%q hides the secret", shape)
		}
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "f"), "nothing here")
	c.cleanDir(t, dir)
}
