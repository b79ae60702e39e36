package consent

import (
	"errors"
	"net/http"
	"time"

	"github.com/grantry/grantry/vault"
)

const formCode = "code"

// codePage asks for a code that a terminal shows.
type codePage struct {
	Title, Text, Label, Button, Fine text
	Owner                            string // whose vault the code is used in; "" before anybody is signed in
	Problem                          text   // what was wrong with the last one
	Value                            string // that was typed
	Action, CSRF                     string
}

// words fills in what a page says, from one section of the messages.
func (p *codePage) words(h *Handler, section string) {
	p.Title, p.Text, p.Label = h.say(section+"title"), h.say(section+"text"), h.say(section+"label")
	p.Button, p.Fine = h.say(section+"button"), h.say(section+"fine")
}

// askCode shows the page that waits in this browser until a code of "grantry signin" is typed into it.
func (h *Handler) askCode(v *visit, status int, page codePage) {
	id, err := h.visitor(v)
	if err != nil {
		h.broken(v, "naming the visitor", err)
		return
	}
	page.words(h, "code.")
	page.Action, page.CSRF = v.r.URL.RequestURI(), h.visitorToken(id, formCode)
	h.render(v, status, "code", frame{Title: h.say("code.page"), Body: page})
}

// signInByCode takes the code that was typed, and goes on to where this browser wanted to go.
func (h *Handler) signInByCode(v *visit) {
	back, err := h.wayBackFrom(v)
	switch {
	case h.cfg.Local == nil:
		h.notFound(v)
	case err != nil:
		h.broken(v, "reading the way back", err)
	case v.signedIn():
		h.redirect(v, back.Path)
	case !h.visitorTokenValid(v, formCode):
		h.staleForm(v, "/signin")
	default:
		h.tryCode(v, back)
	}
}

func (h *Handler) tryCode(v *visit, back comeBack) {
	page := codePage{Value: shown(v.r.PostForm.Get("code"), 20)}
	code, ok := typedCode(page.Value)
	if !ok { // no try: there is nothing to look up
		page.Problem = h.say("code.form")
		h.askCode(v, http.StatusBadRequest, page)
		return
	}
	place := placeOf(v.r)
	if !h.mayTry(v, h.signInTries, place, func(when text) {
		h.noteSignIn(v, "too_many")
		page.Problem = h.say("code.too_many", "when", when)
		h.askCode(v, http.StatusTooManyRequests, page)
	}) {
		return
	}
	who, err := h.takeCode(v.ctx(), code)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		h.noteSignIn(v, "code")
		page.Problem = h.say("code.wrong")
		h.askCode(v, http.StatusForbidden, page)
	case err != nil:
		h.broken(v, "taking sign-in code", err)
	default:
		h.forgive(v, h.signInTries, place)
		h.letIn(v, who, back.Path)
	}
}

// mayTry counts a code that is about to be looked at. Where none may be, it has answered, by tooMany with the time of the next one.
func (h *Handler) mayTry(v *visit, t *tries, place string, tooMany func(when text)) bool {
	until, err := t.take(v.ctx(), place)
	switch {
	case errors.Is(err, errTries):
		tooMany(h.pages.until(h.cfg.Now(), until))
	case err != nil:
		h.broken(v, "counting codes", err)
	}
	return err == nil
}

// forgive forgets a try whose code was right. One that stays counted only makes the next wrong codes fewer.
func (h *Handler) forgive(v *visit, t *tries, place string) {
	if err := t.giveBack(v.ctx(), place); err != nil {
		h.cfg.Logger.Warn("a right code stays counted", "error", err)
	}
}

// letIn begins the session of somebody who had a code.
func (h *Handler) letIn(v *visit, who vault.Person, to string) {
	if err := h.cfg.Vault.Audit(v.ctx(), vault.Entry{Kind: "person.signed_in", Caller: who.Caller, Reason: "code"}); err != nil {
		h.broken(v, "writing audit", err)
		return
	}
	if err := h.startCodeSession(v, who); err != nil {
		h.broken(v, "starting session", err)
		return
	}
	h.redirect(v, to)
}

// showSignInLink is the one-time link: looking takes nothing, however often (R05).
// A code in its place is only filled in: it is looked up when the button is pressed.
func (h *Handler) showSignInLink(v *visit) {
	link := v.r.PathValue("code")
	_, typed := typedCode(link)
	switch {
	case h.cfg.Local == nil || len(link) > maxHandle:
		h.notFound(v)
	case v.signedIn():
		h.alreadyIn(v)
	case v.r.Method == http.MethodHead:
		v.w.WriteHeader(http.StatusNoContent)
	case typed:
		h.askCode(v, http.StatusOK, codePage{Value: link})
	default:
		h.showLiveLink(v, link)
	}
}

func (h *Handler) showLiveLink(v *visit, link string) {
	lives, err := h.linkLives(v.ctx(), link)
	if err != nil {
		h.broken(v, "reading sign-in link", err)
		return
	}
	if !lives {
		h.linkOver(v)
		return
	}
	id, err := h.visitor(v)
	if err != nil {
		h.broken(v, "naming the visitor", err)
		return
	}
	m := h.tell(http.StatusOK, tonePlain, "link.ask", "owner", h.cfg.Local.Label(), "days", int(codeSession/(24*time.Hour)))
	m.Facts = []fact{{Name: h.say("done.vault"), Value: shown(h.cfg.Local.Label(), 80)}, {Name: h.say("link.machine"), Value: shown(h.cfg.Machine, 60)}}
	m.Button = &button{Text: h.say("link.button"), To: v.r.URL.EscapedPath(), CSRF: h.visitorToken(id, link)}
	h.message(v, m)
}

// takeSignInLink is the link's button: it counts once, in the browser that showed the page.
func (h *Handler) takeSignInLink(v *visit) {
	link := v.r.PathValue("code")
	_, typed := typedCode(link)
	switch {
	case h.cfg.Local == nil || len(link) > maxHandle:
		h.notFound(v)
		return
	case v.signedIn():
		h.alreadyIn(v)
		return
	case typed:
		h.signInByCode(v)
		return
	case !h.visitorTokenValid(v, link):
		h.staleForm(v, v.r.URL.EscapedPath())
		return
	}
	who, err := h.takeLink(v.ctx(), link)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		h.noteSignIn(v, "link")
		h.linkOver(v)
	case err != nil:
		h.broken(v, "taking sign-in link", err)
	default:
		h.letIn(v, who, home)
	}
}

func (h *Handler) alreadyIn(v *visit) {
	m := h.tell(http.StatusOK, toneGood, "link.in", "owner", v.person.Label())
	m.Links = []link{h.toConnections()}
	h.message(v, m)
}

func (h *Handler) linkOver(v *visit) {
	m := h.tell(http.StatusGone, tonePlain, "link.over")
	m.Links = []link{{Text: h.say("link.type"), To: "/signin", Primary: true}}
	h.message(v, m)
}
