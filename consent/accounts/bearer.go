package accounts

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/grantry/grantry/vault"
)

// prove finds out whose token came, for which application, and whether it allows the call.
func (s *Server) prove(c *call, scope string) error {
	raw, err := s.bearer(c.r)
	if err != nil {
		return err
	}
	bad := (*TokenError)(nil)
	switch c.who, err = s.cfg.Verifier.Verify(c.r.Context(), raw); {
	case errors.As(err, &bad):
		return s.unauthorized(c.r, bad.Check, "The access token is not good here: it must be a current one of this vault's issuer for "+s.cfg.PublicURL+"/me/.")
	case err != nil:
		s.cfg.Logger.WarnContext(c.r.Context(), "access token not checked", "error", err)
		s.note(c.r, "issuer_unreachable")
		return refusal(http.StatusServiceUnavailable, "issuer_unreachable", "The token cannot be checked now. Try again in a moment.")
	}
	app, known := s.cfg.Application(c.who)
	if !known {
		s.note(c.r, "client")
		return refusal(http.StatusForbidden, "unknown_client",
			"The token was not issued to an application that this vault knows: it must stand under clients, or be a workload with redirect_uris.")
	}
	c.app = app
	if peer := peerOf(c.r); len(app.Addresses) > 0 && !slices.ContainsFunc(app.Addresses, func(p netip.Prefix) bool { return p.Contains(peer) }) {
		s.note(c.r, "address")
		return refusal(http.StatusForbidden, "address", "This application may not call from this address (addresses in the config).")
	}
	if !slices.Contains(c.who.Scopes, scope) {
		p := refusal(http.StatusForbidden, "insufficient_scope", "The access token does not have the scope "+scope+".")
		p.challenge = `Bearer realm="grantry", error="insufficient_scope", scope="` + scope + `"`
		return p
	}
	return nil
}

// peerOf is the client's address, as the gate in front has it.
func peerOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

func (s *Server) bearer(r *http.Request) (string, error) {
	all := r.Header.Values("Authorization")
	if len(all) != 1 {
		return "", s.unauthorized(r, "no_token", "Send an access token for "+s.cfg.PublicURL+"/me/ as Authorization: Bearer, once.")
	}
	scheme, raw, _ := strings.Cut(all[0], " ")
	switch raw = strings.TrimSpace(raw); {
	case strings.EqualFold(scheme, "DPoP"):
		return "", s.unauthorized(r, "bound to a key", "DPoP is not supported here: ask for a token that is bound to no key, and send it as Bearer.")
	case !strings.EqualFold(scheme, "Bearer") || raw == "" || strings.ContainsAny(raw, " ,"):
		return "", s.unauthorized(r, "no_token", "Send an access token for "+s.cfg.PublicURL+"/me/ as Authorization: Bearer.")
	}
	return raw, nil
}

// unauthorized is RFC 6750 §3: a request without a token learns no error code.
func (s *Server) unauthorized(r *http.Request, why, text string) *problem {
	s.note(r, why)
	p := refusal(http.StatusUnauthorized, "invalid_token", text)
	if p.challenge = `Bearer realm="grantry"`; why != "no_token" {
		p.challenge += `, error="invalid_token"`
	}
	return p
}

func (s *Server) note(r *http.Request, why string) {
	if err := s.cfg.Vault.Note(r.Context(), vault.Entry{Kind: "auth.refused", Result: "refused", Reason: why}); err != nil {
		s.cfg.Logger.ErrorContext(r.Context(), "writing audit", "error", err)
	}
}
