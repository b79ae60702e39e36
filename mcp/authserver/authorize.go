package authserver

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/grantry/grantry/vault"
)

// visit is an authorization request whose person, client and redirect URI are known.
// It goes through op in the request's context, to Authorize and no further.
type visit struct {
	person  vault.Person
	client  *client
	browser string // the cookie that binds the answer to this browser
}

type visitKey struct{}

// authorize is GET /oauth/authorize. A person signs in first, so that nobody's
// browser is sent to a client's address by a link alone (RFC 9700 §4.11.2); then
// client and redirect URI must be good, or there is a page and no redirect (R47).
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead { // looks, and asks nobody
		w.WriteHeader(http.StatusNoContent)
		return
	}
	person, ok := s.cfg.Pages.Visitor(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	id, redirect := q.Get("client_id"), q.Get("redirect_uri")
	if len(q["client_id"]) != 1 || len(q["redirect_uri"]) != 1 || id == "" {
		s.refuse(w, r, RefusedRequest, nil)
		return
	}
	c, err := s.clientOf(r.Context(), id)
	switch {
	case errors.Is(err, errUnknownClient):
		s.refuse(w, r, RefusedClient, nil)
	case errors.Is(err, errDocument):
		s.refuse(w, r, RefusedDocument, err)
	case err != nil:
		s.refuse(w, r, RefusedBroken, err)
	case !redirectAllowed(c.RedirectURIs, redirect):
		s.refuse(w, r, RefusedRedirect, nil)
	default:
		browser, err := s.browser(w, r)
		if err != nil {
			s.refuse(w, r, RefusedBroken, err)
			return
		}
		ctx := context.WithValue(r.Context(), visitKey{}, &visit{person: person, client: c, browser: browser})
		s.op.ServeHTTP(seeOther{w}, r.WithContext(ctx))
	}
}

// refuse answers with a page.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, why string, err error) {
	s.cfg.Logger.WarnContext(r.Context(), "authorization request refused", "why", why, "error", err)
	if err := s.cfg.Vault.Note(r.Context(), vault.Entry{Kind: "client.refused", Result: "refused", Reason: why}); err != nil {
		s.cfg.Logger.ErrorContext(r.Context(), "writing audit", "error", err)
	}
	s.cfg.Pages.RefuseClient(w, r, why)
}

// seeOther makes every redirect a 303 (R54).
type seeOther struct{ http.ResponseWriter }

// WriteHeader writes 303 for 302.
func (w seeOther) WriteHeader(status int) {
	if status == http.StatusFound {
		status = http.StatusSeeOther
	}
	w.ResponseWriter.WriteHeader(status)
}

// VerifyAuthRequest hands op the client that was found, and fills in the scope,
// without which op would refuse.
func (s *Server) VerifyAuthRequest(ctx context.Context, r *op.Request[oidc.AuthRequest]) (*op.ClientRequest[oidc.AuthRequest], error) {
	v, ok := ctx.Value(visitKey{}).(*visit)
	if !ok {
		return nil, oidc.ErrInvalidRequestRedirectURI().WithDescription("not a browser's request")
	}
	if len(r.Data.Scopes) == 0 {
		r.Data.Scopes = defaultScopes(v.client)
	}
	return &op.ClientRequest[oidc.AuthRequest]{Request: r, Client: opClient{v.client, r.Data.RedirectURI}}, nil
}

// Authorize asks the person by a ticket, or goes back with a code at once where
// their yes is remembered. Its errors go to the client, with iss.
func (s *Server) Authorize(ctx context.Context, r *op.ClientRequest[oidc.AuthRequest]) (*op.Redirect, error) {
	v, ok := ctx.Value(visitKey{}).(*visit)
	if !ok {
		return nil, oidc.ErrServerError()
	}
	audience, err := s.checkRequest(v.client, r)
	if err != nil {
		return nil, err
	}
	req := request{
		grant: grant{
			Client: v.client.ID, Agent: s.agent(v.client, r.Data.RedirectURI), Person: v.person,
			Scopes: scopesFor(v.client, r.Data.Scopes), Resource: audience, Nonce: r.Data.Nonce,
			Proves: v.client.document != "" && v.client.keys != nil,
		},
		Redirect: r.Data.RedirectURI, State: r.Data.State, Challenge: r.Data.CodeChallenge, Browser: hashed(v.browser),
	}
	to, err := s.goOn(ctx, v, req, r.Data.Prompt)
	if limit, ok := errors.AsType[*vault.LimitError](err); ok {
		s.cfg.Logger.WarnContext(ctx, "too many requests of a client", "limit", limit.What)
		return nil, &oidc.Error{ErrorType: "temporarily_unavailable", Description: "too many requests; try again later"}
	}
	if refused := (*oidc.Error)(nil); errors.As(err, &refused) {
		return nil, refused
	}
	if err != nil {
		return nil, s.broken(ctx, err)
	}
	return op.NewRedirect(to), nil
}

// goOn is where the browser goes: to the ticket, or back where nothing needs asking.
func (s *Server) goOn(ctx context.Context, v *visit, req request, prompt []string) (string, error) {
	remembers := v.client.proven(req.Redirect)
	if remembers && !slices.Contains(prompt, oidc.PromptConsent) {
		given, err := s.remembered(ctx, v.browser, req.grant)
		if err != nil {
			return "", err
		}
		if given != nil {
			req.Scopes = given
			return s.grantCode(ctx, req)
		}
	}
	if slices.Contains(prompt, oidc.PromptNone) {
		return "", oidc.ErrInteractionRequired().WithDescription("a person must be asked")
	}
	return s.ask(ctx, v, req, remembers)
}

// checkRequest holds what op does not: no parameter twice (RFC 6749 §3.1), a challenge,
// S256 alone (R48), one resource (RFC 8707), which it answers, the answer in the query.
func (s *Server) checkRequest(c *client, r *op.ClientRequest[oidc.AuthRequest]) (audience string, err error) {
	q := r.Request.URL.Query()
	for name, values := range q {
		if len(values) > 1 && name != "resource" {
			return "", oidc.ErrInvalidRequest().WithDescription("a parameter is there more than once")
		}
	}
	switch {
	case r.Data.RequestParam != "" || q.Has("request_uri"):
		return "", oidc.ErrRequestNotSupported().WithDescription("request objects are not supported")
	case !challenge(r.Data.CodeChallenge):
		return "", oidc.ErrInvalidRequest().WithDescription("code_challenge is missing or malformed: PKCE is required")
	case r.Data.CodeChallengeMethod != oidc.CodeChallengeMethodS256:
		return "", oidc.ErrInvalidRequest().WithDescription("code_challenge_method must be S256")
	case r.Data.ResponseMode != "" && r.Data.ResponseMode != oidc.ResponseModeQuery:
		r.Data.ResponseMode = ""
		return "", oidc.ErrInvalidRequest().WithDescription("response_mode must be query")
	case len(scopesFor(c, r.Data.Scopes)) == 0:
		return "", oidc.ErrInvalidScope().WithDescription("none of the scopes is one of this server's")
	}
	if audience, err = s.target(c, q); audience == "" {
		audience = s.targets(c)[0]
	}
	return audience, err
}

// challenge says whether c can be the SHA-256 of a verifier (RFC 7636 §4.2).
func challenge(c string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return len(c) == 43 && strings.Trim(c, letters) == ""
}
