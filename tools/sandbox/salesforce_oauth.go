package sandbox

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A session lives two hours, as most organisations have it. No answer says so.
const sfTTL = 2 * time.Hour

func (s *Sandbox) mountSalesforce(mux *http.ServeMux) {
	page := s.authorize(salesforceFront())
	const o = "/salesforce/services/oauth2/"
	s.route(mux, salesforce, "authorize", "GET "+o+"authorize", page)
	s.route(mux, salesforce, "authorize", "POST "+o+"authorize", page)
	s.route(mux, salesforce, "token", "POST "+o+"token", s.sfToken)
	for _, m := range []string{"GET ", "POST "} {
		s.route(mux, salesforce, "revoke", m+o+"revoke", s.sfRevoke)
		s.route(mux, salesforce, "userinfo", m+o+"userinfo", s.sfUserinfo)
	}
	s.route(mux, salesforce, "userinfo", "GET /salesforce/id/{org}/{user}", s.sfIdentity)
	s.route(mux, salesforce, "discovery", "GET /salesforce/.well-known/openid-configuration", s.sfMetadata)
	s.route(mux, salesforce, "discovery", "GET /salesforce/id/keys", s.vendorKeys)
	s.route(mux, salesforce, "api", "GET /salesforce/services/data/{version}/query", s.sfAPI(s.sfQuery))
	s.route(mux, salesforce, "api", "GET /salesforce/services/data/{version}/query/{locator}", s.sfAPI(s.sfMore))
	s.route(mux, salesforce, "api", "GET /salesforce/services/data/{version}/sobjects/{object}/{id}", s.sfAPI(s.sfRead))
	s.route(mux, salesforce, "api", "PATCH /salesforce/services/data/{version}/sobjects/{object}/{id}", s.sfAPI(s.sfUpdate))
	s.route(mux, salesforce, "api", "GET /salesforce/services/data/{rest...}", s.sfAPI(sfNothing))
}

func (s *Sandbox) sfMetadata(w http.ResponseWriter, _ *http.Request) {
	reg, _ := s.Vendor(salesforce)
	writeJSON(w, http.StatusOK, reply{
		"issuer": reg.Issuer, "authorization_endpoint": reg.Authorization, "token_endpoint": reg.Token,
		"revocation_endpoint": reg.Revocation, "userinfo_endpoint": reg.Userinfo, "jwks_uri": reg.JWKS,
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"scopes_supported":                      sfScopes(), "code_challenge_methods_supported": []string{"S256"},
	})
}

func sfScopes() []string {
	return []string{
		"api", "full", "web", "id", "openid", "profile", "email", "address", "phone", "refresh_token", "offline_access",
		"chatter_api", "custom_permissions", "visualforce", "lightning", "content", "wave_api",
	}
}

func salesforceFront() front {
	return front{
		vendor: salesforce, title: "Salesforce", verb: "Allow as", decline: true,
		identity: []string{"id", "openid", "profile", "email", "address", "phone", "refresh_token", "offline_access"},
		parse:    sfAsk,
		give: func(_ *grant, a ask) code {
			offline := slices.Contains(a.scopes, "refresh_token") || slices.Contains(a.scopes, "offline_access")
			return code{Scopes: a.scopes, Offline: offline}
		},
	}
}

// sfAsk reads an authorization request. The app requires PKCE, as new ones do.
func sfAsk(_ client, q url.Values) (ask, *denial) {
	ch, no := challenge(q)
	a := ask{challenge: ch, nonce: q.Get("nonce"), scopes: merged(strings.Fields(q.Get("scope")), nil)}
	if len(a.scopes) == 0 { // all that the app has
		a.scopes = []string{"id", "api", "refresh_token"}
	}
	switch {
	case q.Get("response_type") != "code":
		return ask{}, &denial{code: "unsupported_response_type", text: "response type not supported"}
	case no != nil:
		return ask{}, &denial{code: "invalid_request", text: "invalid code challenge"}
	case ch == "":
		return ask{}, &denial{code: "invalid_request", text: "missing required code challenge"}
	}
	for _, sc := range a.scopes {
		if !slices.Contains(sfScopes(), sc) {
			return ask{}, &denial{code: "invalid_scope", text: "the requested scope is not allowed"}
		}
	}
	return a, nil
}

func (s *Sandbox) sfToken(w http.ResponseWriter, r *http.Request) {
	c, why := s.authenticate(salesforce, r)
	switch why {
	case unknownClient:
		oauthError(w, http.StatusBadRequest, "invalid_client_id", "client identifier invalid")
		return
	case wrongSecret:
		oauthError(w, http.StatusBadRequest, "invalid_client", "invalid client credentials")
		return
	}
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		s.sfCode(w, r, c)
	case "refresh_token":
		s.sfRefresh(w, r, c)
	default:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", "grant type not supported")
	}
}

func (s *Sandbox) sfCode(w http.ResponseWriter, r *http.Request, c client) {
	var got *code
	var why refusal
	var p pair
	s.update(func(st *state) {
		got, why = st.redeem(redemption{
			salesforce, c.ID, r.PostFormValue("code"), r.PostFormValue("redirect_uri"), r.PostFormValue("code_verifier"),
		}, s.cfg.Now())
		if why != accepted {
			return
		}
		t := got.holds(got.Scopes, false)
		p.access = s.giveAccess(st, sfOrg[:15]+"!AQ4AQ", sfTTL, t)
		if st.take(salesforce, "drop_refresh", "token") == nil && got.Offline {
			p.refresh = s.giveRefresh(st, "5Aep861", t)
		}
	})
	switch why {
	case accepted:
	case wrongRedirect:
		oauthError(w, http.StatusBadRequest, "redirect_uri_mismatch", "redirect_uri must match configuration")
		return
	case missingVerifier, wrongVerifier:
		oauthError(w, http.StatusBadRequest, "invalid_grant", "invalid code verifier")
		return
	default:
		oauthError(w, http.StatusBadRequest, "invalid_grant", "expired authorization code")
		return
	}
	body := s.sfAnswer(got.User, got.Scopes, p)
	if slices.Contains(got.Scopes, "openid") {
		key, err := s.vendorKey()
		if err == nil {
			who, _ := findPerson(got.User)
			body["id_token"], err = s.idToken(key, s.cfg.BaseURL+"/salesforce", s.sfID(who), got, p.access, who.claims(got.Scopes))
		}
		if err != nil {
			oauthError(w, http.StatusInternalServerError, "server_error", "the ID token could not be signed")
			return
		}
	}
	writeToken(w, http.StatusOK, body)
}

