package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	issuerAccessTTL = time.Hour
	requestMax      = 4096 // of one parameter, in bytes
)

// mountIssuer adds the identity issuer: OpenID Connect, RFC 8414 metadata, RFC 7591 registration,
// RFC 8707 resources, RFC 9207 iss. Browsers' fetch may call all but the sign-in page.
func (s *Sandbox) mountIssuer(mux *http.ServeMux) {
	open := func(endpoint, pattern string, h http.HandlerFunc) {
		method, path, _ := strings.Cut(pattern, " ")
		s.route(mux, issuer, endpoint, pattern, shared(h))
		if method != http.MethodGet {
			mux.HandleFunc("OPTIONS "+path, preflight)
		}
	}
	for _, path := range []string{
		"/issuer/.well-known/openid-configuration", "/issuer/.well-known/oauth-authorization-server",
		"/.well-known/oauth-authorization-server/issuer", "/.well-known/openid-configuration/issuer",
	} {
		open("discovery", "GET "+path, s.issuerMetadata)
		mux.HandleFunc("OPTIONS "+path, preflight)
	}
	open("discovery", "GET /issuer/jwks", s.issuerKeys)
	open("register", "POST /issuer/register", s.register)
	open("token", "POST /issuer/token", s.issuerToken)
	open("revoke", "POST /issuer/revoke", s.issuerRevoke)
	open("userinfo", "GET /issuer/userinfo", s.issuerUserinfo)
	open("userinfo", "POST /issuer/userinfo", s.issuerUserinfo)
	page := s.authorize(s.issuerFront())
	s.route(mux, issuer, "authorize", "GET /issuer/authorize", page)
	s.route(mux, issuer, "authorize", "POST /issuer/authorize", page)
}

// shared lets any origin read the answer: no cookie is involved, so there is nothing to ride on.
func shared(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate")
		h(w, r)
	}
}

func preflight(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, MCP-Protocol-Version")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sandbox) issuerMetadata(w http.ResponseWriter, _ *http.Request) {
	reg := s.Issuer()
	auth := []string{"none", "client_secret_basic", "client_secret_post"}
	writeJSON(w, http.StatusOK, reply{
		"issuer": reg.Issuer, "authorization_endpoint": reg.Authorization, "token_endpoint": reg.Token,
		"revocation_endpoint": reg.Revocation, "userinfo_endpoint": reg.Userinfo, "jwks_uri": reg.JWKS,
		"registration_endpoint":                          reg.Issuer + "/register",
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []jose.SignatureAlgorithm{jose.ES256},
		"scopes_supported":                               []string{"openid", "email", "profile", "offline_access"},
		"token_endpoint_auth_methods_supported":          auth,
		"revocation_endpoint_auth_methods_supported":     auth,
		"code_challenge_methods_supported":               []string{"S256"},
		"prompt_values_supported":                        []string{"none", "login", "consent", "select_account"},
		"authorization_response_iss_parameter_supported": true,
		"claims_supported": []string{
			"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "email", "email_verified", "name",
			"given_name", "family_name", "preferred_username",
		},
	})
}

func (s *Sandbox) issuerKeys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, publicKeys(s.state.IssuerKey))
}

func (s *Sandbox) issuerFront() front {
	return front{
		vendor: issuer, title: "Example Corp sign-in", verb: "Sign in as", separate: true, iss: s.issuerURL(),
		parse: issuerAsk,
		give: func(g *grant, a ask) code {
			return code{Scopes: g.Scopes, Offline: a.offline}
		},
	}
}

// issuerAsk reads an authorization request. Every sign-in is a click, so max_age and prompt=login hold by
// themselves; prompt=none can only fail (OIDC Core section 3.1.2.6).
func issuerAsk(c client, q url.Values) (ask, *denial) {
	for k, vs := range q {
		if k != "resource" && len(vs) > 1 {
			return ask{}, &denial{code: "invalid_request", text: "a parameter was given twice"}
		}
		if len(vs[0]) > requestMax {
			return ask{}, &denial{code: "invalid_request", text: "a parameter is too long"}
		}
	}
	ch, no := challenge(q)
	switch {
	case q.Get("response_type") != "code":
		return ask{}, &denial{code: "unsupported_response_type", text: "response_type must be code"}
	case q.Has("response_mode") && q.Get("response_mode") != "query":
		return ask{}, &denial{code: "invalid_request", text: "response_mode must be query"}
	case no != nil:
		return ask{}, no
	case ch == "":
		return ask{}, &denial{code: "invalid_request", text: "PKCE with S256 is required"}
	case slices.ContainsFunc(q["resource"], badResource):
		return ask{}, &denial{code: "invalid_target", text: "resource must be an absolute URL without a fragment"}
	case slices.Contains(strings.Fields(q.Get("prompt")), "none"):
		return ask{}, &denial{code: "login_required", text: "there is no session here, a person must click"}
	}
	scopes := strings.Fields(q.Get("scope"))
	offline := slices.Contains(scopes, "offline_access") || slices.Contains(c.GrantTypes, "refresh_token")
	return ask{scopes: scopes, challenge: ch, nonce: q.Get("nonce"), resources: q["resource"], offline: offline}, nil
}

func badResource(raw string) bool {
	u, err := url.Parse(raw)
	return err != nil || u.Scheme == "" || u.Host == "" || u.Fragment != ""
}

func (s *Sandbox) issuerUserinfo(w http.ResponseWriter, r *http.Request) {
	t, why := s.access(issuer, bearer(r))
	if why != accepted {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		oauthError(w, http.StatusUnauthorized, "invalid_token", "this access token is not one for userinfo, or has ended")
		return
	}
	p, _ := findPerson(t.User)
	claims := p.claims(t.Scopes)
	claims["sub"] = p.subject
	writeToken(w, http.StatusOK, claims)
}

// claims is what the scopes let a client know about a person (OIDC Core section 5.4).
func (p person) claims(scopes []string) reply {
	out := reply{}
	if slices.Contains(scopes, "email") || slices.Contains(scopes, googleEmail) {
		out["email"], out["email_verified"] = p.email, true
	}
	if slices.Contains(scopes, "profile") || slices.Contains(scopes, googleProfile) {
		out["name"], out["given_name"], out["family_name"] = p.full(), p.given, p.family
		out["preferred_username"] = p.name
	}
	return out
}
