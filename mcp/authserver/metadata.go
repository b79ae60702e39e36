package authserver

import (
	"net/http"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/grantry/grantry/mcp"

	"github.com/grantry/grantry/vault/assertion"
)

// metadata is RFC 8414 §2 with RFC 9207 §3 and RFC 9728 §4.
type metadata struct {
	oidc.DiscoveryConfiguration
	Iss       bool     `json:"authorization_response_iss_parameter_supported"`
	Resources []string `json:"protected_resources"`
}

// metadata answers the same document at all its addresses. Of OpenID Connect it
// names what workloads sign people in with: ID tokens, and no userinfo.
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	base := s.cfg.PublicURL
	methods := []oidc.AuthMethod{oidc.AuthMethodNone, oidc.AuthMethodBasic, oidc.AuthMethodPost, oidc.AuthMethodPrivateKeyJWT}
	var signed []string
	for _, alg := range assertion.Algorithms() {
		signed = append(signed, string(alg))
	}
	m := metadata{
		DiscoveryConfiguration: oidc.DiscoveryConfiguration{
			Issuer: base, AuthorizationEndpoint: base + authorizePath, TokenEndpoint: base + tokenPath,
			RevocationEndpoint: base + revocationPath, JwksURI: base + keysPath,
			ClientIDMetadataDocumentSupported: s.documents.fetch != nil,
			ScopesSupported:                   mcp.OwnScopes(), ResponseTypesSupported: []string{"code"}, ResponseModesSupported: []string{"query"},
			GrantTypesSupported:               []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken},
			SubjectTypesSupported:             []string{"public"},
			IDTokenSigningAlgValuesSupported:  []string{"RS256"},
			TokenEndpointAuthMethodsSupported: methods, RevocationEndpointAuthMethodsSupported: methods,
			TokenEndpointAuthSigningAlgValuesSupported: signed, RevocationEndpointAuthSigningAlgValuesSupported: signed,
			CodeChallengeMethodsSupported: []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
		},
		Iss: true, Resources: []string{s.resource()},
	}
	if len(s.cfg.Workloads) > 0 {
		m.ScopesSupported = slices.Concat(m.ScopesSupported, identityScopes(), accountScopes())
		m.ClaimsSupported = []string{"sub", "iss", "aud", "exp", "iat", "nonce", "name", "email", "email_verified"}
		m.Resources = append(m.Resources, s.Application(), s.Accounts())
	}
	for _, g := range s.cfg.Grants {
		m.GrantTypesSupported = append(m.GrantTypesSupported, oidc.GrantType(g))
	}
	if s.cfg.Registration {
		m.RegistrationEndpoint = base + registerPath
	}
	writeJSON(w, http.StatusOK, m)
}
