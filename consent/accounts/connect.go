package accounts

import (
	"errors"
	"net/http"
	"regexp"
	"slices"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

var (
	challenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)       // RFC 7636 §4.2: S256 is 43 characters
	verifier  = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`) // §4.1
)

// started is what connect answers.
type started struct {
	ConnectURI  string        `json:"connect_uri"`
	AuthSession string        `json:"auth_session"`
	Params      connectParams `json:"connect_params"`
	ExpiresIn   int           `json:"expires_in"` // seconds
}

type connectParams struct {
	Ticket string `json:"ticket"`
}

// connect opens a ticket for the person of the token.
func (s *Server) connect(c *call) (answer, error) {
	b, err := readBody(c.r)
	if err != nil {
		return answer{}, err
	}
	name := b.must("connection", 128)
	r := vault.AppTicketRequest{Owner: c.who.Person, Agent: c.app.Agent, Connection: name, Wider: c.app.Wider}
	r.App = vault.AppRequest{
		RedirectURI: b.must("redirect_uri", 2048), State: b.text("state", 0, 4096), Challenge: b.text("code_challenge", 43, 128), Vouched: c.app.Vouches,
	}
	asked := b.list("scopes", 100, 255)
	r.App.Hint = b.hint()
	b.checkConnect(&r.App, c.app)
	if err := b.end(); err != nil {
		return answer{}, err
	}
	conn, ok := s.cfg.Connection(name)
	if !ok {
		return answer{}, refusal(http.StatusNotFound, "no_such_connection", "There is no such connection in this vault; GET "+apiPath+"connections lists them.")
	}
	if r.Scopes, err = s.scopes(conn, asked); err != nil {
		return answer{}, err
	}
	t, session, err := s.cfg.Vault.OpenAppTicket(c.r.Context(), r)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusCreated, started{
		ConnectURI: s.cfg.PublicURL + connectPath, AuthSession: session, Params: connectParams{s.cfg.Vault.Handle(t)},
		ExpiresIn: int(t.Expires.Sub(t.Created).Seconds()),
	})
}

// checkConnect holds the way back and the challenge. Whoever holds a public application's
// token could complete what its user began; only who began has the verifier.
func (b *body) checkConnect(r *vault.AppRequest, app Application) {
	if r.RedirectURI != "" && !slices.Contains(app.RedirectURIs, r.RedirectURI) {
		b.bad("redirect_uri", "must be, to the letter, one that is registered for this application")
	}
	_, given := b.fields["code_challenge_method"]
	method := b.text("code_challenge_method", 1, 16)
	switch {
	case r.Challenge == "" && app.Public && !b.said("code_challenge"):
		b.bad("code_challenge", "is required of an application without a secret")
	case r.Challenge != "" && !challenge.MatchString(r.Challenge):
		b.bad("code_challenge", "must be the S256 of a verifier, 43 characters of base64url")
	case given && method != "S256":
		b.bad("code_challenge_method", "must be S256")
	case r.Challenge == "" && given && !b.said("code_challenge"):
		b.bad("code_challenge", "is required with code_challenge_method")
	}
}

// said says whether something was found wrong with a field before.
func (b *body) said(name string) bool {
	return slices.ContainsFunc(b.wrong, func(w invalid) bool { return w.Field == name })
}

// hint reads authorization_params, of which login_hint goes to the vendor. Everything
// else there (prompt, display, ui_locales, …) is not passed on: Grantry asks each vendor as its catalog says.
func (b *body) hint() string {
	raw, ok := b.take("authorization_params")
	if !ok {
		return ""
	}
	params, err := object(raw)
	if err != nil {
		b.bad("authorization_params", "must be an object")
		return ""
	}
	hint, ok := params["login_hint"]
	if !ok {
		return ""
	}
	s, ok := str(hint)
	if !ok || s == "" || len(s) > 320 {
		b.bad("authorization_params", "login_hint must be a string of 1 to 320 characters")
		return ""
	}
	return s
}

// scopes are those that the application asks for as the vendor spells them: known to the
// catalog, or named by the connection's own config. Without any they are what the connection asks for by itself.
func (s *Server) scopes(conn *provider.Connection, asked []string) ([]string, error) {
	own := s.offered(conn)
	if asked == nil {
		return own, nil
	}
	p := conn.Provider()
	var out []string
	var wrong []invalid
	for _, one := range asked {
		if !p.Knows(one) && !p.IdentityOnly(one) && !slices.Contains(own, p.Normalize(one)) {
			wrong = append(wrong, invalid{Detail: "has a scope that this connection does not know; list it under its scopes in the config", Field: "scopes", Pointer: "/scopes"})
			break
		}
		out = provider.Union(out, []string{p.Normalize(one)})
	}
	if wrong != nil {
		return nil, badRequest(wrong...)
	}
	return out, nil
}

// offered are the scopes that a connection asks for by itself.
func (s *Server) offered(conn *provider.Connection) []string {
	p := conn.Provider()
	out := []string{}
	for _, one := range provider.Union(conn.DefaultScopes(), s.cfg.Scopes(conn.Name())) {
		out = provider.Union(out, []string{p.Normalize(one)})
	}
	return out
}

// complete stores what the vendor gave, once.
func (s *Server) complete(c *call) (answer, error) {
	b, err := readBody(c.r)
	if err != nil {
		return answer{}, err
	}
	done := vault.Completion{
		Session: b.must("auth_session", 64), Code: b.must("connect_code", 46), RedirectURI: b.must("redirect_uri", 2048),
		Verifier: b.text("code_verifier", 43, 128), Caller: c.who.Person.Caller, Agent: c.app.Agent,
	}
	if done.Verifier != "" && !verifier.MatchString(done.Verifier) {
		b.bad("code_verifier", "must be 43 to 128 letters, digits, or any of - . _ ~")
	}
	if err := b.end(); err != nil {
		return answer{}, err
	}
	a, err := s.cfg.Vault.CompleteConnect(c.r.Context(), done)
	if err != nil {
		return answer{}, incomplete(err)
	}
	return reply(http.StatusCreated, view(a))
}

// incomplete says why nothing was connected. Of somebody else's session it says no more than of one that nobody has.
func incomplete(err error) error {
	switch {
	case errors.Is(err, vault.ErrNotFound), errors.Is(err, vault.ErrForeign):
		return refusal(http.StatusBadRequest, "invalid_session", "The auth_session is not known, is over, or belongs to another person or application.")
	case errors.Is(err, vault.ErrProof):
		return refusal(http.StatusBadRequest, "invalid_code", "connect_code, redirect_uri and code_verifier do not belong to this auth_session.")
	case errors.Is(err, vault.ErrGone):
		return refusal(http.StatusBadRequest, "expired", "Nothing waits for this: the browser is not back from the vendor, or it took too long and the vendor has the grant back. Start again with connect.")
	}
	return err
}
