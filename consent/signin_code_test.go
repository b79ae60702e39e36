package consent_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/consent"
)

// strangers makes it a local vault whose browsers the system cannot tell.
func strangers(w *world) {
	local(w)
	w.cfg.Peer = func(*http.Request) error { return consent.ErrPeerUnknown }
}

func (w *world) signInCode() consent.SignInCode {
	w.t.Helper()
	c, err := consent.NewSignInCode(w.t.Context(), w.vault, w.records, *w.cfg.Local)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// askedFor opens a page in a browser that nobody knows: it waits for the code.
func (b *browser) askedFor(to string) page {
	b.w.t.Helper()
	return b.get(to).want(b.w.t, http.StatusOK, "grantry signin", "Code from your terminal").without(b.w.t, "alice", "Claude")
}

// typeCode types a code into the page that waits.
func (b *browser) typeCode(p page, code string) page {
	b.w.t.Helper()
	return b.post(strings.TrimPrefix(p.url, b.w.url), p, "code", code)
}

// TestSignInByCode holds R02 on a vault of one person: a browser that the system
// cannot tell waits for a code, goes on with it to the request that it came for,
// and finishes the whole flow; a code counts once.
func TestSignInByCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strangers)
	h := w.vault.add(w.request("alice"))
	b := w.browser("alice")
	p := b.askedFor("/consent/" + h)
	code := w.signInCode()
	p = b.follow(b.typeCode(p, strings.ToLower(strings.ReplaceAll(code.Code, "-", " "))).want(t, http.StatusSeeOther)).
		want(t, http.StatusOK, "Claude Code wants to", "alice@example.com")
	p = b.post("/consent/"+h, p, "answer", "allow").want(t, http.StatusOK)
	b.get(callbackOf(t, p)).want(t, http.StatusOK, "Google is connected")

	other := w.browser("mallory")
	other.typeCode(other.askedFor("/connections"), code.Code).want(t, http.StatusForbidden, "used already")
	other.once("/connections").want(t, http.StatusSeeOther)
	got := w.vault.kind("person.signed_in")
	if len(got) != 1 || got[0].Caller != w.owner("alice").Caller || got[0].Reason != "code" {
		t.Errorf("audited %+v", got)
	}
	if refused := w.vault.kind("signin.refused"); len(refused) != 1 || refused[0].Reason != "code" {
		t.Errorf("audited %+v", refused)
	}
	b.post("/signout", b.get("/signout").want(t, http.StatusOK, "Sign out of this vault?")).want(t, http.StatusOK, "You are signed out")
	b.askedFor("/connections")
}

// TestSignInLink: looking at a one-time link takes nothing (R05); its button
// signs in this browser, once, and its code is over with it. The page says whose vault that is.
func TestSignInLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strangers)
	code := w.signInCode()
	b := w.browser("alice")
	for range 50 {
		if p := w.browser("preview").do(http.MethodHead, code.Path, nil); p.status != http.StatusNoContent {
			t.Fatalf("HEAD answered %d", p.status)
		}
		b.once(code.Path).want(t, http.StatusOK, "Sign in to alice@example.com’s vault", "testbox")
	}
	puts := w.records.count()
	p := b.once(code.Path)
	if w.records.count() != puts || len(w.vault.entries) != 0 {
		t.Error("looking changed something")
	}
	thief := w.browser("mallory")
	thief.post(code.Path, p).want(t, http.StatusForbidden, "open for too long")
	b.follow(b.post(code.Path, p).want(t, http.StatusSeeOther)).want(t, http.StatusOK, "alice@example.com", "Connections")
	thief.once(code.Path).want(t, http.StatusGone, "This link is over", "grantry signin").without(t, "alice")
	thief.typeCode(thief.askedFor("/connections"), code.Code).want(t, http.StatusForbidden, "wrong")
	b.once(code.Path).want(t, http.StatusOK, "signed in already")
	for _, path := range []string{"/signin/none", "/signin/" + strings.Repeat("a", 43)} {
		thief.once(path).want(t, http.StatusGone)
	}
	// the code itself in the link's place is filled in, and looked up only when the button is pressed
	second := w.signInCode()
	filled := thief.once("/signin/"+second.Code).want(t, http.StatusOK, "Code from your terminal")
	thief.follow(thief.typeCode(filled, second.Code)).want(t, http.StatusOK, "alice@example.com")
}

