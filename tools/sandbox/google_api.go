package sandbox

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// googleError is the error body of Google's JSON APIs (domain "global").
func googleError(w http.ResponseWriter, status int, reason, message string, details ...reply) {
	one := reply{"message": message, "domain": "global", "reason": reason}
	if status == http.StatusUnauthorized {
		one["locationType"], one["location"] = "header", "Authorization"
	}
	e := reply{"code": status, "message": message, "errors": []reply{one}, "status": googleStatus(status)}
	if len(details) > 0 {
		e["details"] = details
	}
	writeJSON(w, status, reply{"error": e})
}

func googleStatus(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	}
	return "INVALID_ARGUMENT"
}

// googleMethod is one API method: its name in Google's error details and the scopes of which any one is
// enough (short names, without the common prefix), least first.
type googleMethod struct {
	service, name string
	scopes        []string
	handle        func(w http.ResponseWriter, r *http.Request, t token, p person)
}

// googleAPI lets a request through to the method if its token lives and holds one of the scopes.
func (s *Sandbox) googleAPI(m googleMethod) http.HandlerFunc {
	full := make([]string, len(m.scopes))
	for i, sc := range m.scopes {
		full[i] = googleAuth + sc
	}
	return func(w http.ResponseWriter, r *http.Request) {
		const realm = `Bearer realm="https://accounts.google.com/"`
		t, why := s.access(google, bearer(r))
		switch {
		case why == noToken:
			w.Header().Set("WWW-Authenticate", realm)
			googleError(w, http.StatusUnauthorized, "required", "Login Required.")
			return
		case why != accepted:
			w.Header().Set("WWW-Authenticate", realm+`, error="invalid_token"`)
			googleError(w, http.StatusUnauthorized, "authError", "Invalid Credentials")
			return
		case !slices.ContainsFunc(full, func(sc string) bool { return slices.Contains(t.Scopes, sc) }):
			w.Header().Set("WWW-Authenticate", realm+`, error="insufficient_scope", scope="`+strings.Join(full, " ")+`"`)
			googleError(w, http.StatusForbidden, "insufficientPermissions", "Request had insufficient authentication scopes.", reply{
				"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
				"domain": "googleapis.com", "metadata": reply{"service": m.service, "method": m.name},
			})
			return
		}
		p, _ := findPerson(t.User)
		m.handle(w, r, t, p)
	}
}

// window cuts one page out of n results; bad is Google's sentence about a parameter. The page token is
// opaque to clients.
func window(r *http.Request, n int, sizeParam string, size, most int) (from, to int, next, bad string) {
	if raw := r.FormValue(sizeParam); raw != "" {
		asked, err := strconv.Atoi(raw)
		if err != nil || asked < 1 {
			return 0, 0, "", "Invalid value '" + raw + "' for " + sizeParam + "."
		}
		size = min(asked, most)
	}
	if raw := r.FormValue("pageToken"); raw != "" {
		plain, err := base64.RawURLEncoding.DecodeString(raw)
		if err == nil {
			from, err = strconv.Atoi(strings.TrimPrefix(string(plain), "page "))
		}
		if err != nil || from < 0 || from > n {
			return 0, 0, "", "Invalid page token value."
		}
	}
	to = min(from+size, n)
	if to < n {
		next = base64.RawURLEncoding.EncodeToString([]byte("page " + strconv.Itoa(to)))
	}
	return from, to, next, ""
}
