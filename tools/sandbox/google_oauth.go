package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Google's answers name these two by their long forms, whatever was asked.
const (
	googleEmail   = "https://www.googleapis.com/auth/userinfo.email"
	googleProfile = "https://www.googleapis.com/auth/userinfo.profile"
	googleAuth    = "https://www.googleapis.com/auth/"
	googleTTL     = 3599 * time.Second
)

func (s *Sandbox) mountGoogle(mux *http.ServeMux) {
	page := s.authorize(googleFront())
	s.route(mux, google, "authorize", "GET /google/o/oauth2/v2/auth", page)
	s.route(mux, google, "authorize", "POST /google/o/oauth2/v2/auth", page)
	s.route(mux, google, "token", "POST /google/token", s.googleToken)
	s.route(mux, google, "revoke", "POST /google/revoke", s.googleRevoke)
	s.route(mux, google, "userinfo", "GET /google/v1/userinfo", s.googleUserinfo)
	s.route(mux, google, "userinfo", "POST /google/v1/userinfo", s.googleUserinfo)
	s.route(mux, google, "discovery", "GET /google/.well-known/openid-configuration", s.googleMetadata)
	s.route(mux, google, "discovery", "GET /google/oauth2/v3/certs", s.vendorKeys)
	s.mountCalendar(mux)
	s.mountDrive(mux)
}

