package sts

import (
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/vault/assertion"
)

// metadata is RFC 8414 §2, of a server that has a token endpoint and no more.
type metadata struct {
	Issuer     string                    `json:"issuer"`
	Token      string                    `json:"token_endpoint"`
	Grants     []string                  `json:"grant_types_supported"`
	Responses  []string                  `json:"response_types_supported"` // none: nobody signs in here
	Methods    []string                  `json:"token_endpoint_auth_methods_supported"`
	Algorithms []jose.SignatureAlgorithm `json:"token_endpoint_auth_signing_alg_values_supported"`
}

// Methods are the ways in which a workload proves itself, for metadata.
func Methods() []string {
	return []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
}

// Any says whether there is a workload at all.
func (s *Server) Any() bool { return len(s.workloads) > 0 }

// Metadata serves the discovery of this endpoint alone: at /.well-known/oauth-authorization-server
// and, for clients that look nowhere else, at /.well-known/openid-configuration. Below a
// prefix it names the prefix as issuer, and the endpoint below it.
func (s *Server) Metadata() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // public
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			refuse(http.StatusMethodNotAllowed, "invalid_request", "the metadata is there to GET").write(w)
			return
		}
		base := s.base(r, "/.well-known/")
		writeJSON(w, http.StatusOK, metadata{
			Issuer: base, Token: base + TokenPath, Grants: GrantTypes(), Responses: []string{}, Methods: Methods(), Algorithms: assertion.Algorithms(),
		})
	})
}

// base is the address that a request was sent to, up to what is mounted there: PublicURL, or a prefix below it.
func (s *Server) base(r *http.Request, mounted string) string {
	prefix, _, _ := strings.Cut(r.URL.Path, mounted)
	return s.cfg.PublicURL + prefix
}