func (s *Sandbox) sfRefresh(w http.ResponseWriter, r *http.Request, c client) {
	var old *token
	var why refusal
	var p pair
	s.update(func(st *state) {
		old, why = st.spend(spending{vendor: salesforce, client: c.ID, raw: r.PostFormValue("refresh_token")})
		if why != accepted {
			return
		}
		t := *old
		t.Spent = false
		p.access = s.giveAccess(st, sfOrg[:15]+"!AQ4AQ", sfTTL, t)
		if old.Spent { // rotate_strict, or an app that has rotation on
			p.refresh = s.giveRefresh(st, "5Aep861", t)
		}
	})
	if why != accepted {
		oauthError(w, http.StatusBadRequest, "invalid_grant", "expired access/refresh token")
		return
	}
	writeToken(w, http.StatusOK, s.sfAnswer(old.User, old.Scopes, p))
}

// sfID is the address of a person, which Salesforce uses as the subject.
func (s *Sandbox) sfID(p person) string {
	return s.cfg.BaseURL + "/salesforce/id/" + sfOrg + "/" + p.sfID
}

// sfAnswer has no expires_in, and says where the API is.
func (s *Sandbox) sfAnswer(user string, scopes []string, p pair) reply {
	who, _ := findPerson(user)
	body := reply{
		"access_token": p.access, "signature": base64.StdEncoding.EncodeToString(s.bytes(32)), "scope": strings.Join(scopes, " "),
		"instance_url": s.cfg.BaseURL + "/salesforce", "id": s.sfID(who), "token_type": "Bearer",
		"issued_at": strconv.FormatInt(s.cfg.Now().UnixMilli(), 10),
	}
	if p.refresh != "" {
		body["refresh_token"] = p.refresh
	}
	return body
}

// sfRevoke: a refresh token takes its access tokens along, an access token goes alone.
func (s *Sandbox) sfRevoke(w http.ResponseWriter, r *http.Request) {
	found := false
	s.update(func(st *state) {
		t, refresh := st.find(salesforce, r.FormValue("token"))
		if t == nil || t.Dead || st.grant(t.Grant).Dead {
			return
		}
		found, t.Dead = true, true
		if refresh {
			st.grant(t.Grant).Dead = true
		}
	})
	if !found {
		oauthError(w, http.StatusBadRequest, "unsupported_token_type", "this token type is not supported")
		return
	}
	w.WriteHeader(http.StatusOK)
}

// sfBearer takes Salesforce's own scheme name, too.
func sfBearer(r *http.Request) string {
	if own, found := strings.CutPrefix(r.Header.Get("Authorization"), "OAuth "); found {
		return own
	}
	return bearer(r)
}

// sfWho is the person behind an identity request; the identity service refuses in its own words.
func (s *Sandbox) sfWho(w http.ResponseWriter, r *http.Request) (person, token, bool) {
	t, why := s.access(salesforce, sfBearer(r))
	p, _ := findPerson(t.User)
	switch {
	case why == noToken:
		http.Error(w, "Missing_OAuth_Token", http.StatusForbidden)
	case why != accepted:
		http.Error(w, "Bad_OAuth_Token", http.StatusForbidden)
	case !slices.ContainsFunc(t.Scopes, func(sc string) bool { return sc != "refresh_token" && sc != "offline_access" }):
		http.Error(w, "Wrong_Scope", http.StatusForbidden)
	default:
		return p, t, true
	}
	return person{}, token{}, false
}

func (s *Sandbox) sfUserinfo(w http.ResponseWriter, r *http.Request) {
	p, _, ok := s.sfWho(w, r)
	if !ok {
		return
	}
	writeJSON(w, http.StatusOK, reply{
		"sub": s.sfID(p), "user_id": p.sfID, "organization_id": sfOrg, "preferred_username": p.name + "@example.com.sandbox",
		"nickname": p.name, "name": p.full(), "given_name": p.given, "family_name": p.family, "email": p.email,
		"email_verified": true, "zoneinfo": "GMT", "language": "en_US", "locale": "en_US", "active": true, "user_type": "STANDARD",
	})
}

func (s *Sandbox) sfIdentity(w http.ResponseWriter, r *http.Request) {
	p, _, ok := s.sfWho(w, r)
	if !ok {
		return
	}
	if r.PathValue("org") != sfOrg || r.PathValue("user") != p.sfID {
		http.Error(w, "Bad_Id", http.StatusForbidden)
		return
	}
	writeJSON(w, http.StatusOK, reply{
		"id": s.sfID(p), "asserted_user": true, "user_id": p.sfID, "organization_id": sfOrg, "username": p.name + "@example.com.sandbox",
		"display_name": p.full(), "first_name": p.given, "last_name": p.family, "email": p.email, "email_verified": true,
		"active": true, "user_type": "STANDARD", "language": "en_US", "locale": "en_US",
	})
}
