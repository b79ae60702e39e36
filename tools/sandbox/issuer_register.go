package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const maxClients = 1000

// clientMetadata is what a client says about itself (RFC 7591 section 2), as far as it matters here.
type clientMetadata struct {
	RedirectURIs  []string `json:"redirect_uris"`
	AuthMethod    string   `json:"token_endpoint_auth_method"`
	GrantTypes    []string `json:"grant_types"`
	ResponseTypes []string `json:"response_types"`
	ClientName    string   `json:"client_name,omitempty"`
	Scope         string   `json:"scope,omitempty"`
}

// registered is the answer: the metadata as it holds now, and the credentials.
type registered struct {
	clientMetadata
	ClientID  string `json:"client_id"`
	IssuedAt  int64  `json:"client_id_issued_at"`
	Secret    string `json:"client_secret,omitempty"`
	ExpiresAt *int64 `json:"client_secret_expires_at,omitempty"`
}

func (s *Sandbox) register(w http.ResponseWriter, r *http.Request) {
	var m clientMetadata
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_client_metadata", "the request is not a JSON object of client metadata")
		return
	}
	m.fill()
	if err := m.check(); err != nil {
		code := "invalid_client_metadata"
		if errors.Is(err, errRedirect) {
			code = "invalid_redirect_uri"
		}
		oauthError(w, http.StatusBadRequest, code, err.Error())
		return
	}
	now := s.cfg.Now()
	out := registered{clientMetadata: m, ClientID: "sbx-" + s.random()[:24], IssuedAt: now.Unix()}
	c := &client{
		ID: out.ClientID, Name: cmp.Or(m.ClientName, "An MCP client"), Redirects: m.RedirectURIs,
		GrantTypes: m.GrantTypes, Created: now, AnyPort: true,
	}
	if m.AuthMethod != "none" {
		out.Secret, out.ExpiresAt = s.random(), new(int64)
		c.Secret = digest(out.Secret)
	}
	s.update(func(st *state) {
		st.Clients[c.ID] = c
		st.dropOldestClient()
	})
	writeToken(w, http.StatusCreated, out)
}

func (m *clientMetadata) fill() {
	m.AuthMethod = cmp.Or(m.AuthMethod, "client_secret_basic")
	if len(m.GrantTypes) == 0 {
		m.GrantTypes = []string{"authorization_code"}
	}
	if len(m.ResponseTypes) == 0 {
		m.ResponseTypes = []string{"code"}
	}
}

var errRedirect = errors.New("redirect address refused")

func (m *clientMetadata) check() error {
	if len(m.RedirectURIs) == 0 || len(m.RedirectURIs) > 20 {
		return fmt.Errorf("%w: there must be 1 to 20 redirect_uris", errRedirect)
	}
	for _, raw := range m.RedirectURIs {
		if !goodRedirect(raw) {
			return fmt.Errorf("%w: each must be https, http on loopback, or an application's own scheme, without a fragment", errRedirect)
		}
	}
	if !slices.Contains([]string{"none", "client_secret_basic", "client_secret_post"}, m.AuthMethod) {
		return errors.New("token_endpoint_auth_method must be none, client_secret_basic or client_secret_post")
	}
	for _, g := range m.GrantTypes {
		if g != "authorization_code" && g != "refresh_token" {
			return errors.New("grant_types must be authorization_code or refresh_token")
		}
	}
	if !slices.Equal(m.ResponseTypes, []string{"code"}) {
		return errors.New("response_types must be code")
	}
	return nil
}

// goodRedirect follows RFC 8252: https, http on loopback, or a private-use scheme; never one that a
// browser would run.
func goodRedirect(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || !u.IsAbs() || u.Fragment != "" || len(raw) > requestMax {
		return false
	}
	switch strings.ToLower(u.Scheme) {
	case "https":
		return u.Host != ""
	case "http":
		return loopback(u)
	case "javascript", "data", "file", "blob", "about", "vbscript", "ftp", "ws", "wss":
		return false
	}
	return true
}

func (st *state) dropOldestClient() {
	if len(st.Clients) <= maxClients {
		return
	}
	var oldest *client
	for _, c := range st.Clients {
		if oldest == nil || c.Created.Before(oldest.Created) {
			oldest = c
		}
	}
	delete(st.Clients, oldest.ID)
}
