package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

// issued is what a token request of the issuer came to, before anything is signed.
type issued struct {
	token   token
	code    *code // nil on refresh
	refresh string
	why     refusal
}

func (s *Sandbox) issuerToken(w http.ResponseWriter, r *http.Request) {
	c, why := s.authenticate(issuer, r)
	if why != accepted {
		w.Header().Set("WWW-Authenticate", `Basic realm="issuer"`)
		oauthError(w, http.StatusUnauthorized, "invalid_client", "the client is not known or its secret is wrong")
		return
	}
	var out issued
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		out = s.issuerCode(c, r)
	case "refresh_token":
		out = s.issuerRefresh(c, r)
	default:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", "grant_type must be authorization_code or refresh_token")
		return
	}
	if out.why != accepted {
		oauthError(w, http.StatusBadRequest, "invalid_grant", string(out.why))
		return
	}
	s.issuerAnswer(w, r, c, out)
}

func (s *Sandbox) issuerCode(c client, r *http.Request) (out issued) {
	s.update(func(st *state) {
		out.code, out.why = st.redeem(redemption{
			issuer, c.ID, r.PostFormValue("code"), r.PostFormValue("redirect_uri"), r.PostFormValue("code_verifier"),
		}, s.cfg.Now())
		if out.why == usedCode { // RFC 6749 section 4.1.2: a replay ends what the code gave
			st.grant(out.code.Grant).Dead = true
		}
		if out.why != accepted {
			return
		}
		out.token = out.code.holds(out.code.Scopes, false)
		if out.code.Offline {
			out.refresh = s.giveRefresh(st, "sbx_rt_", out.token)
		}
	})
	return out
}

// issuerRefresh replaces the refresh token of a public client each time (OAuth 2.1 section 4.3.1); the
// reuse of an old one ends the grant.
func (s *Sandbox) issuerRefresh(c client, r *http.Request) (out issued) {
	s.update(func(st *state) {
		public := c.Secret == ""
		var old *token
		old, out.why = st.spend(spending{
			vendor: issuer, client: c.ID, raw: r.PostFormValue("refresh_token"), rotates: public, family: true,
		})
		if out.why != accepted {
			return
		}
		out.token = *old
		out.token.Spent = false
		if public {
			out.refresh = s.giveRefresh(st, "sbx_rt_", out.token)
		}
	})
	return out
}

// issuerAnswer signs the tokens. With a resource the access token is a JWT for it; without one it is
// opaque and good for userinfo only.
func (s *Sandbox) issuerAnswer(w http.ResponseWriter, r *http.Request, c client, out issued) {
	p, _ := findPerson(out.token.User)
	aud := out.token.Resources
	if want := r.PostForm["resource"]; len(want) > 0 {
		aud = want
	}
	for _, res := range aud {
		if !slices.Contains(out.token.Resources, res) {
			oauthError(w, http.StatusBadRequest, "invalid_target", "this resource was not part of the authorization")
			return
		}
	}
	body := reply{"token_type": "Bearer", "expires_in": int(issuerAccessTTL.Seconds()), "scope": strings.Join(out.token.Scopes, " ")}
	access, err := s.issuerAccess(p, c, aud, out.token)
	if err == nil && out.code != nil && slices.Contains(out.token.Scopes, "openid") {
		claims := p.claims(out.token.Scopes)
		claims["auth_time"] = out.code.AuthTime.Unix()
		body["id_token"], err = s.idToken(s.state.IssuerKey, s.issuerURL(), p.subject, out.code, access, claims)
	}
	if err != nil {
		oauthError(w, http.StatusInternalServerError, "server_error", "the tokens could not be signed")
		return
	}
	body["access_token"] = access
	if out.refresh != "" {
		body["refresh_token"] = out.refresh
	}
	writeToken(w, http.StatusOK, body)
}

func (s *Sandbox) issuerAccess(p person, c client, aud []string, t token) (string, error) {
	if len(aud) > 0 {
		return s.accessJWT(p, c.ID, aud, t.Scopes, issuerAccessTTL)
	}
	var raw string
	s.update(func(st *state) { raw = s.giveAccess(st, "sbx_at_", issuerAccessTTL, t) })
	return raw, nil
}

// issuerRevoke is RFC 7009: unknown tokens are fine, a refresh token takes its grant along. JWTs cannot be
// taken back.
func (s *Sandbox) issuerRevoke(w http.ResponseWriter, r *http.Request) {
	c, why := s.authenticate(issuer, r)
	if why != accepted {
		oauthError(w, http.StatusUnauthorized, "invalid_client", "the client is not known or its secret is wrong")
		return
	}
	s.update(func(st *state) {
		t, refresh := st.find(issuer, r.PostFormValue("token"))
		if t == nil || t.Client != c.ID {
			return
		}
		t.Dead = true
		if g := st.grant(t.Grant); refresh && g != nil {
			g.Dead = true
		}
	})
	w.WriteHeader(http.StatusOK)
}
