package authserver

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
)

const maxRegistration = 16 << 10

// registration is the answer to a client that registered (RFC 7591 §3.2.1).
type registration struct {
	ID            string   `json:"client_id"`
	Issued        int64    `json:"client_id_issued_at"`
	Name          string   `json:"client_name,omitempty"`
	RedirectURIs  []string `json:"redirect_uris"`
	Grants        []string `json:"grant_types"`
	ResponseTypes []string `json:"response_types"`
	Method        string   `json:"token_endpoint_auth_method"`
	Type          string   `json:"application_type"`
	Scope         string   `json:"scope"`
}

// register lets a client register itself. Nothing that it says is proven, so it
// gets no secret, and is shown to its person every time.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	if wait := s.limits.register(r.RemoteAddr); wait > 0 {
		w.Header().Set("Retry-After", retryAfter(wait))
		oauthError(w, http.StatusTooManyRequests, "temporarily_unavailable", "too many registrations; try again later")
		return
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		oauthError(w, http.StatusBadRequest, "invalid_client_metadata", "Content-Type must be application/json")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRegistration))
	if err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_client_metadata", "the metadata cannot be read, or is larger than 16 KiB")
		return
	}
	m, err := readMetadata(body)
	var c *client
	if err == nil {
		c, err = m.client()
	}
	if bad, ok := errors.AsType[*metadataError](err); ok {
		oauthError(w, http.StatusBadRequest, bad.code, bad.text)
		return
	}
	if err := s.storeClient(r, c); err != nil {
		s.cfg.Logger.ErrorContext(r.Context(), "storing a registration", "error", err)
		oauthError(w, http.StatusInternalServerError, "server_error", "the vault cannot be written; try again later")
		return
	}
	writeJSON(w, http.StatusCreated, registration{
		ID: c.ID, Issued: c.Registered.Unix(), Name: c.Name, RedirectURIs: c.RedirectURIs, Type: c.Type, Method: "none",
		Grants: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"}, Scope: joined(mcp.OwnScopes()),
	})
}

func (s *Server) storeClient(r *http.Request, c *client) error {
	id, err := s.random(16)
	if err != nil {
		return err
	}
	c.ID, c.Registered = "dcr_"+id, s.cfg.Now().UTC()
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := s.cfg.Records.Put(r.Context(), kindClient, c.ID, vault.Caller{}, raw, registerTTL); err != nil {
		return err
	}
	return s.cfg.Vault.Note(r.Context(), vault.Entry{Kind: "client.registered", Agent: s.agent(c, c.RedirectURIs[0])})
}
