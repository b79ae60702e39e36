package sandbox

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// mountCalendar adds the Calendar v3 methods that our tools call. Scopes: the discovery document's, any of.
func (s *Sandbox) mountCalendar(mux *http.ServeMux) {
	const service = "calendar-json.googleapis.com"
	s.route(mux, google, "api", "GET /google/calendar/v3/calendars/{calendar}/events", s.googleAPI(googleMethod{
		service, "calendar.v3.Events.List",
		[]string{"calendar.events.readonly", "calendar.readonly", "calendar.events", "calendar"},
		s.listEvents,
	}))
	s.route(mux, google, "api", "GET /google/calendar/v3/users/me/calendarList", s.googleAPI(googleMethod{
		service, "calendar.v3.CalendarList.List",
		[]string{"calendar.calendarlist.readonly", "calendar.readonly", "calendar.calendarlist", "calendar"},
		s.listCalendars,
	}))
}

func (s *Sandbox) listCalendars(w http.ResponseWriter, r *http.Request, _ token, p person) {
	all := calendars(p)
	from, to, next, bad := window(r, len(all), "maxResults", 100, 250)
	if bad != "" {
		googleError(w, http.StatusBadRequest, "invalid", bad)
		return
	}
	items := []reply{}
	for _, c := range all[from:to] {
		item := reply{
			"kind": "calendar#calendarListEntry", "id": c.id, "summary": c.title, "timeZone": "UTC",
			"accessRole": c.role, "selected": true,
		}
		if c.primary {
			item["primary"] = true
		}
		items = append(items, item)
	}
	out := reply{"kind": "calendar#calendarList", "etag": `"sbx"`, "items": items}
	if next != "" {
		out["nextPageToken"] = next
	}
	writeJSON(w, http.StatusOK, out)
}

// period is what part of a calendar a request asks for.
type period struct {
	min, max        time.Time // zero: open
	single, ordered bool
	words           []string
}

func readPeriod(r *http.Request) (p period, bad string) {
	q := r.URL.Query()
	for _, at := range []struct {
		name string
		into *time.Time
	}{{"timeMin", &p.min}, {"timeMax", &p.max}} {
		if raw := q.Get(at.name); raw != "" {
			var err error
			if *at.into, err = time.Parse(time.RFC3339, raw); err != nil {
				return p, "Bad Request: " + at.name + " must be an RFC3339 timestamp with mandatory time zone offset."
			}
		}
	}
	p.single = q.Get("singleEvents") == "true"
	p.ordered = q.Get("orderBy") == "startTime"
	p.words = words(q.Get("q"))
	switch {
	case !p.min.IsZero() && !p.max.IsZero() && !p.max.After(p.min):
		return p, "The specified time range is empty."
	case p.ordered && !p.single:
		return p, "The requested ordering is not available for the particular query."
	case !slices.Contains([]string{"", "startTime", "updated"}, q.Get("orderBy")):
		return p, "Invalid value '" + q.Get("orderBy") + "' for orderBy."
	}
	return p, ""
}

// holds applies timeMin (exclusive, on the end), timeMax (exclusive, on the start) and q.
func (p period) holds(e event) bool {
	if !p.min.IsZero() && !e.end.After(p.min) || !p.max.IsZero() && !e.start.Before(p.max) {
		return false
	}
	text := words(e.text)
	return !slices.ContainsFunc(p.words, func(w string) bool { return !slices.Contains(text, w) })
}

func (s *Sandbox) listEvents(w http.ResponseWriter, r *http.Request, _ token, p person) {
	cal, found := findCalendar(p, r.PathValue("calendar"))
	if !found {
		googleError(w, http.StatusNotFound, "notFound", "Not Found")
		return
	}
	asked, bad := readPeriod(r)
	if bad != "" {
		googleError(w, http.StatusBadRequest, "badRequest", bad)
		return
	}
	var hits []event
	for _, e := range s.events(p, cal, asked.single) {
		if asked.holds(e) {
			hits = append(hits, e)
		}
	}
	from, to, next, bad := window(r, len(hits), "maxResults", 250, 2500)
	if bad != "" {
		googleError(w, http.StatusBadRequest, "invalid", bad)
		return
	}
	items := []reply{}
	for _, e := range hits[from:to] {
		items = append(items, e.body)
	}
	out := reply{
		"kind": "calendar#events", "etag": `"sbx"`, "summary": cal.title, "timeZone": "UTC", "accessRole": cal.role,
		"updated": s.cfg.Now().UTC().Format(time.RFC3339), "defaultReminders": []reply{}, "items": items,
	}
	if next != "" {
		out["nextPageToken"] = next
	} else {
		out["nextSyncToken"] = base64.RawURLEncoding.EncodeToString([]byte("sync " + cal.id))
	}
	writeJSON(w, http.StatusOK, out)
}

// words are the lower-case words of a text, plural endings off, for both calendars' q and Drive's fullText.
func words(text string) []string {
	fields := strings.FieldsFunc(strings.ToLower(text), func(c rune) bool {
		return !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c > 127)
	})
	for i, f := range fields {
		if len(f) > 3 {
			fields[i] = strings.TrimSuffix(f, "s")
		}
	}
	return fields
}
