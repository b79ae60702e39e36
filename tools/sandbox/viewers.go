package sandbox

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// mountViewers serves the links that stand in answers (webViewLink, htmlLink, permalink), so that a person
// who follows one sees what it names. All of it is invented, so it is shown to anybody on this machine.
func (s *Sandbox) mountViewers(mux *http.ServeMux) {
	mux.HandleFunc("GET /google/file/d/{id}/view", s.viewFile)
	mux.HandleFunc("GET /google/calendar/event", s.viewEvent)
	mux.HandleFunc("GET /slack/archives/{channel}/{ts}", s.viewMessage)
}

func (s *Sandbox) viewFile(w http.ResponseWriter, r *http.Request) {
	for _, f := range s.files() {
		if f.id == r.PathValue("id") {
			s.show(w, http.StatusOK, google, page{Title: f.name, Real: "Google Drive", Heading: f.name, Lead: "Owner: " + f.owner, Text: f.indexed()})
			return
		}
	}
	http.NotFound(w, r)
}

func (s *Sandbox) viewEvent(w http.ResponseWriter, r *http.Request) {
	plain, _ := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("eid"))
	id, calendarID, _ := strings.Cut(string(plain), " ")
	for _, p := range people() {
		cal, found := findCalendar(p, calendarID)
		if !found {
			continue
		}
		for _, e := range append(s.events(p, cal, true), s.events(p, cal, false)...) {
			if e.body["id"] == id {
				title, _ := e.body["summary"].(string)
				about, _ := e.body["description"].(string)
				s.show(w, http.StatusOK, google, page{Title: title, Real: "Google Calendar", Heading: title, Lead: e.start.Format(time.RFC1123), Text: about})
				return
			}
		}
	}
	http.NotFound(w, r)
}

func (s *Sandbox) viewMessage(w http.ResponseWriter, r *http.Request) {
	ts := strings.TrimPrefix(r.PathValue("ts"), "p")
	for _, m := range s.messages(r.PathValue("channel")) {
		if strings.Replace(m.TS, ".", "", 1) != ts {
			continue
		}
		author := "Grantry"
		for _, p := range people() {
			if p.slackID == m.User {
				author = p.full()
			}
		}
		for _, ch := range channels() {
			if ch.id == m.Channel {
				s.show(w, http.StatusOK, slack, page{Title: "#" + ch.name, Real: "Slack", Heading: "#" + ch.name, Lead: author + " wrote:", Text: m.Text})
				return
			}
		}
	}
	http.NotFound(w, r)
}
