package consent

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	kindReturn = "signin-return"
	kindSignIn = "signin"

	signInTTL   = 10 * time.Minute
	home        = "/connections"
	formSignOut = "signout"
)

func (h *Handler) mountSignIn(mux *http.ServeMux) {
	mux.Handle("GET /signin", h.page(h.beginSignIn))
	mux.Handle("POST /signin", h.form(h.signInByCode))
	mux.Handle("GET /signin/callback", h.page(h.finishSignIn))
	mux.Handle("GET /signin/{code}", h.page(h.showSignInLink))
	mux.Handle("POST /signin/{code}", h.form(h.takeSignInLink))
	mux.Handle("GET /signout", h.page(h.showSignOut))
	mux.Handle("POST /signout", h.form(h.signOut))
}

// comeBack is where a browser goes after the sign-in. It is kept here: no
// parameter ever names an address to go to.
type comeBack struct {
	Path   string `json:"path"`
	Prompt string `json:"prompt,omitempty"` // "login" for a switch of users
}

// signInFlow is one visit to the issuer.
type signInFlow struct {
	comeBack
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Cookie   []byte `json:"cookie"` // hash of the cookie of the browser that started
	Again    bool   `json:"again"`  // the issuer's first answer was too old
}

func (f signInFlow) challenge() string {
	sum := sha256.Sum256([]byte(f.Verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// askSignIn sends the browser to sign in and remembers where it wanted to go.
func (h *Handler) askSignIn(v *visit, back comeBack) {
	to, err := h.signInLink(v, back)
	if err != nil {
		h.broken(v, "remembering the way back", err)
		return
	}
	h.redirect(v, to)
}

func (h *Handler) signInLink(v *visit, back comeBack) (string, error) {
	if v.r.Method == http.MethodHead {
		return "/signin", nil // inert
	}
	name, err := h.random()
	if err != nil {
		return "", err
	}
	return "/signin?n=" + name, h.putJSON(v.ctx(), kindReturn, name, back, 2*signInTTL)
}

// wayBackFrom is where this browser wanted to go before it was asked to sign in.
func (h *Handler) wayBackFrom(v *visit) (comeBack, error) {
	back := comeBack{Path: home}
	if name := v.r.URL.Query().Get("n"); name != "" {
		if err := h.getJSON(v.ctx(), kindReturn, name, &back); err != nil && !errors.Is(err, vault.ErrNotFound) {
			return back, err
		}
	}
	return back, nil
}

// beginSignIn asks for a code, or starts a visit to the issuer, in this browser.
func (h *Handler) beginSignIn(v *visit) {
	back, err := h.wayBackFrom(v)
	switch {
	case err != nil:
		h.broken(v, "reading the way back", err)
	case v.signedIn() && back.Prompt == "":
		h.redirect(v, back.Path)
	case v.r.Method == http.MethodHead:
		v.w.WriteHeader(http.StatusNoContent)
	case h.issuer == nil:
		h.askCode(v, http.StatusOK, codePage{})
	default:
		h.visitIssuer(v, signInFlow{comeBack: back})
	}
}

func (h *Handler) visitIssuer(v *visit, f signInFlow) {
	state, to, err := h.newSignIn(v, &f)
	if errors.Is(err, errIssuerDown) || errors.Is(err, errIssuerConfig) {
		h.signInFailed(v, f, err)
		return
	}
	if err != nil {
		h.broken(v, "starting sign-in", err)
		return
	}
	h.cfg.Logger.Debug("sign-in started", "flow", flowMark(state))
	h.redirect(v, to)
}

func (h *Handler) newSignIn(v *visit, f *signInFlow) (state, to string, err error) {
	var cookie string
	for _, into := range []*string{&state, &cookie, &f.Nonce, &f.Verifier} {
		if *into, err = h.random(); err != nil {
			return "", "", err
		}
	}
	sum := sha256.Sum256([]byte(cookie))
	f.Cookie = sum[:]
	if to, err = h.issuer.authURL(v.ctx(), state, *f); err != nil {
		return "", "", err
	}
	h.setFlowCookie(v, "signin", state, cookie)
	return state, to, h.putJSON(v.ctx(), kindSignIn, state, *f, signInTTL)
}

// finishSignIn takes the issuer's answer, once, and only in the browser that asked.
func (h *Handler) finishSignIn(v *visit) {
	q := v.r.URL.Query()
	state := q.Get("state")
	if h.issuer == nil || v.r.Method == http.MethodHead {
		h.notFound(v)
		return
	}
	var f signInFlow
	if err := h.takeJSON(v.ctx(), kindSignIn, state, &f); err != nil {
		h.signInOver(v, err)
		return
	}
	h.dropFlowCookie(v, "signin", state)
	if sum := sha256.Sum256([]byte(h.flowCookie(v, "signin", state))); !hmac.Equal(sum[:], f.Cookie) {
		h.noteSignIn(v, "browser")
		m := h.tell(http.StatusForbidden, toneBad, "signin.other_browser")
		m.Links = []link{{Text: h.say("signin.as_yourself"), To: "/signin", Primary: true}}
		h.message(v, m)
		return
	}
	h.acceptSignIn(v, f, q)
}

func (h *Handler) acceptSignIn(v *visit, f signInFlow, q url.Values) {
	err := h.issuer.checkIss(v.ctx(), q.Get("iss"))
	var p vault.Person
	var at time.Time
	switch {
	case err != nil:
	case q.Get("error") != "" || q.Get("code") == "":
		h.signInRefused(v, f, q.Get("error"))
		return
	default:
		p, at, err = h.issuer.redeem(v.ctx(), q.Get("code"), f)
	}
	if errors.Is(err, errStale) && !f.Again {
		// The issuer did not heed max_age: ask once more, in words that every issuer knows.
		f.Again, f.Prompt = true, "login"
		h.visitIssuer(v, f)
		return
	}
	if err != nil {
		h.signInFailed(v, f, err)
		return
	}
	if err := h.cfg.Vault.Audit(v.ctx(), vault.Entry{Kind: "person.signed_in", Caller: p.Caller}); err != nil {
		h.broken(v, "writing audit", err)
		return
	}
	if err := h.startSession(v, p, at.Add(h.issuer.cfg.MaxAge)); err != nil {
		h.broken(v, "starting session", err)
		return
	}
	h.redirect(v, f.Path)
}

// showSignOut asks: a GET signs nobody out.
func (h *Handler) showSignOut(v *visit) {
	switch {
	case v.own:
		m := h.tell(http.StatusOK, tonePlain, "signout.local")
		m.Links = []link{{Text: h.say("words.connections"), To: home, Primary: true}}
		h.message(v, m)
	case !v.signedIn():
		h.signedOut(v)
	default:
		m := h.tell(http.StatusOK, tonePlain, "signout.ask", "person", v.person.Label())
		m.Button = &button{Text: h.say("signout.button"), To: "/signout", CSRF: h.token(v, formSignOut)}
		m.Links = []link{{Text: h.say("signout.back"), To: home}}
		h.message(v, m)
	}
}

func (h *Handler) signedOut(v *visit) {
	m := h.tell(http.StatusOK, tonePlain, "signout.done")
	m.Links = []link{{Text: h.say("words.sign_in"), To: "/signin", Primary: true}}
	h.message(v, m)
}

// signOut ends the session; with a ticket in the form, another person may sign in for it.
func (h *Handler) signOut(v *visit) {
	if !v.signedIn() || v.own {
		h.showSignOut(v)
		return
	}
	if !h.tokenValid(v, formSignOut) {
		h.staleForm(v, "/signout")
		return
	}
	who := v.person.Caller
	if err := h.endSession(v); err != nil {
		h.broken(v, "ending session", err)
		return
	}
	if err := h.cfg.Vault.Audit(v.ctx(), vault.Entry{Kind: "person.signed_out", Caller: who}); err != nil {
		h.cfg.Logger.Error("audit not written", "kind", "person.signed_out", "error", err) // the session is over all the same
	}
	if handle := v.r.PostForm.Get("ticket"); handle != "" {
		h.askSignIn(v, comeBack{Path: ticketPath(handle), Prompt: "login"})
		return
	}
	h.signedOut(v)
}

// flowMark names a flow without giving its state away.
func flowMark(state string) string {
	sum := sha256.Sum256([]byte(state))
	return hex.EncodeToString(sum[:8])
}

// setFlowCookie binds a flow to this browser for ten minutes. The name holds a
// mark of the state, so that flows in several tabs do not meet.
func (h *Handler) setFlowCookie(v *visit, what, state, value string) {
	http.SetCookie(v.w, &http.Cookie{
		Name: h.cookieName(what) + "_" + flowMark(state), Value: value, Path: "/", MaxAge: int(signInTTL / time.Second),
		HttpOnly: true, Secure: h.https, SameSite: http.SameSiteLaxMode,
	})
}

// flowCookie is the value of a flow's cookie, "" when this browser has none.
func (h *Handler) flowCookie(v *visit, what, state string) string {
	c, err := v.r.Cookie(h.cookieName(what) + "_" + flowMark(state))
	if err != nil {
		return ""
	}
	return c.Value
}

// dropFlowCookie removes the cookie of a flow that is over.
func (h *Handler) dropFlowCookie(v *visit, what, state string) {
	http.SetCookie(v.w, &http.Cookie{
		Name: h.cookieName(what) + "_" + flowMark(state), Path: "/", MaxAge: -1,
		HttpOnly: true, Secure: h.https, SameSite: http.SameSiteLaxMode,
	})
}

func (h *Handler) putJSON(ctx context.Context, kind, handle string, value any, ttl time.Duration) error {
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", kind, err)
	}
	return h.cfg.Records.Put(ctx, kind, handle, vault.Caller{}, b, ttl)
}

func (h *Handler) getJSON(ctx context.Context, kind, handle string, into any) error {
	return decoded(into)(h.cfg.Records.Get(ctx, kind, handle))
}

func (h *Handler) takeJSON(ctx context.Context, kind, handle string, into any) error {
	return decoded(into)(h.cfg.Records.Take(ctx, kind, handle))
}

func decoded(into any) func([]byte, error) error {
	return func(b []byte, err error) error {
		if err != nil {
			return err
		}
		return json.Unmarshal(b, into)
	}
}
