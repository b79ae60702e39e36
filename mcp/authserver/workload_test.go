package authserver_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/mcp/authserver"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

const (
	portal         = "portal"
	portalSecret   = "the-secret-of-the-portal"
	portalRedirect = "https://portal.example/callback"
	accountScopes  = "create:me:connected_accounts read:me:connected_accounts delete:me:connected_accounts"
)

func withPortal(c *authserver.Config) {
	c.Workloads = map[string]authserver.Workload{
		portal:  {Secret: provider.NewSecret(portalSecret), RedirectURIs: []string{portalRedirect, localRedirect}},
		"other": {Secret: provider.NewSecret(portalSecret), RedirectURIs: []string{portalRedirect}},
	}
}

// atPortal signs alice in at the portal.
func (w *world) atPortal(change ...string) answer {
	w.t.Helper()
	return w.portalCode(w.code(portal, portalRedirect, append([]string{"resource", "", "scope", "openid profile email offline_access", "nonce", "the-nonce"}, change...)...))
}

func (w *world) portalCode(code string, change ...string) answer {
	w.t.Helper()
	return w.post("/oauth/token", with(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {portalRedirect}, "code_verifier": {verifier},
	}, change), portal, portalSecret)
}

func (w *world) portalRefresh(token string, change ...string) answer {
	w.t.Helper()
	return w.post("/oauth/token", with(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, change), portal, portalSecret)
}

func with(form url.Values, change []string) url.Values {
	for i := 0; i+1 < len(change); i += 2 {
		form.Set(change[i], change[i+1])
	}
	return form
}

// claims reads a JWT under the published keys, and its header.
func (w *world) claims(raw string) (typ, alg string, c map[string]any) {
	w.t.Helper()
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		w.t.Fatalf("%.20q…: %v", raw, err)
	}
	var set jose.JSONWebKeySet
	resp, err := http.Get(w.base + "/.well-known/jwks.json")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(read(w.t, resp).body), &set); err != nil {
		w.t.Fatal(err)
	}
	header := jws.Signatures[0].Protected
	keys := set.Key(header.KeyID)
	if len(keys) != 1 {
		w.t.Fatalf("%d keys of id %q are published", len(keys), header.KeyID)
	}
	payload, err := jws.Verify(keys[0].Key)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		w.t.Fatal(err)
	}
	typ, _ = header.ExtraHeaders[jose.HeaderType].(string)
	return typ, header.Algorithm, c
}

// TestWorkloadSignsIn: an application of the config signs people in, for itself and
// for the connected-accounts API, and gets what OpenID Connect libraries expect.
func TestWorkloadSignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPortal)
	a := w.atPortal()
	if a.Status != http.StatusOK || a.Scope != "openid profile email offline_access" || a.Refresh == "" {
		t.Fatalf("%d %s", a.Status, a.raw)
	}
	now := float64(w.clock.Now().Unix())
	typ, alg, id := w.claims(a.ID)
	want := map[string]any{
		"iss": w.base, "sub": w.v.Pseudonym(person("alice").Caller), "aud": portal, "nonce": "the-nonce", "name": "alice", "iat": now, "exp": now + 3600,
	}
	if diff := cmp.Diff(want, id); diff != "" || typ != "JWT" || alg != "RS256" {
		t.Errorf("the ID token is of type %s, signed by %s, and says (-want +got):\n%s", typ, alg, diff)
	}
	typ, alg, access := w.claims(a.Access)
	if typ != "at+jwt" || alg != "ES256" || access["aud"] != w.base+"/" || access["sub"] != id["sub"] || access["client_id"] != portal {
		t.Errorf("the access token is of type %s, signed by %s, and says %v", typ, alg, access)
	}
	b, err := w.VerifyFor(t.Context(), w.Application(), a.Access)
	if err != nil || b.Person.Caller != person("alice").Caller || b.Agent.ID != portal || !b.Agent.Verified {
		t.Errorf("for %s the token is %+v, %v", w.Application(), b, err)
	}
	me := w.portalRefresh(a.Refresh, "audience", w.base+"/me/", "scope", "openid profile offline_access create:me:connected_accounts")
	if me.Status != http.StatusOK || me.Scope != "openid profile offline_access create:me:connected_accounts" || me.ID == "" {
		t.Fatalf("%d %s", me.Status, me.raw)
	}
	if _, _, id := w.claims(me.ID); id["nonce"] != nil || id["email"] != nil || id["aud"] != portal {
		t.Errorf("the ID token of a refresh says %v", id)
	}
	if b, err := w.VerifyFor(t.Context(), w.Accounts(), me.Access); err != nil || !strings.Contains(strings.Join(b.Scopes, " "), "create:me:connected_accounts") {
		t.Errorf("for the connected accounts the token is %+v, %v", b, err)
	}
	if all := w.portalRefresh(me.Refresh, "resource", w.base+"/me/"); all.Scope != "openid profile email offline_access "+accountScopes {
		t.Errorf("with no scope named the token has %q", all.Scope)
	}
}

