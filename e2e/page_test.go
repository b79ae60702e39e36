package e2e_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// page is one answer that the form browser shows.
type page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   string
	Held   *url.URL // the move that the browser was told not to make, if any
	root   *html.Node
}

// form is one form of a page with what a browser would send by default.
type form struct {
	Action  *url.URL
	Method  string
	Values  url.Values
	Buttons []button
}

// button submits a form, with its own name and value.
type button struct{ Text, Name, Value string }

func newPage(t *testing.T, at *url.URL, resp *http.Response, body string) *page {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatalf("reading the page at %s: %v", at, err)
	}
	return &page{URL: at, Status: resp.StatusCode, Header: resp.Header, Body: body, root: root}
}

// text is what a person reads on the page.
func (p *page) text() string { return words(p.root) }

// words joins the visible text below n with single spaces.
func words(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "script" && d.Parent.Data != "style" && d.Parent.Data != "title" {
			out.WriteString(d.Data)
			out.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func value(n *html.Node, name string) string {
	v, _ := attr(n, name)
	return v
}

func (p *page) resolve(ref string) *url.URL {
	u, err := p.URL.Parse(ref)
	if err != nil {
		return p.URL
	}
	return u
}

// forms answers the forms of the page in order.
func (p *page) forms() []form {
	var out []form
	for n := range p.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" {
			out = append(out, p.form(n))
		}
	}
	return out
}

func (p *page) form(n *html.Node) form {
	f := form{Action: p.URL, Method: strings.ToUpper(value(n, "method")), Values: url.Values{}}
	if action := value(n, "action"); action != "" {
		f.Action = p.resolve(action)
	}
	for d := range n.Descendants() {
		if d.Type != html.ElementNode {
			continue
		}
		if _, disabled := attr(d, "disabled"); disabled {
			continue
		}
		f.take(d)
	}
	return f
}

// take adds one control as a browser would: unchecked boxes are left out,
// buttons only count when they are clicked.
func (f *form) take(n *html.Node) {
	name := value(n, "name")
	switch n.Data {
	case "button":
		if kind := value(n, "type"); kind == "" || kind == "submit" {
			f.Buttons = append(f.Buttons, button{Text: words(n), Name: name, Value: value(n, "value")})
		}
	case "textarea":
		f.Values.Add(name, words(n))
	case "select":
		for o := range n.Descendants() {
			if _, selected := attr(o, "selected"); selected && o.Data == "option" {
				f.Values.Add(name, value(o, "value"))
			}
		}
	case "input":
		f.input(n, name)
	}
}

func (f *form) input(n *html.Node, name string) {
	switch value(n, "type") {
	case "submit":
		f.Buttons = append(f.Buttons, button{Text: value(n, "value"), Name: name, Value: value(n, "value")})
	case "checkbox", "radio":
		if _, checked := attr(n, "checked"); !checked {
			return
		}
		on, given := attr(n, "value")
		if !given {
			on = "on"
		}
		f.Values.Add(name, on)
	case "button", "reset", "image", "file":
	default:
		if name != "" {
			f.Values.Add(name, value(n, "value"))
		}
	}
}

// links answers the page's links by their text.
func (p *page) links() map[string]*url.URL {
	out := map[string]*url.URL{}
	for n := range p.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "a" {
			if href, ok := attr(n, "href"); ok {
				out[words(n)] = p.resolve(href)
			}
		}
	}
	return out
}

var refreshURL = regexp.MustCompile(`(?i)^\s*\d+(?:\.\d+)?\s*[;,]\s*url\s*=\s*['"]?([^'"]+)['"]?\s*$`)

// refresh answers where <meta http-equiv=refresh> moves to, if it moves away.
func (p *page) refresh() *url.URL {
	for n := range p.root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "meta" || !strings.EqualFold(value(n, "http-equiv"), "refresh") {
			continue
		}
		if m := refreshURL.FindStringSubmatch(value(n, "content")); m != nil {
			if to := p.resolve(m[1]); to.String() != p.URL.String() {
				return to
			}
		}
	}
	return nil
}

// find answers the form and the button that a person means by text: the exact
// label wins over one that begins with it, and that over one that contains it.
func (p *page) find(text string) (form, button, bool) {
	fits := []func(label string) bool{
		func(label string) bool { return label == text },
		func(label string) bool { return strings.HasPrefix(label, text) },
		func(label string) bool { return strings.Contains(label, text) },
	}
	for _, fit := range fits {
		for _, f := range p.forms() {
			for _, b := range f.Buttons {
				if fit(b.Text) {
					return f, b, true
				}
			}
		}
	}
	return form{}, button{}, false
}
