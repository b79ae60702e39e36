package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// issuerConfig configures oidc-provider. Clients are OpenID client metadata.
type issuerConfig struct {
	Clients              []map[string]any `json:"clients"`
	Scopes               []string         `json:"scopes,omitempty"`
	Resources            []string         `json:"resources,omitempty"`
	Opaque               []string         `json:"opaque,omitempty"` // of them, those whose tokens cannot be read
	TTL                  map[string]int   `json:"ttl,omitempty"`    // seconds, by token kind: AccessToken, RefreshToken, …
	RefreshAlways        bool             `json:"refreshAlways,omitempty"`
	ConformIDTokenClaims *bool            `json:"conformIdTokenClaims,omitempty"`
}

// confidential is the metadata of a client with a secret.
func confidential(id, secret string, redirects ...string) map[string]any {
	return map[string]any{
		"client_id": id, "client_secret": secret, "redirect_uris": redirects,
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
	}
}

// public is the metadata of an MCP client without a secret, with a redirect
// on any loopback port (RFC 8252 section 7.3).
func public(id string) map[string]any {
	return map[string]any{
		"client_id": id, "redirect_uris": []string{"http://127.0.0.1/callback"}, "token_endpoint_auth_method": "none",
		"application_type": "native", "grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
	}
}

// issuer is a running oidc-provider.
type issuer struct {
	*process
	URL   string
	syncs atomic.Int64
}

// startIssuer runs oidc-provider with the accounts alice and bob, whose
// e-mail is NAME@example.com and whose subject is NAME.
func startIssuer(t *testing.T, config issuerConfig) *issuer {
	t.Helper()
	p := script(t, "issuer.mjs", config)
	line, _ := p.line(t, 0, patience, func(line string) bool { return strings.HasPrefix(line, `{"url"`) })
	i := &issuer{process: p}
	unmarshal(t, line, i)
	return i
}

// issuerRequest is one request that oidc-provider really answered.
type issuerRequest struct {
	Event    string         `json:"event"`
	Method   string         `json:"method"`
	Path     string         `json:"path"`
	Status   int            `json:"status"`
	Client   string         `json:"client"` // proven or claimed client id
	Sent     map[string]any `json:"sent"`
	Answered map[string]any `json:"answered"`
}

// requests answers what happened at path so far, in order.
func (i *issuer) requests(t *testing.T, path string) []issuerRequest {
	t.Helper()
	number := i.syncs.Add(1)
	i.write(t, map[string]any{"sync": number})
	i.line(t, 0, patience, func(line string) bool { return line == fmt.Sprintf(`{"event":"synced","sync":%d}`, number) })
	i.mu.Lock()
	defer i.mu.Unlock()
	var out []issuerRequest
	for _, line := range i.stdout {
		var r issuerRequest
		if json.Unmarshal([]byte(line), &r) == nil && r.Event == "request" && r.Path == path {
			out = append(out, r)
		}
	}
	return out
}

// refreshes answers the refresh tokens that were shown to the token endpoint,
// in order, with the status that each got.
func (i *issuer) refreshes(t *testing.T) (tokens []string, statuses []int) {
	t.Helper()
	for _, r := range i.requests(t, "/token") {
		if r.Sent["grant_type"] == "refresh_token" {
			token, _ := r.Sent["refresh_token"].(string)
			tokens, statuses = append(tokens, token), append(statuses, r.Status)
		}
	}
	return tokens, statuses
}

// issued answers every access and refresh token that it gave to client.
func (i *issuer) issued(t *testing.T, client string) []string {
	t.Helper()
	var out []string
	for _, r := range i.requests(t, "/token") {
		if r.Client != client && client != "" {
			continue
		}
		for _, name := range []string{"access_token", "refresh_token"} {
			if token, ok := r.Answered[name].(string); ok {
				out = append(out, token)
			}
		}
	}
	return out
}

// emulated is a running emulate: URLs of its Google and its Slack.
type emulated struct {
	*process
	Google, Slack string
}

// startEmulate runs Google and Slack for a Grantry at base, whose connections
// are named "google" and "slack".
func startEmulate(t *testing.T, base string) *emulated {
	t.Helper()
	p := script(t, "emulate.mjs", map[string]any{"redirects": map[string][]string{
		"google": {base + "/callback/google"}, "slack": {base + "/callback/slack"},
	}})
	line, _ := p.line(t, 0, patience, func(line string) bool { return strings.HasPrefix(line, `{"google"`) })
	e := &emulated{process: p}
	unmarshal(t, line, e)
	return e
}
