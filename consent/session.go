package consent

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/grantry/grantry/vault"
)

const (
	kindSession = "session"

	// localSession is how long a session lasts in a browser that is known to be the local person's. It signs nobody in: it binds forms and flows to one browser.
	localSession = 24 * time.Hour
	// seenEvery bounds how often the use of a session is written down.
	seenEvery = time.Minute
	// keySession is the one value in an scs session: a session in JSON.
	keySession = "v1"
)

// session is what one browser is known by.
type session struct {
	SID string `json:"sid"` // random; forms and flows are bound to it, never to the cookie itself
	// Person is who signed in; zero where nobody has to.
	Person vault.Person `json:"person"`
	// Code says that they did by a code of a vault of one person, not at an issuer.
	Code bool `json:"code,omitempty"`
	// Until is the absolute end in Unix seconds, Seen the last use.
	Until  int64 `json:"until"`
	Seen   int64 `json:"seen"`
	Notice text  `json:"notice,omitempty"` // shown once on the next page
}

func (h *Handler) newSessions() *scs.SessionManager {
	m := scs.New()
	m.Store = &recordStore{records: h.cfg.Records}
	m.Lifetime = localSession
	if h.cfg.SignIn != nil {
		m.Lifetime = h.cfg.SignIn.filled().MaxAge
	}
	m.Cookie = scs.SessionCookie{
		Name: h.cookieName("session"), Path: "/", HttpOnly: true, Secure: h.https, SameSite: http.SameSiteLaxMode,
	}
	return m
}

// cookieName is __Host- on https. On loopback http that prefix does not work,
// and cookies do not know ports: the name keeps the vaults of one machine apart.
func (h *Handler) cookieName(what string) string {
	if h.https {
		return "__Host-grantry_" + what
	}
	return "grantry_" + what + "_" + hex.EncodeToString(h.cfg.Vault.MAC("consent/cookie/v1", []byte(h.cfg.PublicURL)))[:8]
}

// loadSession puts the browser's session into the request and the person into the visit.
func (h *Handler) loadSession(v *visit) bool {
	v.w.Header().Add("Vary", "Cookie")
	var cookie string
	if c, err := v.r.Cookie(h.sessions.Cookie.Name); err == nil {
		cookie = c.Value
	}
	ctx, err := h.sessions.Load(v.ctx(), cookie)
	if err != nil {
		h.cfg.Logger.Error("session not read", "error", err)
		h.message(v, h.brokenMessage())
		return false
	}
	v.r, v.loaded = v.r.WithContext(ctx), true
	s := h.session(v)
	switch {
	case v.own:
		v.person = *h.cfg.Local
	case !s.Person.IsZero() && h.alive(s):
		v.person = s.Person
		h.touch(v, s)
	}
	if !v.own {
		h.noteSession(v, cookie, s)
	}
	return true
}

// alive says whether neither the absolute nor the idle limit has passed, and
// whether people still sign in here the way that this person did.
func (h *Handler) alive(s session) bool {
	now := h.cfg.Now().Unix()
	if s.Code || h.cfg.Local != nil {
		return s.Code && h.cfg.Local != nil && s.Person.Caller == h.cfg.Local.Caller && now < s.Until
	}
	idle := int64(h.cfg.SignIn.filled().Idle / time.Second)
	return now < s.Until && now < s.Seen+idle
}

// touch notes that a session was used. One that a code began lasts from there on.
func (h *Handler) touch(v *visit, s session) {
	now := h.cfg.Now()
	if now.Sub(time.Unix(s.Seen, 0)) < seenEvery {
		return
	}
	s.Seen = now.Unix()
	if s.Code {
		s.Until = now.Add(codeSession).Unix()
		h.sessions.SetDeadline(v.ctx(), time.Now().Add(codeSession))
	}
	h.putSession(v, s)
}

func (h *Handler) session(v *visit) (s session) {
	// A value that does not read is no session.
	if err := json.Unmarshal(h.sessions.GetBytes(v.ctx(), keySession), &s); err != nil {
		return session{}
	}
	return s
}

func (h *Handler) putSession(v *visit, s session) {
	b, err := json.Marshal(s)
	if err != nil {
		h.cfg.Logger.Error("session not encoded", "error", err)
		return
	}
	h.sessions.Put(v.ctx(), keySession, b)
}