// A code's sign-in takes its link with it, both end after five minutes, and what is no code is not looked up.
func TestSignInCodeEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strangers)
	b := w.browser("alice")
	p := b.askedFor("/connections")
	for _, bad := range []string{"", "BCDF", "BCDF-GHJKL", "AEIO-UAEI", "bcdf-ghj1", "<b>"} {
		b.typeCode(p, bad).want(t, http.StatusBadRequest, "That is no code")
	}
	first, second := w.signInCode(), w.signInCode()
	w.clock.advance(5*time.Minute + time.Second)
	b.typeCode(p, first.Code).want(t, http.StatusForbidden, "older than five minutes")
	b.once(second.Path).want(t, http.StatusGone)
	third := w.signInCode()
	b.typeCode(p, third.Code).want(t, http.StatusSeeOther)
	w.browser("other").once(third.Path).want(t, http.StatusGone)
}

// Of two browsers that take the same code at the same time, one gets in.
func TestSignInCodeOnce(t *testing.T) {
	t.Parallel()
	alice := person("local:v1", "alice")
	r := newReal(t, func(c *consent.Config) { c.Local, c.SignIn = &alice, nil })
	code, err := consent.NewSignInCode(t.Context(), r.keep, r.keep.Records(), alice)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var posts []func()
	in := make(chan int, 4)
	for i := range cap(in) {
		b := r.browser("alice")
		p, to := b.askedFor("/connections"), code.Path
		if i%2 == 0 {
			p = b.once(code.Path)
		} else {
			to = strings.TrimPrefix(p.url, r.url)
		}
		posts = append(posts, func() { in <- b.post(to, p, "code", code.Code).status })
	}
	for _, post := range posts {
		wg.Go(post)
	}
	wg.Wait()
	close(in)
	n := 0
	for status := range in {
		if status == http.StatusSeeOther {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d browsers got in with one code", n)
	}
}

// TestWrongCodes: after five wrong codes from one place in ten minutes none is
// looked at any more, right or wrong, in however many browsers; the link still
// works, because nobody can guess it. From all places together there are fifty.
func TestWrongCodes(t *testing.T) {
	t.Parallel()
	place := "192.0.2.1:1000"
	w := newWorld(t, strangers)
	w.front = func(r *http.Request) { r.RemoteAddr = place }
	b := w.browser("alice")
	p := b.askedFor("/connections")
	code := w.signInCode()
	for range 5 {
		b.typeCode(p, "BBBB-BBBB").want(t, http.StatusForbidden, "wrong")
	}
	b.typeCode(p, code.Code).want(t, http.StatusTooManyRequests, "Too many wrong codes", "in 10 minutes")
	other := w.browser("alice")
	other.typeCode(other.askedFor("/connections"), code.Code).want(t, http.StatusTooManyRequests)
	b.post(code.Path, b.once(code.Path)).want(t, http.StatusSeeOther)

	for _, next := range []string{"[2001:db8::1]:1", "[2001:db8::2:1]:1", "[2001:db8:0:0:1::1]:1", "[2001:db8::4]:1", "[2001:db8::5]:1"} {
		place = next
		other.typeCode(other.askedFor("/connections"), "BBBB-BBBB").want(t, http.StatusForbidden)
	}
	place = "[2001:db8::6]:1" // the same household
	other.typeCode(other.askedFor("/connections"), "BBBB-BBBB").want(t, http.StatusTooManyRequests)
	for i := range 40 {
		place = "192.0.2." + string(rune('2'+i/5)) + ":1"
		other.typeCode(other.askedFor("/connections"), "BBBB-BBBB").want(t, http.StatusForbidden)
	}
	place = "192.0.2.99:1"
	fresh := w.signInCode()
	other.typeCode(other.askedFor("/connections"), fresh.Code).want(t, http.StatusTooManyRequests)
	w.clock.advance(10 * time.Minute)
	other.typeCode(other.askedFor("/connections"), w.signInCode().Code).want(t, http.StatusSeeOther)
}

// A session that a code began lasts thirty days from its last use, and is
// worth nothing to a vault of another person, or where people sign in at an issuer.
func TestCodeSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strangers)
	b := w.browser("alice")
	b.typeCode(b.askedFor("/connections"), w.signInCode().Code).want(t, http.StatusSeeOther)
	for range 3 {
		w.clock.advance(29 * 24 * time.Hour)
		b.once("/connections").want(t, http.StatusOK)
	}
	w.clock.advance(30*24*time.Hour + time.Second)
	b.once("/connections").want(t, http.StatusSeeOther)

	b.typeCode(b.askedFor("/connections"), w.signInCode().Code).want(t, http.StatusSeeOther)
	bob, alice := person("local:v1", "bob"), *w.cfg.Local
	for _, change := range []func(c *consent.Config){
		func(c *consent.Config) { c.Local = &bob },
		func(c *consent.Config) { c.Local, c.SignIn = nil, w.signIn },
	} {
		cfg := w.cfg
		change(&cfg)
		w.mount(cfg)
		b.once("/connections").want(t, http.StatusSeeOther)
	}
	w.cfg.Local = &alice
	w.mount(w.cfg)
	b.once("/connections").want(t, http.StatusOK)
}