// TestWorkloadAudiences: no way leads a workload to a token for /mcp, nor an MCP
// client to one for {public_url}/ or {public_url}/me/; and each token counts in its place alone.
func TestWorkloadAudiences(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPortal)
	b := w.browser("alice")
	for _, c := range []struct{ client, redirect, name, value string }{
		{portal, portalRedirect, "resource", "/mcp"},
		{portal, portalRedirect, "audience", "/mcp"},
		{portal, portalRedirect, "resource", "/me"},
		{portal, portalRedirect, "resource", ".evil.example/"},
		{portal, portalRedirect, "resource", "/?x=1"},
		{"desk", localRedirect, "resource", "/"},
		{"desk", localRedirect, "resource", ""},
		{"desk", localRedirect, "resource", "/me/"},
		{"desk", localRedirect, "audience", "/"},
		{"desk", localRedirect, "audience", "/me/"},
		{confidentialClient, webRedirect, "resource", "/"},
		{confidentialClient, webRedirect, "audience", "/me/"},
	} {
		p := b.open(w.asking(c.client, c.redirect, "resource", "", "scope", "openid tools:read", c.name, w.base+c.value))
		if p.location == nil || p.location.Query().Get("error") != "invalid_target" {
			t.Errorf("%s asks for %s=%s: %d %v", c.client, c.name, c.value, p.status, p.location)
		}
	}
	if p := b.open(w.asking(portal, portalRedirect, "resource", w.base+"/me/", "audience", w.base+"/", "scope", "openid")); p.location.Query().Get("error") != "invalid_target" {
		t.Errorf("two audiences: %v", p.location)
	}
	if p := b.open(w.asking(portal, portalRedirect, "resource", "", "scope", "tools:read tools:write")); p.location.Query().Get("error") != "invalid_scope" {
		t.Errorf("a workload asks for scopes of MCP clients: %v", p.location)
	}
	app, tool := w.atPortal(), w.redeem(w.code("desk", localRedirect), "desk", localRedirect)
	me := w.atPortal("audience", w.base+"/me/")
	for token, audiences := range map[string][]bool{app.Access: {false, true, false}, me.Access: {false, false, true}, tool.Access: {true, false, false}, app.ID: {false, false, false}} {
		for i, audience := range []string{w.base + "/mcp", w.base + "/", w.base + "/me/"} {
			if _, err := w.VerifyFor(t.Context(), audience, token); (err == nil) != audiences[i] {
				t.Errorf("a token that is good for %v (/mcp, /, /me/) at %s: %v", audiences, audience, err)
			}
		}
	}
	for what, a := range map[string]answer{
		"audience=/mcp": w.portalRefresh(app.Refresh, "audience", w.base+"/mcp"), "resource=/mcp": w.portalRefresh(app.Refresh, "resource", w.base+"/mcp"),
		"an MCP client": w.post("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tool.Refresh}, "client_id": {"desk"}, "audience": {w.base + "/me/"}}),
		"a code":        w.portalCode(w.code(portal, portalRedirect, "resource", "", "scope", "openid"), "resource", w.base+"/mcp"),
	} {
		if a.Error != "invalid_target" || a.Access != "" {
			t.Errorf("%s: %d %s", what, a.Status, a.raw)
		}
	}
	if a := w.portalRefresh(app.Refresh, "scope", "tools:read "+accountScopes); a.Error != "invalid_scope" {
		t.Errorf("scopes of another audience: %d %s", a.Status, a.raw)
	}
	if a := w.portalRefresh(app.Refresh); a.Status != http.StatusOK {
		t.Errorf("after all that was refused: %d %s", a.Status, a.raw)
	}
}