// sid is the session's id, "" when nobody's forms would count.
func (h *Handler) sid(v *visit) string {
	switch {
	case !v.signedIn(), v.vouched && v.visitor == "":
		return ""
	case v.vouched:
		return "visitor:" + v.visitor
	}
	return h.session(v).SID
}

// ensureSession gives the local person's own browser its session: there is no sign-in that would.
func (h *Handler) ensureSession(v *visit) error {
	if !v.own || h.session(v).SID != "" {
		return nil
	}
	sid, err := h.random()
	if err != nil {
		return err
	}
	h.putSession(v, session{SID: sid})
	return nil
}

// startSession begins a person's session under a new cookie: whatever id the
// browser had before, somebody else may have put there (session fixation).
func (h *Handler) startSession(v *visit, p vault.Person, until time.Time) error {
	return h.beginSession(v, session{Person: p, Until: until.Unix()})
}

// startCodeSession is startSession for somebody who typed a code.
func (h *Handler) startCodeSession(v *visit, p vault.Person) error {
	err := h.beginSession(v, session{Person: p, Code: true, Until: h.cfg.Now().Add(codeSession).Unix()})
	h.sessions.SetDeadline(v.ctx(), time.Now().Add(codeSession))
	return err
}

func (h *Handler) beginSession(v *visit, s session) error {
	var err error
	if s.SID, err = h.random(); err != nil {
		return err
	}
	if err := h.sessions.RenewToken(v.ctx()); err != nil {
		return fmt.Errorf("renewing session: %w", err)
	}
	s.Seen = h.cfg.Now().Unix()
	h.putSession(v, s)
	v.person = s.Person
	return nil
}

// endSession forgets the session here; the browser's cookie is removed by saveSession.
func (h *Handler) endSession(v *visit) error {
	v.person = vault.Person{}
	return h.sessions.Destroy(v.ctx())
}

// notice is shown once, on the page after a redirect.
func (h *Handler) notice(v *visit, words text) {
	s := h.session(v)
	s.Notice = words
	h.putSession(v, s)
}

func (h *Handler) takeNotice(v *visit) text {
	s := h.session(v)
	if s.Notice == "" || v.r.Method != http.MethodGet {
		return ""
	}
	words := s.Notice
	s.Notice = ""
	h.putSession(v, s)
	return words
}

// saveSession stores what changed and sets the cookie. It runs before an answer's status is written.
func (h *Handler) saveSession(v *visit) error {
	if !v.loaded {
		return nil
	}
	ctx := v.ctx()
	switch h.sessions.Status(ctx) {
	case scs.Modified:
		cookie, until, err := h.sessions.Commit(ctx)
		if err != nil {
			return fmt.Errorf("saving session: %w", err)
		}
		h.sessions.WriteSessionCookie(ctx, v.w, cookie, until)
	case scs.Destroyed:
		h.sessions.WriteSessionCookie(ctx, v.w, "", time.Time{})
	}
	v.w.Header().Set("Cache-Control", "no-store") // scs adds its own
	return nil
}

// recordStore keeps scs sessions in the vault's records: sealed, under the hash of the cookie.
type recordStore struct{ records Records }

var _ scs.CtxStore = (*recordStore)(nil)

// FindCtx answers a session's bytes.
func (s *recordStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	b, err := s.records.Get(ctx, kindSession, token)
	if errors.Is(err, vault.ErrNotFound) {
		return nil, false, nil
	}
	return b, err == nil, err
}

// CommitCtx stores a session until expiry, owned by who signed in, so that it goes when they are deleted.
func (s *recordStore) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	return s.records.Put(ctx, kindSession, token, ownerOf(b), b, time.Until(expiry))
}

// DeleteCtx forgets a session.
func (s *recordStore) DeleteCtx(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	err := s.records.Delete(ctx, kindSession, token)
	if errors.Is(err, vault.ErrNotFound) {
		return nil
	}
	return err
}

// Find is FindCtx for scs's older interface.
func (s *recordStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx for scs's older interface.
func (s *recordStore) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}

// Delete is DeleteCtx for scs's older interface.
func (s *recordStore) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

func ownerOf(b []byte) vault.Caller {
	_, values, err := scs.GobCodec{}.Decode(b)
	if err != nil {
		return vault.Caller{}
	}
	raw, _ := values[keySession].([]byte)
	var s session
	if json.Unmarshal(raw, &s) != nil {
		return vault.Caller{}
	}
	return s.Person.Caller
}
