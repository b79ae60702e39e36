package consent

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed templates
var files embed.FS

//go:embed messages.txt
var messageFile string

// pages are the parsed templates with their words, style sheet and icon.
type pages struct {
	messages
	byName map[string]*template.Template
	assets map[string]asset
}

func parsePages() (*pages, error) {
	words, err := parseMessages(messageFile)
	if err != nil {
		return nil, err
	}
	p := &pages{messages: words, byName: map[string]*template.Template{}, assets: map[string]asset{}}
	for name, contentType := range map[string]string{"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"} {
		body, err := files.ReadFile("templates/" + name)
		if err != nil {
			return nil, fmt.Errorf("reading asset: %w", err)
		}
		p.assets[name] = newAsset(string(body), contentType)
	}
	funcs := template.FuncMap{"say": p.say, "bare": bare, "asset": p.assetURL, "of": optionOf}
	for _, name := range []string{"ticket", "client", "held", "embedded", "next", "message", "connections", "agents", "activity", "code"} {
		t, err := template.New(name).Funcs(funcs).ParseFS(files, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("parsing page %s: %w", name, err)
		}
		p.byName[name] = t
	}
	return p, nil
}

// frame is what surrounds every page.
type frame struct {
	Title   text
	Page    string // name of its template
	Who     string // signed-in person, "" when nobody is
	SignOut bool
	Sandbox bool
	Machine string
	Refresh string // the vendor's address that the page moves on to
	Body    any
}

// render answers with a page. The session is saved first: its cookie is a header.
func (h *Handler) render(v *visit, status int, name string, f frame) {
	f.Page, f.Sandbox, f.Machine = name, h.cfg.Sandbox, h.cfg.Machine
	if v.signedIn() && !v.vouched {
		f.Who, f.SignOut = shown(v.person.Label(), 60), !v.own
	}
	var page bytes.Buffer
	if err := h.pages.byName[name].ExecuteTemplate(&page, "layout", f); err != nil {
		h.cfg.Logger.Error("page not made", "page", name, "error", err)
		http.Error(v.w, bare(h.pages.say("broken.page")), http.StatusInternalServerError)
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
		http.Error(v.w, bare(h.pages.say("broken.session")), http.StatusInternalServerError)
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
	Title  text
	Text   []text
	// Owner and Machine say whose vault it is, where something came into it.
	Owner, Machine string
	Facts          []fact
	Links          []link
	Button         *button
}

// fact is a labelled value.
type fact struct {
	Name  text
	Value string // from outside
}

// link is a way on by GET.
type link struct {
	Text    text
	To      string
	Primary bool
}

// button is a way on by POST.
type button struct {
	Text     text
	To, CSRF string
	Fields   []field
	Aside    bool // not what most people want here
}

// field is a hidden value of a form.
type field struct{ Name, Value string }

// say is a message of the message file.
func (h *Handler) say(key string, values ...any) text { return h.pages.say(key, values...) }

// tell is a message page of the message file.
func (h *Handler) tell(status int, tone tone, key string, values ...any) message {
	return h.pages.tell(status, tone, key, values...)
}

// toConnections is the link that most pages end with.
func (h *Handler) toConnections() link { return link{Text: h.say("words.connections"), To: home} }

func (h *Handler) message(v *visit, m message) {
	h.render(v, m.Status, "message", frame{Title: m.Title, Body: m})
}

func (h *Handler) brokenMessage() message {
	return h.tell(http.StatusInternalServerError, toneBad, "broken")
}

// broken answers 500 and logs the cause, which never holds a secret.
func (h *Handler) broken(v *visit, doing string, err error) {
	h.cfg.Logger.Error("page failed", "doing", doing, "caller", h.cfg.Vault.Pseudonym(v.person.Caller), "error", err)
	h.message(v, h.brokenMessage())
}

func (h *Handler) notFound(v *visit) {
	m := h.tell(http.StatusNotFound, tonePlain, "nothing")
	m.Links = []link{h.toConnections()}
	h.message(v, m)
}