// TestWorkloadProvesItself: by its secret, in either place, from its addresses.
func TestWorkloadProvesItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPortal, func(c *authserver.Config) {
		c.Workloads["far"] = authserver.Workload{Secret: provider.NewSecret(portalSecret), RedirectURIs: []string{portalRedirect}, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
		c.Workloads["near"] = authserver.Workload{Secret: provider.NewSecret(portalSecret), RedirectURIs: []string{portalRedirect}, Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	})
	form := func(client string, change ...string) url.Values {
		code := w.code(client, portalRedirect, "resource", "", "scope", "openid")
		return with(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {portalRedirect}, "code_verifier": {verifier}}, change)
	}
	for what, c := range map[string]struct {
		a    answer
		want int
	}{
		"in the form":     {w.post("/oauth/token", form(portal, "client_id", portal, "client_secret", portalSecret)), http.StatusOK},
		"no secret":       {w.post("/oauth/token", form(portal, "client_id", portal)), http.StatusUnauthorized},
		"a wrong one":     {w.post("/oauth/token", form(portal), portal, "guessed"), http.StatusUnauthorized},
		"its address":     {w.post("/oauth/token", form("near"), "near", portalSecret), http.StatusOK},
		"another address": {w.post("/oauth/token", form("far"), "far", portalSecret), http.StatusUnauthorized},
		"another's code":  {w.post("/oauth/token", form(portal), "other", portalSecret), http.StatusBadRequest},
	} {
		if c.a.Status != c.want {
			t.Errorf("%s: %d %s", what, c.a.Status, c.a.raw)
		}
	}
}

// TestPresentedRefreshToken: shown, it says whose it is and is not spent; an older one ends the login, a foreign one nothing.
func TestPresentedRefreshToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPortal)
	other := w.start("second")
	a := w.atPortal()
	refused := func(what string, at *world, workload, token string) {
		t.Helper()
		if p, err := at.Presented(t.Context(), workload, token); !errors.Is(err, authserver.ErrUnknownToken) || p.Subject != "" {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
	good := func(at *world, token string) {
		t.Helper()
		if p, err := at.Presented(t.Context(), portal, token); err != nil || p.Caller != person("alice").Caller {
			t.Errorf("the current one: %+v, %v", p, err)
		}
	}
	for range 3 {
		good(w, a.Refresh)
		good(other, a.Refresh)
	}
	refused("another workload", w, "other", a.Refresh)
	refused("no workload", w, "desk", a.Refresh)
	refused("an access token", w, portal, a.Access)
	refused("nonsense", w, portal, a.Refresh[:40])
	desk := w.redeem(w.code("desk", localRedirect), "desk", localRedirect)
	refused("an MCP client's", w, portal, desk.Refresh)
	refused("an MCP client's, as its own", w, "desk", desk.Refresh)
	if b := w.refresh(desk.Refresh, "desk"); b.Status != http.StatusOK {
		t.Errorf("a token that a workload presented is over: %d %s", b.Status, b.raw)
	}
	b := w.portalRefresh(a.Refresh)
	refused("the one before, at once", other, portal, a.Refresh)
	good(other, b.Refresh)
	w.clock.add(11 * time.Second)
	refused("an older one of another's", w, "other", a.Refresh)
	good(w, b.Refresh)
	refused("an older one", other, portal, a.Refresh)
	refused("the current one after that", w, portal, b.Refresh)
	w.clock.add(2 * time.Second)
	if _, err := w.VerifyFor(t.Context(), w.Application(), b.Access); err == nil {
		t.Error("the access token outlived its login")
	}
	if r := w.portalRefresh(b.Refresh); r.Error != "invalid_grant" {
		t.Errorf("refreshing after that: %d %s", r.Status, r.raw)
	}
}

// TestPresentingKeepsAlive: a login that is only presented is used; after 90 days it ends all the same.
func TestPresentingKeepsAlive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPortal)
	a := w.atPortal()
	for day := 20; day < 90; day += 20 {
		w.clock.add(20 * 24 * time.Hour)
		if _, err := w.Presented(t.Context(), portal, a.Refresh); err != nil {
			t.Fatalf("day %d: %v", day, err)
		}
	}
	w.clock.add(11 * 24 * time.Hour)
	if _, err := w.Presented(t.Context(), portal, a.Refresh); !errors.Is(err, authserver.ErrUnknownToken) {
		t.Errorf("day 91: %v", err)
	}
}

