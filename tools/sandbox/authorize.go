package sandbox

import (
	"net/http"
	"net/url"
	"slices"
)

// ask is what an authorization request wants.
type ask struct {
	scopes, bot, resources []string
	challenge, nonce       string
	offline, again, merge  bool // Google: access_type=offline, prompt=consent, include_granted_scopes=true
}

// denial is a request that cannot go on. It is told to the client at its redirect address or, as some
// vendors do, to the person on a page.
type denial struct {
	code, text string
	page       bool
}

// front is an authorize endpoint: what the shared page has to know about the vendor.
type front struct {
	vendor, title, verb string
	decline             bool
	separate            bool     // each consent is a grant of its own
	identity            []string // the scopes that narrow_scopes leaves
	parse               func(c client, q url.Values) (ask, *denial)
	give                func(g *grant, a ask) code // which scopes, and whether for good
	extra               func(c code) url.Values    // what the vendor adds to the answer
	iss                 string                     // RFC 9207, on success and on error
}

// authorize is the endpoint that people see. The form posts to its own address, so that nothing is kept
// between the page and the answer.
func (s *Sandbox) authorize(f front) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		c, found := s.lookup(f.vendor, q.Get("client_id"))
		if !found {
			s.errorPage(w, f, http.StatusUnauthorized, "invalid_client", "No application with this client id is registered here.")
			return
		}
		if !c.accepts(q.Get("redirect_uri")) {
			s.errorPage(w, f, http.StatusBadRequest, "redirect_uri_mismatch", "The redirect address of this request is not registered for the application.")
			return
		}
		a, no := f.parse(c, q)
		switch {
		case no != nil && no.page:
			s.errorPage(w, f, http.StatusBadRequest, no.code, no.text)
		case no != nil:
			s.sendBack(w, r, f, url.Values{"error": {no.code}, "error_description": {no.text}})
		case r.Method == http.MethodPost:
			s.answered(w, r, f, c, a)
		default:
			s.consentPage(w, f, c, a)
		}
	}
}

// answered is the person's click.
func (s *Sandbox) answered(w http.ResponseWriter, r *http.Request, f front, c client, a ask) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		s.errorPage(w, f, http.StatusForbidden, "cross_origin", "This answer came from another site's page.")
		return
	}
	if f.decline && r.PostFormValue("answer") == "decline" {
		s.sendBack(w, r, f, url.Values{"error": {"access_denied"}})
		return
	}
	p, known := findPerson(r.PostFormValue("user"))
	if !known {
		s.errorPage(w, f, http.StatusBadRequest, "invalid_request", "Only alice and bob live here.")
		return
	}
	given, raw := s.consented(f, c, a, p, r.URL.Query().Get("redirect_uri"))
	answer := url.Values{"code": {raw}}
	if f.extra != nil {
		for k, v := range f.extra(given) {
			answer[k] = v
		}
	}
	s.sendBack(w, r, f, answer)
}

// consented records the grant and makes the code.
func (s *Sandbox) consented(f front, c client, a ask, p person, redirect string) (given code, raw string) {
	s.update(func(st *state) {
		if st.take(f.vendor, "narrow_scopes", "") != nil {
			a.narrow(f.identity)
		}
		g := s.grantFor(st, f, c, p)
		g.Scopes, g.BotScopes = merged(g.Scopes, a.scopes), merged(g.BotScopes, a.bot)
		given = f.give(g, a)
		given.Vendor, given.Client, given.Grant, given.User = f.vendor, c.ID, g.ID, p.name
		given.RedirectURI, given.Challenge, given.Nonce = redirect, a.challenge, a.nonce
		given.Resources = a.resources
		raw = s.giveCode(st, codePrefix(f.vendor), given)
	})
	return given, raw
}

func (s *Sandbox) grantFor(st *state, f front, c client, p person) *grant {
	if f.separate {
		return s.newGrant(st, f.vendor, c.ID, p.name)
	}
	return s.join(st, f.vendor, c.ID, p.name)
}

// narrow leaves the identity scopes: of the person's if any were asked for, else of the bot's.
func (a *ask) narrow(identity []string) {
	if len(a.scopes) > 0 {
		a.scopes, a.bot = narrowed(a.scopes, identity), nil
		return
	}
	a.bot = narrowed(a.bot, identity)
}

// narrowed keeps the scopes that only say who someone is; the first one if there is none of these.
func narrowed(asked, identity []string) []string {
	var kept []string
	for _, sc := range asked {
		if slices.Contains(identity, sc) {
			kept = append(kept, sc)
		}
	}
	if len(kept) == 0 && len(asked) > 0 {
		kept = asked[:1]
	}
	return kept
}

func codePrefix(vendor string) string {
	switch vendor {
	case google:
		return "4/0A"
	case slack:
		return "7012345678901."
	case salesforce:
		return "aPrx"
	}
	return ""
}

// sendBack answers at the redirect address, which has been checked, with state and iss.
func (s *Sandbox) sendBack(w http.ResponseWriter, r *http.Request, f front, answer url.Values) {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		s.errorPage(w, f, http.StatusBadRequest, "redirect_uri_mismatch", "The redirect address is no address.")
		return
	}
	if q.Has("state") {
		answer.Set("state", q.Get("state"))
	}
	if f.iss != "" {
		answer.Set("iss", f.iss)
	}
	full := to.Query()
	for k, v := range answer {
		full[k] = v
	}
	to.RawQuery = full.Encode()
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// challenge reads PKCE parameters; only S256 is taken anywhere here.
func challenge(q url.Values) (string, *denial) {
	ch, method := q.Get("code_challenge"), q.Get("code_challenge_method")
	if ch != "" && method != "S256" {
		return "", &denial{code: "invalid_request", text: "code_challenge_method must be S256"}
	}
	if ch != "" && len(ch) != 43 {
		return "", &denial{code: "invalid_request", text: "code_challenge must be 43 characters of base64url"}
	}
	return ch, nil
}
