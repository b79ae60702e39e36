package sandbox_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// register makes a client at the issuer.
func (w *world) register(metadata map[string]any) answer {
	w.t.Helper()
	return w.postJSON(w.base+"/issuer/register", "", metadata)
}

const loop = "http://127.0.0.1/cb"

// publicClient is what an MCP client registers.
func (w *world) publicClient() string {
	w.t.Helper()
	res := w.register(map[string]any{
		"redirect_uris": []string{loop}, "token_endpoint_auth_method": "none", "client_name": "Test client",
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
	})
	if res.status != http.StatusCreated {
		w.t.Fatalf("registering: %d %s", res.status, res.body)
	}
	return str(res.object(w.t), "client_id")
}

func mcpRequest(client, redirect string, more ...string) url.Values {
	q := url.Values{
		"client_id": {client}, "redirect_uri": {redirect}, "response_type": {"code"}, "state": {"st-9"}, "scope": {"openid email"},
		"code_challenge": {s256(verifier)}, "code_challenge_method": {"S256"}, "resource": {public + "/mcp"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return q
}

func (w *world) issuerToken(form url.Values) answer {
	w.t.Helper()
	return w.post(w.box.Issuer().Token, form)
}

func codeForm(client, redirect, code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {client}, "redirect_uri": {redirect}, "code": {code}, "code_verifier": {verifier},
	}
}

func TestIssuerMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, path := range []string{
		"/issuer/.well-known/openid-configuration", "/issuer/.well-known/oauth-authorization-server",
		"/.well-known/oauth-authorization-server/issuer", "/.well-known/openid-configuration/issuer",
	} {
		doc := w.get(w.base+path, "").object(t)
		want(t, path, str(doc, "issuer"), w.base+"/issuer")
		want(t, path, str(doc, "token_endpoint"), w.box.Issuer().Token)
		want(t, path, doc["authorization_response_iss_parameter_supported"], any(true))
		if str(doc, "registration_endpoint") == "" || str(doc, "jwks_uri") != w.box.Issuer().JWKS {
			t.Errorf("%s is incomplete: %v", path, doc)
		}
	}
	want(t, "any origin may read it", w.get(w.base+"/issuer/jwks", "").header.Get("Access-Control-Allow-Origin"), "*")
}

func TestIssuerFlowOfAnMCPClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	client := w.publicClient()
	redirect := "http://127.0.0.1:49152/cb" // any port of a registered loopback address
	back := w.click(w.box.Issuer().Authorization, mcpRequest(client, redirect, "nonce", "n-3"), "Sign in as alice")
	want(t, "state", back.Get("state"), "st-9")
	want(t, "iss", back.Get("iss"), w.base+"/issuer")

	got := w.issuerToken(codeForm(client, redirect, back.Get("code"))).object(t)
	typ, claims := w.claims(str(got, "access_token"), w.box.Issuer().JWKS, jose.ES256)
	want(t, "typ", typ, "at+jwt")
	for claim, value := range map[string]string{
		"iss": w.base + "/issuer", "aud": public + "/mcp", "client_id": client, "email": "alice@example.com", "scope": "openid email",
	} {
		want(t, claim, str(claims, claim), value)
	}
	want(t, "exp", claims["exp"], any(float64(now.Add(time.Hour).Unix())))
	if str(claims, "jti") == "" || claims["iat"] == nil {
		t.Error("jti and iat are missing")
	}
	typ, id := w.claims(str(got, "id_token"), w.box.Issuer().JWKS, jose.ES256)
	want(t, "id typ", typ, "JWT")
	want(t, "id aud", str(id, "aud"), client)
	want(t, "id sub", str(id, "sub"), str(claims, "sub"))
	want(t, "id nonce", str(id, "nonce"), "n-3")
	want(t, "id auth_time", id["auth_time"], any(float64(now.Unix())))
	want(t, "id email_verified", id["email_verified"], any(true))

	refreshed := func(token string) answer {
		return w.issuerToken(url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}})
	}
	next := refreshed(str(got, "refresh_token")).object(t)
	_, claims = w.claims(str(next, "access_token"), w.box.Issuer().JWKS, jose.ES256)
	want(t, "aud after refresh", str(claims, "aud"), public+"/mcp")
	if str(next, "refresh_token") == str(got, "refresh_token") || str(next, "refresh_token") == "" {
		t.Error("a public client's refresh token is replaced")
	}
	want(t, "reuse", str(refreshed(str(got, "refresh_token")).object(t), "error"), "invalid_grant")
	want(t, "reuse ends the family", str(refreshed(str(next, "refresh_token")).object(t), "error"), "invalid_grant")
	want(t, "vendors' grants are not the issuer's", len(w.grants()), 0)
}

func TestIssuerSignInOfThePages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	reg := w.box.Issuer()
	redirect := public + "/signin/callback"
	q := mcpRequest(reg.ClientID, redirect, "prompt", "login", "max_age", "0", "scope", "openid email profile")
	q.Del("resource")
	w.sleep(time.Minute)
	back := w.click(reg.Authorization, q, "Sign in as bob")
	form := codeForm(reg.ClientID, redirect, back.Get("code"))
	want(t, "without the secret", w.issuerToken(form).status, http.StatusUnauthorized)
	form.Set("client_secret", reg.ClientSecret)
	got := w.issuerToken(form).object(t)
	_, id := w.claims(str(got, "id_token"), reg.JWKS, jose.ES256)
	want(t, "auth_time is now", id["auth_time"], any(float64(now.Add(time.Minute).Unix())))
	want(t, "name", str(id, "name"), "Bob Baker")
	want(t, "no refresh token unasked", str(got, "refresh_token"), "")
	me := w.get(reg.Userinfo, str(got, "access_token")).object(t)
	want(t, "userinfo", str(me, "sub"), str(id, "sub"))
	want(t, "userinfo", str(me, "email"), "bob@example.com")
	want(t, "without resource no JWT", strings.Count(str(got, "access_token"), "."), 0)
	want(t, "userinfo of nobody", w.get(reg.Userinfo, "x").status, http.StatusUnauthorized)
}

func TestIssuerRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	client := w.publicClient()
	for name, c := range map[string]struct{ param, value, code string }{
		"no challenge":    {"code_challenge", "", "invalid_request"},
		"plain challenge": {"code_challenge_method", "plain", "invalid_request"},
		"response type":   {"response_type", "token", "unsupported_response_type"},
		"resource":        {"resource", "mcp", "invalid_target"},
		"fragment":        {"resource", public + "/mcp#x", "invalid_target"},
		"prompt none":     {"prompt", "none", "login_required"},
		"fragment mode":   {"response_mode", "fragment", "invalid_request"},
		"long parameter":  {"state", strings.Repeat("s", 5000), "invalid_request"},
	} {
		res := w.get(w.box.Issuer().Authorization+"?"+mcpRequest(client, loop, c.param, c.value).Encode(), "")
		back, err := url.Parse(res.header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		want(t, name, res.status, http.StatusSeeOther)
		want(t, name, back.Query().Get("error"), c.code)
		want(t, name+": iss", back.Query().Get("iss"), w.base+"/issuer")
	}
	for name, q := range map[string]url.Values{
		"unknown client":     mcpRequest("nobody", loop),
		"other path":         mcpRequest(client, "http://127.0.0.1/other"),
		"other host":         mcpRequest(client, "http://127.0.0.1.evil.example/cb"),
		"grantry at a guess": mcpRequest("grantry", "http://127.0.0.1:8787/callback/google"),
	} {
		res := w.get(w.box.Issuer().Authorization+"?"+q.Encode(), "")
		if res.status < 400 || res.header.Get("Location") != "" {
			t.Errorf("%s: status %d, location %q", name, res.status, res.header.Get("Location"))
		}
	}
}

func TestIssuerCodeReplayEndsTheGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	client := w.publicClient()
	back := w.click(w.box.Issuer().Authorization, mcpRequest(client, loop), "Sign in as alice")
	got := w.issuerToken(codeForm(client, loop, back.Get("code"))).object(t)
	want(t, "replay", str(w.issuerToken(codeForm(client, loop, back.Get("code"))).object(t), "error"), "invalid_grant")
	dead := w.issuerToken(url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {str(got, "refresh_token")}})
	want(t, "refresh", str(dead.object(t), "error"), "invalid_grant")

	back = w.click(w.box.Issuer().Authorization, mcpRequest(client, loop), "Sign in as alice")
	other := codeForm(w.publicClient(), loop, back.Get("code"))
	want(t, "another client's code", str(w.issuerToken(other).object(t), "error"), "invalid_grant")
	form := codeForm(client, loop, back.Get("code"))
	form.Set("resource", "https://else.example")
	want(t, "a resource that was not authorized", str(w.issuerToken(form).object(t), "error"), "invalid_target")
}

func TestIssuerRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	secret := w.register(map[string]any{"redirect_uris": []string{"https://app.example/cb"}}).object(t)
	want(t, "default method", str(secret, "token_endpoint_auth_method"), "client_secret_basic")
	if str(secret, "client_secret") == "" || secret["client_secret_expires_at"] != any(float64(0)) {
		t.Error("a confidential client gets a secret that does not expire")
	}
	for _, uri := range []string{"cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost:1234/cb", "com.example.app:/cb"} {
		want(t, uri, w.register(map[string]any{"redirect_uris": []string{uri}, "token_endpoint_auth_method": "none"}).status, http.StatusCreated)
	}
	for _, uri := range []string{"http://app.example/cb", "javascript:alert(1)", "https://app.example/cb#x", "/cb", "data:text/html,x"} {
		res := w.register(map[string]any{"redirect_uris": []string{uri}})
		want(t, uri, str(res.object(t), "error"), "invalid_redirect_uri")
	}
	for name, m := range map[string]map[string]any{
		"no address":    {},
		"private key":   {"redirect_uris": []string{loop}, "token_endpoint_auth_method": "private_key_jwt"},
		"implicit":      {"redirect_uris": []string{loop}, "grant_types": []string{"implicit"}},
		"response type": {"redirect_uris": []string{loop}, "response_types": []string{"token"}},
	} {
		want(t, name, w.register(m).status, http.StatusBadRequest)
	}
}

func TestIssuerRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	client := w.publicClient()
	back := w.click(w.box.Issuer().Authorization, mcpRequest(client, loop), "Sign in as bob")
	got := w.issuerToken(codeForm(client, loop, back.Get("code"))).object(t)
	foreign := url.Values{"client_id": {w.publicClient()}, "token": {str(got, "refresh_token")}}
	want(t, "another client", w.post(w.box.Issuer().Revocation, foreign).status, http.StatusOK)
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {str(got, "refresh_token")}}
	next := w.issuerToken(form)
	want(t, "still alive", next.status, http.StatusOK)
	own := url.Values{"client_id": {client}, "token": {str(next.object(t), "refresh_token")}}
	want(t, "own", w.post(w.box.Issuer().Revocation, own).status, http.StatusOK)
	form.Set("refresh_token", own.Get("token"))
	want(t, "dead", w.issuerToken(form).status, http.StatusBadRequest)
}
