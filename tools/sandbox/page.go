package sandbox

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
)

const pageText = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{.Title}} · sandbox</title>
<style>
:root{--brand:{{.Color}};color-scheme:light dark}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:light-dark(#f3f4f6,#15171c);color:light-dark(#1f2430,#e6e8ee);font:16px/1.5 system-ui,sans-serif}
main{width:100%;max-width:{{if .Text}}46rem{{else}}27rem{{end}};background:light-dark(#fff,#1f232b);border-radius:14px;border-top:6px solid var(--brand);padding:1.75rem;box-shadow:0 8px 30px rgb(0 0 0/.12)}
.tag{display:inline-block;background:#fde68a;color:#713f12;border-radius:99px;padding:.1rem .7rem;font-size:.8rem;font-weight:600}
h1{font-size:1.3rem;line-height:1.3;margin:.8rem 0 .4rem}
p{margin:.4rem 0}
ul{margin:.6rem 0 1rem;padding-left:1.2rem}
code{font-size:.85rem;overflow-wrap:anywhere}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85rem}
form{display:grid;gap:.6rem;margin-top:1.2rem}
button{font:inherit;font-weight:600;padding:.65rem 1rem;border-radius:9px;border:1px solid var(--brand);background:var(--brand);color:#fff;cursor:pointer}
button.quiet{background:none;color:inherit;border-color:light-dark(#c6cad3,#4a505c)}
button:focus-visible{outline:3px solid #f59e0b;outline-offset:2px}
small{color:light-dark(#5b6270,#a5acba)}
</style></head><body><main>
<span class="tag">sandbox</span>
<h1>{{.Heading}}</h1>
<p>{{.Lead}}</p>
{{with .Scopes}}<ul>{{range .}}<li><code>{{.}}</code></li>{{end}}</ul>{{end}}
{{with .Text}}<pre>{{.}}</pre>{{end}}
{{with .Buttons}}<form method="post">{{range .}}
<button name="{{.Name}}" value="{{.Value}}"{{if eq .Name "answer"}} class="quiet"{{end}}>{{.Label}}</button>{{end}}
</form>{{end}}
<p><small>This is Grantry's sandbox, not {{.Real}}: invented people, invented data, nothing leaves this machine.</small></p>
</main></body></html>
`

// page is what the one template shows: a question with buttons, an error, or a text.
type page struct {
	Title, Heading, Lead, Text, Real string
	Color                            template.CSS
	Scopes                           []string
	Buttons                          []button
}

type button struct{ Name, Value, Label string }

func parsePages() (*template.Template, error) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("reading the sandbox's page: %w", err)
	}
	return t, nil
}

func (s *Sandbox) show(w http.ResponseWriter, status int, vendor string, p page) {
	p.Color = brand(vendor)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	// No form-action: Chrome holds it against the redirect after the POST, too.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	if err := s.pages.Execute(w, p); err != nil {
		s.cfg.Logger.Debug("page not delivered", "vendor", vendor, "error", err)
	}
}

func (s *Sandbox) consentPage(w http.ResponseWriter, f front, c client, a ask) {
	p := page{
		Title: f.title, Real: f.title, Heading: c.Name + " wants to use your " + f.title + " account",
		Lead: "It asks for:", Scopes: slices.Concat(a.bot, a.scopes),
	}
	if f.vendor == issuer {
		p.Heading, p.Lead, p.Real = "Sign in to continue to "+c.Name, "Who are you today?", "a real identity provider"
	}
	for _, who := range people() {
		p.Buttons = append(p.Buttons, button{Name: "user", Value: who.name, Label: f.verb + " " + who.name})
	}
	if f.decline {
		p.Buttons = append(p.Buttons, button{Name: "answer", Value: "decline", Label: "Decline"})
	}
	s.show(w, http.StatusOK, f.vendor, p)
}

func (s *Sandbox) errorPage(w http.ResponseWriter, f front, status int, code, text string) {
	s.show(w, status, f.vendor, page{
		Title: f.title, Real: f.title, Heading: "This request cannot go on", Lead: fmt.Sprintf("Error %d: %s. %s", status, code, text),
	})
}

func brand(vendor string) template.CSS {
	switch vendor {
	case google:
		return "#1a73e8"
	case slack:
		return "#611f69"
	case salesforce:
		return "#0176d3"
	}
	return "#0f766e"
}
