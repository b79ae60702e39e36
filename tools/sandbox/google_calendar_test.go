package sandbox_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// calendarURL is a list request for a calendar.
func (w *world) calendarURL(id string, q url.Values) string {
	return w.vendor("google").API + "/calendar/v3/calendars/" + url.PathEscape(id) + "/events?" + q.Encode()
}

func span(from, to time.Time) url.Values {
	return url.Values{"timeMin": {from.Format(time.RFC3339)}, "timeMax": {to.Format(time.RFC3339)}, "singleEvents": {"true"}, "orderBy": {"startTime"}}
}

func start(e map[string]any) string {
	if at := str(e, "start", "dateTime"); at != "" {
		return at
	}
	return str(e, "start", "date") + "T00:00:00Z"
}

func TestCalendarNextSevenDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, who := range []string{"alice", "bob"} {
		token := str(w.connect("google", who, gcal), "access_token")
		for shift := range 7 { // whatever day it is, the week ahead has something in it
			from := now.AddDate(0, 0, shift)
			items := list(w.get(w.calendarURL("primary", span(from, from.AddDate(0, 0, 7))), token).object(t), "items")
			if len(items) < 8 {
				t.Errorf("%s has %d events in the week from %s", who, len(items), from.Format(time.DateOnly))
			}
			for i, e := range items {
				if i > 0 && start(items[i-1]) > start(e) {
					t.Errorf("%s: not ordered by start: %s before %s", who, start(items[i-1]), start(e))
				}
			}
		}
	}
}

func TestCalendarSeedIsBelievable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("google", "alice", gcal), "access_token")
	items := list(w.get(w.calendarURL("alice@example.com", span(now.AddDate(0, 0, -14), now.AddDate(0, 0, 28))), token).object(t), "items")
	var allDay, instances, guests, past, singles int
	ids := map[string]bool{}
	for _, e := range items {
		if ids[str(e, "id")] {
			t.Errorf("two events have the id %q", str(e, "id"))
		}
		ids[str(e, "id")] = true
		if str(e, "start", "date") != "" {
			allDay++
		}
		if str(e, "recurringEventId") != "" {
			instances++
		} else {
			singles++
		}
		if len(list(e, "attendees")) > 1 {
			guests++
		}
		if start(e) < now.Format(time.RFC3339) {
			past++
		}
	}
	if len(items) < 25 || allDay < 2 || instances < 10 || guests < 10 || past < 5 || singles < 15 {
		t.Errorf("of %d events %d are all-day, %d instances, %d with guests, %d past, %d single", len(items), allDay, instances, guests, past, singles)
	}
	link := str(items[0], "htmlLink")
	if page := w.get(link, ""); page.status != http.StatusOK || !strings.Contains(string(page.body), str(items[0], "summary")) {
		t.Errorf("htmlLink %s: %d", link, page.status)
	}
}

func TestCalendarFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("google", "alice", gcal), "access_token")
	q := span(now.AddDate(0, 0, -3), now.AddDate(0, 0, 14))
	q.Set("q", "northwind")
	items := list(w.get(w.calendarURL("primary", q), token).object(t), "items")
	want(t, "northwind", len(items), 2)

	masters := list(w.get(w.calendarURL("primary", url.Values{"q": {"stand-up"}}), token).object(t), "items")
	want(t, "masters", len(masters), 1)
	rules, _ := masters[0]["recurrence"].([]any)
	if len(rules) != 1 || !strings.HasPrefix(rules[0].(string), "RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR") {
		t.Errorf("recurrence %v", rules)
	}

	// timeMin and timeMax are exclusive: an event that ends at timeMin, or starts at timeMax, is out.
	day := time.Date(2026, time.November, 19, 0, 0, 0, 0, time.UTC)
	q = span(day.Add(9*time.Hour+30*time.Minute), day.Add(11*time.Hour))
	for _, e := range list(w.get(w.calendarURL("primary", q), token).object(t), "items") {
		if s := str(e, "summary"); s == "Daily stand-up" || s == "Budget review" {
			t.Errorf("%s touches the span only", s)
		}
	}
}

func TestCalendarPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("google", "bob", gcal), "access_token")
	q := span(now.AddDate(0, 0, -14), now.AddDate(0, 0, 28))
	all := list(w.get(w.calendarURL("primary", q), token).object(t), "items")
	q.Set("maxResults", "7")
	var paged []map[string]any
	for range 20 {
		page := w.get(w.calendarURL("primary", q), token).object(t)
		paged = append(paged, list(page, "items")...)
		next := str(page, "nextPageToken")
		if next == "" {
			if str(page, "nextSyncToken") == "" {
				t.Error("the last page has a sync token")
			}
			break
		}
		q.Set("pageToken", next)
	}
	if len(paged) != len(all) || str(paged[len(paged)-1], "id") != str(all[len(all)-1], "id") {
		t.Errorf("%d events in pages, %d at once", len(paged), len(all))
	}
}

func TestCalendarRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("google", "alice", gcal), "access_token")
	for _, c := range []struct {
		name, calendar string
		q              url.Values
		status         int
	}{
		{"unknown calendar", "bob@example.com", nil, 404},
		{"no offset", "primary", url.Values{"timeMin": {"2026-11-18T10:00:00"}}, 400},
		{"empty range", "primary", span(now, now.Add(-time.Hour)), 400},
		{"order without instances", "primary", url.Values{"orderBy": {"startTime"}}, 400},
		{"no page", "primary", url.Values{"pageToken": {"???"}}, 400},
		{"no number", "primary", url.Values{"maxResults": {"many"}}, 400},
	} {
		res := w.get(w.calendarURL(c.calendar, c.q), token)
		want(t, c.name, res.status, c.status)
		if c.status == 404 {
			want(t, c.name, str(list(res.object(t)["error"].(map[string]any), "errors")[0], "reason"), "notFound")
		}
	}
}

func TestCalendarList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	token := str(w.connect("google", "bob", gcal), "access_token")
	items := list(w.get(w.vendor("google").API+"/calendar/v3/users/me/calendarList", token).object(t), "items")
	want(t, "calendars", len(items), 3)
	for _, c := range items {
		res := w.get(w.calendarURL(str(c, "id"), span(now.AddDate(0, 0, -14), now.AddDate(0, 0, 28))), token)
		if len(list(res.object(t), "items")) == 0 {
			t.Errorf("%s is empty", str(c, "id"))
		}
	}
}

func TestGoogleScopesAreEnforced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	api := w.vendor("google").API
	const p = "https://www.googleapis.com/auth/"
	doc := "1SbxQ4salesPlan8dKc2vXw0RtYbNmLpQzAe"
	for _, c := range []struct {
		scope, path string
		allowed     bool
	}{
		{p + "calendar.readonly", "/calendar/v3/calendars/primary/events", true},
		{p + "calendar.events.readonly", "/calendar/v3/calendars/primary/events", true},
		{p + "calendar", "/calendar/v3/calendars/primary/events", true},
		{p + "drive.readonly", "/calendar/v3/calendars/primary/events", false},
		{p + "calendar.events", "/calendar/v3/users/me/calendarList", false},
		{p + "calendar.readonly", "/calendar/v3/users/me/calendarList", true},
		{p + "calendar.readonly", "/drive/v3/files", false},
		{p + "drive.metadata.readonly", "/drive/v3/files", true},
		{p + "drive.metadata.readonly", "/drive/v3/files/" + doc, true},
		{p + "drive.metadata.readonly", "/drive/v3/files/" + doc + "/export?mimeType=text/markdown", false},
		{p + "drive.metadata.readonly", "/drive/v3/files/1SbxReleaseNotesTxt2wSxEdCrFvTgByHnUj?alt=media", false},
		{p + "drive.readonly", "/drive/v3/files/" + doc + "/export?mimeType=text/markdown", true},
		{"openid", "/drive/v3/files", false},
	} {
		res := w.get(api+c.path, str(w.connect("google", "alice", c.scope), "access_token"))
		if c.allowed {
			want(t, c.scope+" at "+c.path, res.status, http.StatusOK)
			continue
		}
		want(t, c.scope+" at "+c.path, res.status, http.StatusForbidden)
		e, _ := res.object(t)["error"].(map[string]any)
		want(t, "reason", str(list(e, "details")[0], "reason"), "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
		if h := res.header.Get("WWW-Authenticate"); !strings.Contains(h, `error="insufficient_scope", scope="`+p) {
			t.Errorf("WWW-Authenticate: %s", h)
		}
	}
}

func TestGoogleDeadTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	to := w.calendarURL("primary", nil)
	got := w.connect("google", "alice", gcal, "access_type", "offline")
	w.sleep(3598 * time.Second)
	want(t, "just alive", w.get(to, str(got, "access_token")).status, http.StatusOK)
	w.sleep(2 * time.Second)
	for name, token := range map[string]string{"expired": str(got, "access_token"), "invented": "ya29.nothing", "refresh": str(got, "refresh_token")} {
		res := w.get(to, token)
		want(t, name, res.status, http.StatusUnauthorized)
		e, _ := res.object(t)["error"].(map[string]any)
		want(t, name, str(list(e, "errors")[0], "reason"), "authError")
	}
	want(t, "none", w.get(to, "").status, http.StatusUnauthorized)
}
