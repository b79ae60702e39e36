package e2e_test

import (
	"net/http"
	"strings"
)

// The buttons of the pages that a person may meet on the way, each of which
// shows at most one of them: our consent page's Allow is found by its value
// (DESIGN 4), the others by what they read.
const (
	sandboxSignIn = "Sign in as "
	sandboxAllow  = "Allow as "
	opSignIn      = "Sign-in"
	opContinue    = "Continue"
)

// consent does what a willing person does with a link: sign in as who where
// that is asked, allow on our page, allow at the vendor. It stops on the
// first page that asks for nothing more.
func (b *browser) consent(link, who string) *page {
	b.t.Helper()
	b.open(link)
	return b.goOn(who)
}

// goOn answers pages until one asks for nothing more.
func (b *browser) goOn(who string) *page {
	b.t.Helper()
	for range 12 {
		if b.page.Held != nil || !b.step(who) {
			return b.page
		}
	}
	b.t.Fatalf("the person is asked again and again; the last page was %s:\n%s", b.page.URL, b.page.text())
	return nil
}

// step answers one page, and says false when there was nothing to answer.
func (b *browser) step(who string) bool {
	b.t.Helper()
	if b.page.Status >= http.StatusBadRequest {
		return false
	}
	if f, ok := b.page.answerForm("allow"); ok {
		b.submit(f)
		return true
	}
	for _, label := range []string{sandboxSignIn + who, sandboxAllow + who, who + "@example.com", opContinue} {
		if _, _, ok := b.page.find(label); ok {
			b.click(label)
			return true
		}
	}
	if _, _, ok := b.page.find(opSignIn); ok {
		b.click(opSignIn, "login", who, "password", "any")
		return true
	}
	return false
}

// answerForm finds our consent form's button for this answer (allow, once or
// decline) and answers the form as that button sends it.
func (p *page) answerForm(answer string) (form, bool) {
	if !strings.HasPrefix(p.URL.Path, "/consent/") {
		return form{}, false
	}
	for _, f := range p.forms() {
		for _, b := range f.Buttons {
			if b.Name == "answer" && b.Value == answer {
				f.Values.Add("answer", answer)
				return f, true
			}
		}
	}
	return form{}, false
}

// press answers our consent page: allow, once or decline.
func (b *browser) press(answer string) *page {
	b.t.Helper()
	f, ok := b.page.answerForm(answer)
	if !ok {
		b.t.Fatalf("%s (%d) offers no answer=%s:\n%s", b.page.URL, b.page.Status, answer, b.page.text())
	}
	return b.submit(f)
}

// asks says whether the browser stands on our consent page.
func (b *browser) asks() bool {
	_, ok := b.page.answerForm("allow")
	return ok && b.page.Status == http.StatusOK
}

// signInOnly opens link and signs in as who, up to the consent page.
func (b *browser) signInOnly(link, who string) *page {
	b.t.Helper()
	b.open(link)
	for range 6 {
		if _, ok := b.page.answerForm("allow"); ok || !b.step(who) {
			return b.page
		}
	}
	return b.page
}
