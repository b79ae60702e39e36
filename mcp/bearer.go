package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// TokenError says that a bearer token is not good here. It names the check, never the token.
type TokenError struct {
	Check string // "signature", "audience", "expiry", …
}

// Error names the check.
func (e *TokenError) Error() string { return "access token refused: " + e.Check }

// maxToken is how many bytes a bearer token may have.
const maxToken = 16 << 10

// bearer proves the caller and the agent of every request (RFC 6750 §2.1: in
// the header, nowhere else). Without a good token the answer says where to get one (RFC 9728 §5.1).
func (s *Server) bearer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("access_token") {
			s.unproved(r, "token_in_query")
			s.challenge(w, http.StatusBadRequest, "invalid_request", "A token may only be sent in the Authorization header.", s.minimal())
			return
		}
		raw, given := bearerOf(r)
		if !given || s.cfg.Verifier == nil {
			s.unproved(r, "no_token")
			s.challenge(w, http.StatusUnauthorized, "", "An access token is needed.", s.minimal())
			return
		}
		b, err := s.cfg.Verifier.Verify(r.Context(), raw)
		if bad, ok := errors.AsType[*TokenError](err); ok {
			s.log.InfoContext(r.Context(), "token refused", "check", bad.Check, "from", r.RemoteAddr)
			s.unproved(r, strings.ReplaceAll(bad.Check, " ", "_"))
			s.challenge(w, http.StatusUnauthorized, "invalid_token", "The access token is not valid here ("+bad.Check+").", s.minimal())
			return
		}
		if err != nil {
			s.log.ErrorContext(r.Context(), "verifying token", "error", err)
			s.unproved(r, "issuer_unreachable")
			w.Header().Set("Retry-After", "30")
			http.Error(w, "The issuer of access tokens cannot be reached. Try again later.", http.StatusServiceUnavailable)
			return
		}
		r.Header.Del("Authorization") // nothing behind this line needs it (R37)
		o := origin{person: b.Person, agent: b.Agent, scopes: b.Scopes, until: b.Expires, again: func(ctx context.Context) error {
			_, err := s.cfg.Verifier.Verify(ctx, raw)
			return err
		}}
		next.ServeHTTP(w, r.WithContext(withOrigin(r.Context(), o)))
	})
}

func bearerOf(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, raw, ok := strings.Cut(values[0], " ")
	raw = strings.TrimSpace(raw)
	return raw, ok && strings.EqualFold(scheme, "Bearer") && raw != "" && len(raw) <= maxToken
}

// challenge answers with the WWW-Authenticate of RFC 6750 §3 and RFC 9728 §5.1.
// code is empty when no token was sent; scopes are what to ask for.
func (s *Server) challenge(w http.ResponseWriter, status int, code, text string, scopes []string) {
	params := []string{}
	if code != "" {
		params = append(params, fmt.Sprintf("error=%q", code), fmt.Sprintf("error_description=%q", text))
	}
	params = append(params, fmt.Sprintf("resource_metadata=%q", s.cfg.PublicURL+metadataPath+"/mcp"))
	if len(scopes) > 0 {
		params = append(params, fmt.Sprintf("scope=%q", strings.Join(scopes, " ")))
	}
	w.Header().Set("WWW-Authenticate", "Bearer "+strings.Join(params, ", "))
	http.Error(w, text, status)
}

// minimal is the least that a token must carry to be of use here (R30).
func (s *Server) minimal() []string {
	if s.cfg.RequireScopes {
		return []string{ScopeRead}
	}
	return s.cfg.Scopes
}

const metadataPath = "/.well-known/oauth-protected-resource"

// metadata is RFC 9728 §2.
type metadata struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported,omitempty"`
	Methods  []string `json:"bearer_methods_supported"`
	Name     string   `json:"resource_name"`
}

func (s *Server) supported() []string {
	if s.cfg.RequireScopes {
		return OwnScopes()
	}
	return s.cfg.Scopes
}

// ProtectedResource serves the metadata of RFC 9728, for GET and HEAD of
// /.well-known/oauth-protected-resource and of the same with /mcp behind it.
// The resource is {public_url}/mcp whatever the request's Host says (R31).
func (s *Server) ProtectedResource() http.Handler {
	body, err := json.Marshal(metadata{
		Resource: s.cfg.PublicURL + "/mcp", Servers: append([]string{}, s.cfg.Issuers...),
		Scopes: s.supported(), Methods: []string{"header"}, Name: "Grantry",
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Access-Control-Allow-Origin", "*") // public, and clients in browsers read it before they have a token
		_, _ = w.Write(body)
	})
}