func (s *Sandbox) googleMetadata(w http.ResponseWriter, _ *http.Request) {
	reg, _ := s.Vendor(google)
	writeJSON(w, http.StatusOK, reply{
		"issuer": reg.Issuer, "authorization_endpoint": reg.Authorization, "token_endpoint": reg.Token,
		"revocation_endpoint": reg.Revocation, "userinfo_endpoint": reg.Userinfo, "jwks_uri": reg.JWKS,
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "email", "profile"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"code_challenge_methods_supported":      []string{"S256"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token"},
	})
}

func (s *Sandbox) vendorKeys(w http.ResponseWriter, _ *http.Request) {
	key, err := s.vendorKey()
	if err != nil {
		http.Error(w, "no key", http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, publicKeys(key))
}

func googleFront() front {
	return front{
		vendor: google, title: "Google", verb: "Allow as", decline: true,
		identity: []string{"openid", "email", "profile", googleEmail, googleProfile},
		parse:    googleAsk,
		give: func(g *grant, a ask) code {
			c := code{Scopes: a.scopes, Offline: a.offline && (a.again || !g.Offline)}
			if a.merge {
				c.Scopes = g.Scopes
			}
			return c
		},
		extra: func(c code) url.Values {
			return url.Values{"scope": {strings.Join(c.Scopes, " ")}, "authuser": {"0"}, "hd": {companyDomain}, "prompt": {"consent"}}
		},
	}
}

// googleAsk reads an authorization request; Google tells a person, not the client, what is wrong with one.
func googleAsk(_ client, q url.Values) (ask, *denial) {
	ch, no := challenge(q)
	a := ask{
		challenge: ch, nonce: q.Get("nonce"), offline: q.Get("access_type") == "offline",
		again: slices.Contains(strings.Fields(q.Get("prompt")), "consent"), merge: q.Get("include_granted_scopes") == "true",
	}
	for _, sc := range strings.Fields(q.Get("scope")) {
		a.scopes = merged(a.scopes, []string{googleScope(sc)})
	}
	switch {
	case q.Get("response_type") != "code":
		return ask{}, &denial{"unsupported_response_type", "This endpoint answers with codes only.", true}
	case no != nil:
		return ask{}, &denial{no.code, no.text, true}
	case len(a.scopes) == 0:
		return ask{}, &denial{"invalid_request", "Missing required parameter: scope", true}
	case slices.Contains(a.scopes, ""):
		return ask{}, &denial{"invalid_scope", "Some requested scopes were invalid.", true}
	case q.Get("prompt") == "none":
		return ask{}, &denial{code: "interaction_required", text: "a person must click"}
	}
	return a, nil
}

// googleScope is the name under which Google grants a scope; "" if there is none.
func googleScope(asked string) string {
	switch {
	case asked == "email":
		return googleEmail
	case asked == "profile":
		return googleProfile
	case asked == "openid", asked == "https://mail.google.com/", len(asked) > len(googleAuth) && strings.HasPrefix(asked, googleAuth):
		return asked
	}
	return ""
}

func (s *Sandbox) googleToken(w http.ResponseWriter, r *http.Request) {
	c, why := s.authenticate(google, r)
	switch {
	case why == unknownClient:
		oauthError(w, http.StatusUnauthorized, "invalid_client", "The OAuth client was not found.")
		return
	case why != accepted:
		oauthError(w, http.StatusUnauthorized, "invalid_client", "Unauthorized")
		return
	}
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		s.googleCode(w, r, c)
	case "refresh_token":
		s.googleRefresh(w, r, c)
	default:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", "Invalid grant_type: "+r.PostFormValue("grant_type"))
	}
}

func (s *Sandbox) googleCode(w http.ResponseWriter, r *http.Request, c client) {
	var got *code
	var why refusal
	var access, refresh string
	s.update(func(st *state) {
		got, why = st.redeem(redemption{
			google, c.ID, r.PostFormValue("code"), r.PostFormValue("redirect_uri"), r.PostFormValue("code_verifier"),
		}, s.cfg.Now())
		if why != accepted {
			return
		}
		t := got.holds(got.Scopes, false)
		access = s.giveAccess(st, "ya29.a0", googleTTL, t)
		if st.take(google, "drop_refresh", "token") == nil && got.Offline {
			refresh = s.giveRefresh(st, "1//0", t)
		}
	})
	if why != accepted {
		googleRefused(w, why)
		return
	}
	body := googleAnswer(access, got.Scopes)
	if refresh != "" {
		body["refresh_token"] = refresh
	}
	if slices.Contains(got.Scopes, "openid") {
		id, err := s.googleID(got, access)
		if err != nil {
			oauthError(w, http.StatusInternalServerError, "internal_failure", "The ID token could not be signed.")
			return
		}
		body["id_token"] = id
	}
	writeToken(w, http.StatusOK, body)
}

// googleRefresh keeps the refresh token, unless rotate_strict asks for more than Google does.
func (s *Sandbox) googleRefresh(w http.ResponseWriter, r *http.Request, c client) {
	var old *token
	var why refusal
	var access, next string
	s.update(func(st *state) {
		old, why = st.spend(spending{vendor: google, client: c.ID, raw: r.PostFormValue("refresh_token")})
		if why != accepted {
			return
		}
		t := *old
		t.Spent = false
		access = s.giveAccess(st, "ya29.a0", googleTTL, t)
		if old.Spent {
			next = s.giveRefresh(st, "1//0", t)
		}
	})
	if why != accepted {
		oauthError(w, http.StatusBadRequest, "invalid_grant", "Token has been expired or revoked.")
		return
	}
	body := googleAnswer(access, old.Scopes)
	if next != "" {
		body["refresh_token"] = next
	}
	writeToken(w, http.StatusOK, body)
}

func googleAnswer(access string, scopes []string) reply {
	return reply{"access_token": access, "expires_in": int(googleTTL.Seconds()), "scope": strings.Join(scopes, " "), "token_type": "Bearer"}
}

func googleRefused(w http.ResponseWriter, why refusal) {
	switch why {
	case wrongRedirect:
		oauthError(w, http.StatusBadRequest, "redirect_uri_mismatch", "Bad Request")
	case missingVerifier:
		oauthError(w, http.StatusBadRequest, "invalid_grant", "Missing code verifier.")
	case wrongVerifier:
		oauthError(w, http.StatusBadRequest, "invalid_grant", "Invalid code verifier.")
	default:
		oauthError(w, http.StatusBadRequest, "invalid_grant", "Malformed auth code.")
	}
}

func (s *Sandbox) googleID(c *code, access string) (string, error) {
	key, err := s.vendorKey()
	if err != nil {
		return "", err
	}
	p, _ := findPerson(c.User)
	claims := p.claims(c.Scopes)
	delete(claims, "preferred_username")
	claims["azp"], claims["hd"] = c.Client, companyDomain
	return s.idToken(key, s.cfg.BaseURL+"/google", p.googleID, c, access, claims)
}

// googleRevoke ends the whole grant, whichever of its tokens is given.
func (s *Sandbox) googleRevoke(w http.ResponseWriter, r *http.Request) {
	found := false
	s.update(func(st *state) {
		t, _ := st.find(google, r.FormValue("token"))
		if t == nil {
			return
		}
		if g := st.grant(t.Grant); g != nil && !g.Dead {
			found, g.Dead = true, true
		}
	})
	if !found {
		oauthError(w, http.StatusBadRequest, "invalid_token", "Token expired or revoked")
		return
	}
	writeJSON(w, http.StatusOK, reply{})
}

func (s *Sandbox) googleUserinfo(w http.ResponseWriter, r *http.Request) {
	t, why := s.access(google, bearer(r))
	if why != accepted {
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/", error="invalid_token"`)
		oauthError(w, http.StatusUnauthorized, "invalid_request", "Invalid Credentials")
		return
	}
	if !slices.ContainsFunc(t.Scopes, func(sc string) bool { return sc == "openid" || sc == googleEmail || sc == googleProfile }) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="openid"`)
		oauthError(w, http.StatusForbidden, "insufficient_scope", "Request had insufficient authentication scopes.")
		return
	}
	p, _ := findPerson(t.User)
	claims := p.claims(t.Scopes)
	delete(claims, "preferred_username")
	claims["sub"], claims["hd"] = p.googleID, companyDomain
	writeJSON(w, http.StatusOK, claims)
}
