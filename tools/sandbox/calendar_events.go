package sandbox

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// event is one entry as a list shows it, and what the filters look at.
type event struct {
	start, end time.Time
	text       string
	body       reply
}

// How far a series reaches around this week's Monday, in weeks.
const (
	weeksBefore = 4
	weeksAfter  = 12
)

// monday is the start of the week of t, in UTC.
func monday(t time.Time) time.Time {
	t = t.UTC().Truncate(24 * time.Hour)
	return t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
}

// events lists a calendar by start: series as their instances if single, else as one entry with a rule.
func (s *Sandbox) events(p person, cal calendar, single bool) []event {
	week := monday(s.cfg.Now())
	var out []event
	for _, m := range meetings(p, cal) {
		switch {
		case len(m.repeat) == 0:
			out = append(out, s.entry(p, cal, m, week.AddDate(0, 0, m.day)))
		case single:
			out = append(out, s.instances(p, cal, m, week)...)
		default:
			out = append(out, s.series(p, cal, m, week))
		}
	}
	slices.SortStableFunc(out, func(a, b event) int { return a.start.Compare(b.start) })
	return out
}

func days(m meeting, week time.Time) (out []time.Time) {
	for d := week.AddDate(0, 0, -7*weeksBefore); d.Before(week.AddDate(0, 0, 7*weeksAfter)); d = d.AddDate(0, 0, 1) {
		if slices.Contains(m.repeat, d.Weekday()) {
			out = append(out, d)
		}
	}
	return out
}

func (s *Sandbox) instances(p person, cal calendar, m meeting, week time.Time) (out []event) {
	for _, day := range days(m, week) {
		e := s.entry(p, cal, m, day)
		e.body["recurringEventId"] = m.id
		e.body["originalStartTime"] = e.body["start"]
		e.body["id"] = m.id + "_" + e.start.Format("20060102T150405Z")
		e.body["htmlLink"] = s.eventLink(e.body["id"].(string), cal)
		out = append(out, e)
	}
	return out
}

// series is the master of a recurring event; it stands for the time of all its instances.
func (s *Sandbox) series(p person, cal calendar, m meeting, week time.Time) event {
	all := days(m, week)
	e := s.entry(p, cal, m, all[0])
	var names []string
	for _, d := range m.repeat {
		names = append(names, strings.ToUpper(d.String()[:2]))
	}
	last := all[len(all)-1].AddDate(0, 0, 1)
	e.body["recurrence"] = []string{"RRULE:FREQ=WEEKLY;BYDAY=" + strings.Join(names, ",") + ";UNTIL=" + last.Format("20060102T150405Z")}
	e.end = last
	return e
}

func (s *Sandbox) eventLink(id string, cal calendar) string {
	return s.cfg.BaseURL + "/google/calendar/event?eid=" + base64.RawURLEncoding.EncodeToString([]byte(id+" "+cal.id))
}

// entry is a meeting on a day, in the API's form.
func (s *Sandbox) entry(p person, cal calendar, m meeting, day time.Time) event {
	e := event{start: day.Add(time.Duration(m.at) * time.Minute), text: m.title + " " + m.about + " " + m.where}
	body := reply{
		"kind": "calendar#event", "etag": `"sbx-` + m.id + `"`, "id": m.id, "status": "confirmed", "summary": m.title,
		"htmlLink": s.eventLink(m.id, cal), "iCalUID": m.id + "@google.com", "eventType": "default",
		"created": day.AddDate(0, 0, -21).Format(time.RFC3339), "updated": day.AddDate(0, 0, -2).Format(time.RFC3339),
	}
	if m.days > 0 {
		e.end = day.AddDate(0, 0, m.days)
		body["start"], body["end"] = reply{"date": day.Format(time.DateOnly)}, reply{"date": e.end.Format(time.DateOnly)}
		body["transparency"] = "transparent"
	} else {
		e.end = e.start.Add(time.Duration(m.minutes) * time.Minute)
		body["start"] = reply{"dateTime": e.start.Format(time.RFC3339), "timeZone": "UTC"}
		body["end"] = reply{"dateTime": e.end.Format(time.RFC3339), "timeZone": "UTC"}
	}
	organizer := p.email
	if len(m.with) > 0 {
		organizer = m.with[0]
	}
	if cal.role == "reader" {
		organizer = cal.id
	}
	body["organizer"] = reply{"email": organizer, "self": organizer == p.email}
	body["creator"] = body["organizer"]
	for k, v := range map[string]string{"location": m.where, "description": m.about} {
		if v != "" {
			body[k] = v
		}
	}
	if len(m.with) > 0 {
		body["attendees"] = attendees(p, m.with, organizer)
		e.text += " " + strings.Join(m.with, " ")
	}
	e.body = body
	return e
}

// attendees are the guests; the first one organises.
func attendees(p person, with []string, organizer string) []reply {
	out := []reply{}
	for i, mail := range with {
		a := reply{"email": mail, "responseStatus": []string{"accepted", "accepted", "needsAction", "tentative"}[i%4]}
		if mail == p.email {
			a["self"] = true
		}
		if mail == organizer {
			a["organizer"], a["responseStatus"] = true, "accepted"
		}
		out = append(out, a)
	}
	return out
}
