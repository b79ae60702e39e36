package authserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	kindRequest  = "authserver-request"
	kindRemember = "authserver-remember"
	kindForgot   = "authserver-forgot"
)

// grant is what a person allows a client.
type grant struct {
	Client   string       `json:"client"`
	Agent    vault.Agent  `json:"agent"`
	Person   vault.Person `json:"person"`
	Scopes   []string     `json:"scopes"`
	Resource string       `json:"resource"`
	Nonce    string       `json:"nonce,omitempty"`  // for the first ID token
	Proves   bool         `json:"proves,omitempty"` // by keys that its metadata document names
}

// request is an authorization request that waits for its person.
type request struct {
	grant
	Redirect  string `json:"redirect"`
	State     string `json:"state"`
	Challenge string `json:"challenge"`
	Browser   string `json:"browser"` // hash of the cookie of the browser that started it
	Ticket    string `json:"ticket"`
	Remember  bool   `json:"remember"`
	Location  string `json:"location,omitempty"` // where the browser was sent in the end
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// ask opens a ticket for the request and answers its page. The browser comes back to answer.
func (s *Server) ask(ctx context.Context, v *visit, req request, remember bool) (string, error) {
	id, err := s.random(32)
	if err != nil {
		return "", err
	}
	kind, err := targetOf(req.Redirect)
	if err != nil {
		return "", fmt.Errorf("reading redirect URI: %w", err)
	}
	t, err := s.cfg.Vault.OpenClientTicket(ctx, req.Person, req.Agent, vault.ClientRequest{
		Scopes: req.Scopes, Offer: offered(v.client, req.Scopes), Redirect: shownTarget(req.Redirect), Document: v.client.document,
		Local: kind != targetWeb && !v.client.confidential(), Remember: remember, Continue: authorizePath + "/" + id,
	})
	if err != nil {
		return "", err
	}
	req.Ticket, req.Remember = t.ID, remember
	raw, err := json.Marshal(req)
	if err != nil {
		return "", err
	}
	if err := s.cfg.Records.Put(ctx, kindRequest, id, req.Person.Caller, raw, requestTTL+answerTTL); err != nil {
		return "", fmt.Errorf("storing request: %w", err)
	}
	return s.cfg.PublicURL + "/consent/" + url.PathEscape(s.cfg.Vault.Handle(t)), nil
}

// answer is GET /oauth/authorize/{request}, where the ticket's page sends the browser
// after the answer. Only the browser that started gets it, and only for the
// person who answered (R50); coming again it gets the same redirect.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	person, ok := s.cfg.Pages.Visitor(w, r)
	if !ok {
		return
	}
	id := r.PathValue("request")
	req, err := s.request(r.Context(), id)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		s.refuse(w, r, RefusedOver, nil)
		return
	case err != nil:
		s.refuse(w, r, RefusedBroken, err)
		return
	case !s.sameBrowser(r, req) || person.Caller != req.Person.Caller:
		s.refuse(w, r, RefusedBrowser, nil)
		return
	}
	to, err := s.conclude(r.Context(), id, req, s.cookie(r))
	if errors.Is(err, errUnanswered) {
		s.refuse(w, r, RefusedOver, nil)
		return
	}
	if err != nil {
		s.refuse(w, r, RefusedBroken, err)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (s *Server) request(ctx context.Context, id string) (req request, err error) {
	raw, err := s.cfg.Records.Get(ctx, kindRequest, id)
	if err != nil {
		return req, err
	}
	return req, json.Unmarshal(raw, &req)
}

// errUnanswered says that a request's ticket has no answer, or none any more.
var errUnanswered = errors.New("nobody answered")

// conclude turns the ticket's answer into the client's, once.
func (s *Server) conclude(ctx context.Context, id string, req request, browser string) (string, error) {
	if req.Location != "" {
		return req.Location, nil
	}
	t, err := s.cfg.Vault.TicketByID(ctx, req.Person.Caller, req.Ticket)
	if err != nil {
		return "", fmt.Errorf("reading ticket: %w", err)
	}
	to := ""
	switch t.State {
	case vault.TicketDone:
		req.Scopes = t.Client.Scopes
		to, err = s.allowed(ctx, req, browser)
	case vault.TicketDeclined:
		to = s.redirect(req, url.Values{"error": {"access_denied"}, "error_description": {"the person said no"}})
	default:
		err = errUnanswered
	}
	if err != nil {
		return "", err
	}
	// Of two at the same time the first one's answer counts, for both; the other's code is nobody's.
	err = s.cfg.Records.Change(ctx, kindRequest, id, func(old []byte) ([]byte, time.Duration, error) {
		var now request
		if old == nil || json.Unmarshal(old, &now) != nil {
			return nil, 0, errUnanswered
		}
		if now.Location != "" {
			to = now.Location
			return old, answerTTL, nil
		}
		now.Location = to
		raw, err := json.Marshal(now)
		return raw, answerTTL, err
	})
	return to, err
}

// allowed keeps the client, remembers the yes where it may be remembered, and makes the code.
func (s *Server) allowed(ctx context.Context, req request, browser string) (string, error) {
	if strings.HasPrefix(req.Client, "dcr_") {
		c, err := s.registered(ctx, req.Client)
		if err != nil {
			return "", err
		}
		if err := s.keep(ctx, c); err != nil {
			return "", err
		}
	}
	if req.Remember {
		if err := s.remember(ctx, browser, req.grant); err != nil {
			return "", err
		}
	}
	return s.grantCode(ctx, req)
}

// redirect is the client's address with an answer in its query, and who gives it.
func (s *Server) redirect(req request, answer url.Values) string {
	u, err := url.Parse(req.Redirect)
	if err != nil {
		return s.cfg.PublicURL // it was parsed when it was checked
	}
	q := u.Query()
	for name, values := range answer {
		q[name] = values
	}
	if req.State != "" {
		q.Set("state", req.State)
	}
	q.Set("iss", s.cfg.PublicURL)
	u.RawQuery = q.Encode()
	return u.String()
}

// rememberedAs is the handle of a remembered yes: this browser, this person, this client.
func rememberedAs(browser string, g grant) string {
	return strings.Join([]string{hashed(browser), hashed(g.Person.Issuer + "\x00" + g.Person.Subject), g.Client}, "/")
}

// yes is a remembered answer.
type yes struct {
	Scopes []string  `json:"scopes"`
	Given  time.Time `json:"given"`
}

// remember keeps a yes for 90 days, in the browser that gave it (R50).
func (s *Server) remember(ctx context.Context, browser string, g grant) error {
	raw, err := json.Marshal(yes{g.Scopes, s.cfg.Now().UTC()})
	if err != nil {
		return err
	}
	return s.cfg.Records.Put(ctx, kindRemember, rememberedAs(browser, g), g.Person.Caller, raw, rememberTTL)
}

// remembered are the scopes that this browser's person has given the client, if those that it asks for are among them; nil = they must be asked.
func (s *Server) remembered(ctx context.Context, browser string, g grant) ([]string, error) {
	raw, err := s.cfg.Records.Get(ctx, kindRemember, rememberedAs(browser, g))
	if errors.Is(err, vault.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading consent: %w", err)
	}
	var given yes
	if json.Unmarshal(raw, &given) != nil {
		return nil, nil // of another version: the person is asked
	}
	if _, all := narrowed(given.Scopes, g.Scopes); !all {
		return nil, nil
	}
	forgot, err := s.forgot(ctx, g)
	if err != nil || !given.Given.After(forgot) {
		return nil, err
	}
	return given.Scopes, nil
}

// forget has every browser of a person ask again before a client logs in.
func (s *Server) forget(ctx context.Context, g grant) error {
	raw, err := json.Marshal(s.cfg.Now().UTC())
	if err != nil {
		return err
	}
	return s.cfg.Records.Put(ctx, kindForgot, rememberedAs("", g), g.Person.Caller, raw, rememberTTL)
}

// forgot is when the person last ended a login of the client; zero = not in the time that a yes is remembered.
func (s *Server) forgot(ctx context.Context, g grant) (at time.Time, err error) {
	raw, err := s.cfg.Records.Get(ctx, kindForgot, rememberedAs("", g))
	if errors.Is(err, vault.ErrNotFound) {
		return at, nil
	}
	if err != nil {
		return at, fmt.Errorf("reading consent: %w", err)
	}
	return at, json.Unmarshal(raw, &at)
}

// browser is the cookie by which a browser is known again; it gets one where it has none.
func (s *Server) browser(w http.ResponseWriter, r *http.Request) (string, error) {
	value := s.cookie(r)
	if value == "" {
		var err error
		if value, err = s.random(32); err != nil {
			return "", err
		}
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(), Value: value, Path: "/", MaxAge: int(rememberTTL / time.Second),
		HttpOnly: true, Secure: strings.HasPrefix(s.cfg.PublicURL, "https:"), SameSite: http.SameSiteLaxMode,
	})
	return value, nil
}

func (s *Server) cookie(r *http.Request) string {
	c, err := r.Cookie(s.cookieName())
	if err != nil || len(c.Value) != 43 {
		return ""
	}
	return c.Value
}

func (s *Server) sameBrowser(r *http.Request, req request) bool {
	c := s.cookie(r)
	return c != "" && subtle.ConstantTimeCompare([]byte(hashed(c)), []byte(req.Browser)) == 1
}

// cookieName is __Host- on https. On loopback http cookies do not know ports: the name keeps vaults apart.
func (s *Server) cookieName() string {
	if strings.HasPrefix(s.cfg.PublicURL, "https:") {
		return "__Host-grantry_client"
	}
	return "grantry_client_" + hex.EncodeToString(s.cfg.Vault.MAC("authserver/cookie/v1", []byte(s.cfg.PublicURL)))[:8]
}