// TestSignInPlanting holds R02 for codes: a form from another site signs nobody
// in, and a cookie that somebody planted is not the session's afterwards.
func TestSignInPlanting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strangers, withTLS)
	b := w.browser("alice")
	p := b.askedFor("/connections")
	code := w.signInCode()
	for _, head := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://evil.example"}}} {
		b.head = head
		b.typeCode(p, code.Code).want(t, http.StatusForbidden)
		b.post(code.Path, p).want(t, http.StatusForbidden)
	}
	b.head = http.Header{}
	mallory := w.browser("mallory")
	theirs := mallory.askedFor("/connections")
	b.post("/signin", theirs, "code", code.Code).want(t, http.StatusForbidden, "open for too long")
	at, _ := url.Parse(w.url)
	b.http.Jar.SetCookies(at, []*http.Cookie{{Name: "__Host-grantry_session", Value: "planted-by-somebody", Path: "/", Secure: true}})
	b.typeCode(p, code.Code).want(t, http.StatusSeeOther)
	cookies := b.http.Jar.Cookies(at)
	if got := value(cookies, "__Host-grantry_session"); got == "planted-by-somebody" || got == "" {
		t.Errorf("the session's cookie is %q", got)
	}
	for _, c := range cookies {
		if !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("cookie %s", c.Name)
		}
	}
}

// A vault without a peer check asks every browser for a code, and an issuer's vault none.
func TestWhoNeedsACode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, local, func(w *world) { w.cfg.Peer = nil })
	w.browser("alice").askedFor("/connections")
	issuer := newWorld(t)
	b := issuer.browser("alice")
	for _, path := range []string{"/signin/" + strings.Repeat("a", 43), "/signin/BCDF-GHJK"} {
		b.once(path).want(t, http.StatusNotFound)
	}
	b.do(http.MethodPost, "/signin", strings.NewReader("code=BCDF-GHJK")).want(t, http.StatusNotFound)
	own := newWorld(t, local)
	own.browser("alice").get("/signin").want(t, http.StatusOK, "Connections")
	if len(own.vault.kind("person.signed_in")) != 0 {
		t.Error("somebody signed in")
	}
}
