package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/grantry/grantry/vault/sts"
)

// grants are those of the authorization server for MCP clients.
func isLogin(grant string) bool { return grant == "authorization_code" || grant == "refresh_token" }

// tokenEndpoint is the one dispatcher of POST /oauth/token. It reads the request
// once, as a form or as JSON, and hands a form to whom its grant belongs.
// login is nil where people sign in elsewhere.
func tokenEndpoint(login http.Handler, exchange *sts.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Access-Control-Allow-Origin", "*") // no cookie is looked at
		h.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate")
		switch r.Method {
		case http.MethodOptions:
			h.Set("Access-Control-Allow-Methods", "POST")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Mcp-Protocol-Version")
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		case http.MethodPost:
		default:
			h.Set("Allow", "POST")
			tokenError(w, http.StatusMethodNotAllowed, "invalid_request", "the token endpoint takes POST")
			return
		}
		form, err := sts.ReadForm(w, r)
		if err != nil {
			tokenError(w, http.StatusBadRequest, "invalid_request", err.Error())
			return
		}
		grant := form.Get("grant_type")
		switch {
		case grant == "":
			tokenError(w, http.StatusBadRequest, "invalid_request", "grant_type is missing")
		case sts.Takes(grant):
			exchange.Exchange(w, r, form)
		case !isLogin(grant) || login == nil:
			tokenError(w, http.StatusBadRequest, "unsupported_grant_type", "this server does not take that grant_type")
		default:
			login.ServeHTTP(challenging{w}, withForm(r, form))
		}
	})
}

// challenging adds the challenge that a 401 must carry (RFC 6749 §5.2, RFC 9110 §15.5.2).
type challenging struct{ http.ResponseWriter }

// WriteHeader adds it.
func (w challenging) WriteHeader(status int) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="grantry"`)
	}
	w.ResponseWriter.WriteHeader(status)
}

func tokenError(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": text}) // the client went away
}

// withForm is r with that form as its body.
func withForm(r *http.Request, form url.Values) *http.Request {
	body := form.Encode()
	out := r.Clone(r.Context())
	out.URL.RawQuery = ""
	out.Body, out.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	out.Header.Set("Content-Length", fmt.Sprint(len(body)))
	out.Form, out.PostForm = nil, nil
	return out
}
