package accounts_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// browser is one person's: a cookie jar, and whom they sign in as.
type browser struct {
	w    *world
	as   string
	http *http.Client
}

func (w *world) browser(as string) *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w: w, as: as, http: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// page is where a browser is: on a page of ours or the sandbox's, or sent to an application.
type page struct {
	b      *browser
	status int
	header http.Header
	body   string
	url    string
}

func (b *browser) do(method, to, body string) page {
	b.w.t.Helper()
	for range 10 {
		if !strings.HasPrefix(to, b.w.url) && !strings.HasPrefix(to, b.w.boxURL) {
			return page{b: b, url: to}
		}
		r, err := http.NewRequestWithContext(b.w.t.Context(), method, to, strings.NewReader(body))
		if err != nil {
			b.w.t.Fatal(err)
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := b.http.Do(r)
		if err != nil {
			b.w.t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			b.w.t.Fatal(err)
		}
		next := resp.Header.Get("Location")
		if next == "" {
			return page{b: b, status: resp.StatusCode, header: resp.Header, body: string(text), url: to}
		}
		from, _ := url.Parse(to)
		at, err := from.Parse(next)
		if err != nil {
			b.w.t.Fatal(err)
		}
		method, to, body = http.MethodGet, at.String(), ""
	}
	b.w.t.Fatal("redirects without end")
	return page{}
}

func (b *browser) get(to string) page { b.w.t.Helper(); return b.do(http.MethodGet, to, "") }

// signedIn opens a page as somebody who has to sign in for it.
func (b *browser) signedIn(to string) page {
	b.w.t.Helper()
	p := b.get(to)
	if strings.Contains(p.body, "Who are you today?") {
		p = p.click("user", b.as)
	}
	return p
}

// atGoogle signs in, allows here, and is at Google.
func (b *browser) atGoogle(c *connection) page {
	b.w.t.Helper()
	return b.signedIn(c.link()).want(http.StatusOK).press("answer", "allow").want(http.StatusOK).goesOn()
}

// click presses a button of a sandbox page, whose form posts to its own address.
func (p page) click(name, value string) page {
	p.b.w.t.Helper()
	return p.b.do(http.MethodPost, p.url, url.Values{name: {value}}.Encode())
}

var (
	csrf    = regexp.MustCompile(`name="csrf" value="([^"]*)"`)
	forward = regexp.MustCompile(`<meta http-equiv="refresh" content="\d+;url=([^"]*)">`)
	anyTag  = regexp.MustCompile(`<[^>]*>`)
	blanks  = regexp.MustCompile(`\s+`)
)

// press sends the form of one of our pages.
func (p page) press(kv ...string) page {
	p.b.w.t.Helper()
	m := csrf.FindStringSubmatch(p.body)
	if m == nil {
		p.b.w.t.Fatalf("no form on %s: %s", p.url, p.text())
	}
	form := url.Values{"csrf": {html.UnescapeString(m[1])}}
	for i := 0; i+1 < len(kv); i += 2 {
		form.Set(kv[i], kv[i+1])
	}
	return p.b.do(http.MethodPost, p.url, form.Encode())
}

// goesOn follows the page's own way on.
func (p page) goesOn() page {
	p.b.w.t.Helper()
	m := forward.FindStringSubmatch(p.body)
	if m == nil {
		p.b.w.t.Fatalf("%s does not move on: %s", p.url, p.text())
	}
	from, _ := url.Parse(p.url)
	to, err := from.Parse(html.UnescapeString(m[1]))
	if err != nil {
		p.b.w.t.Fatal(err)
	}
	return p.b.get(to.String())
}

// text is what a person reads.
func (p page) text() string {
	plain := anyTag.ReplaceAllString(regexp.MustCompile(`</?(?:strong|bdi)[^>]*>`).ReplaceAllString(p.body, ""), " ")
	return strings.TrimSpace(blanks.ReplaceAllString(html.UnescapeString(plain), " "))
}

func (p page) want(status int, texts ...string) page {
	p.b.w.t.Helper()
	if p.status != status {
		p.b.w.t.Fatalf("%s answered %d, want %d: %s", p.url, p.status, status, p.text())
	}
	for _, s := range texts {
		if !strings.Contains(p.text(), s) {
			p.b.w.t.Errorf("%s does not say %q: %s", p.url, s, p.text())
		}
	}
	return p
}

// atApp is what the browser brings the application that it was sent back to.
func (p page) atApp(t *testing.T) url.Values {
	t.Helper()
	u, err := url.Parse(p.url)
	if err != nil || u.Host != "portal.example.com" || p.status != 0 {
		t.Fatalf("the browser is at %s (%d): %s", p.url, p.status, p.text())
	}
	return u.Query()
}
