package sts

import (
	"net/http"

	"github.com/grantry/grantry/vault"
)

// Auth0's names for an exchange, for applications that were written for its Token
// Vault. Parameters have the same names in both forms (connection, login_hint), so
// that an exchange is read as the standard's; what differs stands in this file.
const (
	Auth0GrantType = "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token"

	auth0Type       = "http://auth0.com/oauth/token-type/federated-connection-access-token"
	auth0WorkerType = "http://auth0.com/oauth/token-type/token-vault-access-token"
)

// dialect is the form that a request came in.
type dialect int

const (
	standard dialect = iota
	auth0
)

// answers says whether that type may be asked for, for a subject of that type. "" is the usual one.
func (d dialect) answers(requested, subject string) bool {
	switch {
	case requested == "":
		return true
	case d == standard:
		return requested == typeAccess || requested == typeProxy
	}
	return requested == auth0Type || requested == auth0WorkerType && subject == typeJWT
}

// issued is issued_token_type.
func (d dialect) issued(subject string) string {
	switch {
	case d == standard:
		return typeAccess
	case subject == typeJWT:
		return auth0WorkerType
	}
	return auth0Type
}

// auth0Answer is one line of the table of what Auth0 says instead.
type auth0Answer struct {
	status int
	code   string
}

// auth0Reasons are the answers for what the vault lacks; what is not in it has the same names in both forms.
func auth0Reasons(r vault.Reason) (auth0Answer, bool) {
	switch r {
	case vault.NotConnected, vault.NoRefreshToken:
		return auth0Answer{http.StatusUnauthorized, "federated_connection_refresh_token_not_found"}, true
	case vault.Revoked, vault.Expired, vault.AccountChanged, vault.ConnChanged:
		return auth0Answer{http.StatusUnauthorized, "federated_connection_refresh_token_flow_failed"}, true
	case vault.AccountUnknown:
		return auth0Answer{http.StatusUnauthorized, "user_not_found"}, true
	case vault.AgentNotAllowed, vault.ApprovalRequired:
		return auth0Answer{http.StatusForbidden, "access_denied"}, true
	}
	return auth0Answer{}, false
}

// challenges says whether a 401 carries WWW-Authenticate. By Auth0's names it does only for a client that used that
// header: for Auth0 a 401 says many things, and its SDKs, finding a challenge, do not hand on what the body says.
func (d dialect) challenges(r *http.Request) bool {
	return d == standard || r.Header.Get("Authorization") != ""
}

// refusal is r in the names of the form that the request came in.
func (d dialect) refusal(r *refusal) *refusal {
	if d == standard {
		return r
	}
	out := *r
	if a, ok := auth0Reasons(r.reason); ok {
		out.status, out.code = a.status, a.code
		return &out
	}
	switch {
	case r.kind == badSubject:
		out.status, out.code = http.StatusForbidden, "invalid_grant"
	case r.code == "invalid_target", r.code == "unauthorized_client":
		out.status, out.code = http.StatusForbidden, "unauthorized_client"
	case r.code == "consent_required":
		out.status, out.code = http.StatusForbidden, "access_denied"
	}
	return &out
}
