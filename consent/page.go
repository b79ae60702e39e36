package consent

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed templates
var files embed.FS

// pages are the parsed templates, and the style sheet with the hash by which the policy lets it in.
type pages struct {
	byName    map[string]*template.Template
	style     template.CSS
	styleHash string
}

func parsePages() (*pages, error) {
	css, err := files.ReadFile("templates/style.css")
	if err != nil {
		return nil, fmt.Errorf("reading style sheet: %w", err)
	}
	sum := sha256.Sum256(css)
	p := &pages{
		byName: map[string]*template.Template{}, style: template.CSS(css),
		styleHash: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
	}
	for _, name := range []string{"ticket", "next", "message", "connections"} {
		t, err := template.ParseFS(files, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("parsing page %s: %w", name, err)
		}
		p.byName[name] = t
	}
	return p, nil
}

// frame is what surrounds every page.
type frame struct {
	Title   string
	Style   template.CSS
	Who     string // signed-in person, "" when nobody is
	SignOut bool
	Sandbox bool
	Machine string
	Refresh string // the vendor's address that the page moves on to
	Body    any
}

// render answers with a page. The session is saved first: its cookie is a header.
func (h *Handler) render(v *visit, status int, name string, f frame) {
	f.Style, f.Sandbox, f.Machine = h.pages.style, h.cfg.Sandbox, h.cfg.Machine
	if v.signedIn() {
		f.Who, f.SignOut = shown(v.person.Label(), 60), h.issuer != nil
	}
	var page bytes.Buffer
	if err := h.pages.byName[name].ExecuteTemplate(&page, "layout", f); err != nil {
		h.cfg.Logger.Error("page not made", "page", name, "error", err)
		http.Error(v.w, "This page is broken. The log says why.", http.StatusInternalServerError)
		return
	}
	if !h.saved(v) {
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = v.w.Write(page.Bytes()) // the browser went away
	}
}

// redirect sends the browser to a path of ours, or to the issuer.
func (h *Handler) redirect(v *visit, to string) {
	if !h.saved(v) {
		return
	}
	v.w.Header().Set("Location", to)
	v.w.WriteHeader(http.StatusSeeOther)
}

func (h *Handler) saved(v *visit) bool {
	if err := h.saveSession(v); err != nil {
		h.cfg.Logger.Error("session not saved", "error", err)
		http.Error(v.w, "Grantry could not save your session. Its log says why; try again in a moment.", http.StatusInternalServerError)
		return false
	}
	return true
}

// tone colours a message.
type tone string

const (
	toneGood  tone = "good"
	toneBad   tone = "bad"
	tonePlain tone = ""
)

// message is a page of a few sentences with what to do next.
type message struct {
	Status int
	Tone   tone
	Title  string
	Text   []string
	Facts  []fact
	Links  []link
	Button *button
}

// fact is a labelled value.
type fact struct{ Name, Value string }

// link is a way on by GET.
type link struct {
	Text, To string
	Primary  bool
}

// button is a way on by POST.
type button struct {
	Text, To, CSRF string
	Fields         []fact
}

func (h *Handler) message(v *visit, m message) {
	h.render(v, m.Status, "message", frame{Title: m.Title, Body: m})
}

func brokenMessage() message {
	return message{
		Status: http.StatusInternalServerError, Tone: toneBad, Title: "Something went wrong here",
		Text: []string{"Grantry could not reach its vault. Nothing was connected or changed; its log says why.", "Wait a moment and reload this page."},
	}
}

// broken answers 500 and logs the cause, which never holds a secret.
func (h *Handler) broken(v *visit, doing string, err error) {
	h.cfg.Logger.Error("page failed", "doing", doing, "caller", h.cfg.Vault.Pseudonym(v.person.Caller), "error", err)
	h.message(v, brokenMessage())
}

func (h *Handler) notFound(v *visit) {
	h.message(v, message{
		Status: http.StatusNotFound, Title: "There is nothing here",
		Text:  []string{"This link is not one of ours, or it was cut off when it was copied. Ask for a new one where you found it."},
		Links: []link{{Text: "Your connections", To: "/connections"}},
	})
}
