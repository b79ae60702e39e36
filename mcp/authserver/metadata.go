package authserver

import (
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/grantry/grantry/mcp"
)

// metadata is RFC 8414 §2 with RFC 9207 §3 and RFC 9728 §4.
type metadata struct {
	oidc.DiscoveryConfiguration
	Iss       bool     `json:"authorization_response_iss_parameter_supported"`
	Resources []string `json:"protected_resources"`
}

// metadata answers the same document at all its addresses. It names no OpenID
// Connect endpoints: discovery is here for clients that look nowhere else.
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	base := s.cfg.PublicURL
	methods := []oidc.AuthMethod{oidc.AuthMethodNone, oidc.AuthMethodBasic, oidc.AuthMethodPost}
	m := metadata{
		DiscoveryConfiguration: oidc.DiscoveryConfiguration{
			Issuer: base, AuthorizationEndpoint: base + authorizePath, TokenEndpoint: base + tokenPath,
			RevocationEndpoint: base + revocationPath, JwksURI: base + keysPath,
			ClientIDMetadataDocumentSupported: s.documents.fetch != nil,
			ScopesSupported:                   mcp.OwnScopes(), ResponseTypesSupported: []string{"code"}, ResponseModesSupported: []string{"query"},
			GrantTypesSupported:               []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken},
			SubjectTypesSupported:             []string{"public"},
			IDTokenSigningAlgValuesSupported:  []string{"ES256"},
			TokenEndpointAuthMethodsSupported: methods, RevocationEndpointAuthMethodsSupported: methods,
			CodeChallengeMethodsSupported: []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
		},
		Iss: true, Resources: []string{s.resource()},
	}
	if s.cfg.Registration {
		m.RegistrationEndpoint = base + registerPath
	}
	writeJSON(w, http.StatusOK, m)
}
