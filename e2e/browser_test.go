package e2e_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// browser is a person's browser without script: it keeps cookies, follows
// redirects and <meta refresh>, fills in and sends forms. It sends Origin and
// Sec-Fetch-Site as real ones do. Cookies ignore the port, as in real ones.
type browser struct {
	t      *testing.T
	client *http.Client
	hold   string
	seen   []*page // every page and every redirect, for the canary scan
	*page
}

// newBrowser answers one with an empty cookie jar.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: nil}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t: t, client: &http.Client{
		Jar: jar, Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// stopAt makes the browser stand still before it moves to a URL that starts
// with prefix; page.Held is then where it would have gone. "" is never.
func (b *browser) stopAt(prefix string) *browser {
	b.hold = prefix
	return b
}

// open goes to a URL, as if it had been typed in.
func (b *browser) open(link string) *page {
	b.t.Helper()
	return b.move(http.MethodGet, b.parse(link), nil, nil)
}

// click presses the button, or follows the link, that reads text. fill sets
// fields of the button's form before, as pairs of name and value.
func (b *browser) click(text string, fill ...string) *page {
	b.t.Helper()
	if b.page == nil {
		b.t.Fatalf("there is no page to click %q on", text)
	}
	f, pressed, ok := b.page.find(text)
	if !ok {
		for label, to := range b.page.links() {
			if strings.Contains(label, text) {
				return b.move(http.MethodGet, to, nil, b.page.URL)
			}
		}
		b.t.Fatalf("no button or link reads %q at %s (%d):\n%s", text, b.page.URL, b.page.Status, b.page.text())
	}
	for i := 0; i+1 < len(fill); i += 2 {
		f.Values.Set(fill[i], fill[i+1])
	}
	if pressed.Name != "" {
		f.Values.Add(pressed.Name, pressed.Value)
	}
	return b.submit(f)
}

// submit sends a form as it stands.
func (b *browser) submit(f form) *page {
	b.t.Helper()
	if f.Method == http.MethodPost {
		return b.move(http.MethodPost, f.Action, f.Values, b.page.URL)
	}
	to := *f.Action
	to.RawQuery = f.Values.Encode()
	return b.move(http.MethodGet, &to, nil, b.page.URL)
}

// move makes one request and then every move that the answers ask for.
func (b *browser) move(method string, to *url.URL, values url.Values, from *url.URL) *page {
	b.t.Helper()
	for range 30 {
		if b.hold != "" && strings.HasPrefix(to.String(), b.hold) && method == http.MethodGet {
			if b.page == nil {
				b.page = &page{URL: to}
			}
			b.page.Held = to
			return b.page
		}
		resp, body := b.request(method, to, values, from)
		b.page = newPage(b.t, to, resp, body)
		b.seen = append(b.seen, b.page)
		next := b.next(resp)
		if next == nil {
			return b.page
		}
		if resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect {
			method, values = http.MethodGet, nil
		}
		from, to = to, next
	}
	b.t.Fatalf("the pages go round in circles; the last was %s", to)
	return nil
}

func (b *browser) next(resp *http.Response) *url.URL {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		if location := resp.Header.Get("Location"); location != "" {
			return b.page.resolve(location)
		}
		return nil
	}
	return b.page.refresh()
}

func (b *browser) request(method string, to *url.URL, values url.Values, from *url.URL) (*http.Response, string) {
	b.t.Helper()
	var body io.Reader
	if values != nil {
		body = strings.NewReader(values.Encode())
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, to.String(), body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Site", fetchSite(from, to))
	if values != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if from != nil {
			req.Header.Set("Origin", from.Scheme+"://"+from.Host)
		}
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, to, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, to, err)
	}
	return resp, string(text)
}

// fetchSite is Sec-Fetch-Site as a browser computes it: the port makes
// another origin, not another site.
func fetchSite(from, to *url.URL) string {
	switch {
	case from == nil:
		return "none"
	case from.Scheme == to.Scheme && from.Host == to.Host:
		return "same-origin"
	case from.Scheme == to.Scheme && from.Hostname() == to.Hostname():
		return "same-site"
	}
	return "cross-site"
}

func (b *browser) parse(link string) *url.URL {
	b.t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		b.t.Fatalf("reading the link %q: %v", link, err)
	}
	return u
}

// expect fails the test unless the page has this status and shows text.
func (b *browser) expect(status int, text string) *page {
	b.t.Helper()
	if b.page.Status != status || !strings.Contains(b.page.text(), text) {
		b.t.Fatalf("%s answered %d, want %d and %q:\n%s", b.page.URL, b.page.Status, status, text, b.page.text())
	}
	return b.page
}

// signInAtIssuer goes through oidc-provider's own pages as NAME, as far as
// they are shown.
func (b *browser) signInAtIssuer(name string) *page {
	b.t.Helper()
	if _, _, ok := b.page.find("Sign-in"); ok {
		b.click("Sign-in", "login", name, "password", "any")
	}
	if _, _, ok := b.page.find("Continue"); ok {
		b.click("Continue")
	}
	return b.page
}