// TestClientThatChangedKind: what a client was given as one kind is worth nothing to it as the other.
func TestClientThatChangedKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPortal)
	app := w.atPortal()
	tool := w.post("/oauth/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {w.code(confidentialClient, webRedirect)}, "redirect_uri": {webRedirect}, "code_verifier": {verifier},
	}, confidentialClient, confidentialSecret)
	secret := provider.NewSecret(portalSecret)
	turned := *w
	turned.cfg.Clients = map[string]authserver.Client{portal: {Secret: secret, RedirectURIs: []string{portalRedirect}}}
	turned.cfg.Workloads = map[string]authserver.Workload{confidentialClient: {Secret: secret, RedirectURIs: []string{webRedirect}}}
	after := turned.start("turned")
	if a := after.portalRefresh(app.Refresh); a.Error != "invalid_grant" {
		t.Errorf("a workload that became an MCP client: %d %s", a.Status, a.raw)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tool.Refresh}, "audience": {w.base + "/"}}
	if a := after.post("/oauth/token", form, confidentialClient, portalSecret); a.Error != "invalid_grant" {
		t.Errorf("an MCP client that became a workload: %d %s", a.Status, a.raw)
	}
	if _, err := after.Presented(t.Context(), confidentialClient, tool.Refresh); !errors.Is(err, authserver.ErrUnknownToken) {
		t.Errorf("presenting what it had: %v", err)
	}
}

// TestWorkloadMetadata: libraries find the keys and algorithms, and no endpoint that is not there.
func TestWorkloadMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPortal)
	m := w.json("/.well-known/openid-configuration")
	if m["userinfo_endpoint"] != nil || m["end_session_endpoint"] != nil || m["jwks_uri"] != w.base+"/oauth/jwks" {
		t.Errorf("metadata says %v", m)
	}
	if algs, _ := m["id_token_signing_alg_values_supported"].([]any); len(algs) != 1 || algs[0] != "RS256" {
		t.Errorf("ID tokens are said to be signed by %v", m["id_token_signing_alg_values_supported"])
	}
	if diff := cmp.Diff(w.json("/oauth/jwks"), w.json("/.well-known/jwks.json")); diff != "" {
		t.Errorf("the two addresses of the keys differ:\n%s", diff)
	}
	scopes, _ := json.Marshal(m["scopes_supported"])
	for _, s := range append(mcp.OwnScopes(), "openid", "offline_access", "create:me:connected_accounts") {
		if !strings.Contains(string(scopes), `"`+s+`"`) {
			t.Errorf("metadata does not offer %s", s)
		}
	}
}

// TestWorkloadTicket: the page says all that a login gives, and no more can be added.
func TestWorkloadTicket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPortal)
	p := w.browser("alice").open(w.asking(portal, portalRedirect, "resource", "", "scope", ""))
	tk, err := w.v.Ticket(t.Context(), strings.TrimPrefix(p.location.Path, "/consent/"))
	if err != nil {
		t.Fatal(err)
	}
	if c := tk.Client; strings.Join(c.Scopes, " ") != "openid "+accountScopes || c.Offer != nil || c.Redirect != "portal.example" || c.Local || !c.Remember {
		t.Errorf("the ticket says %+v", c)
	}
	want := vault.Agent{Issuer: "workload:", ID: portal, Name: portal, Verified: true}
	if tk.Agent != want {
		t.Errorf("the agent is %+v", tk.Agent)
	}
}
