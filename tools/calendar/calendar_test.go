package calendar_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/calendar"
	"github.com/grantry/grantry/tools/tooltest"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGolden(t *testing.T) {
	t.Parallel()
	tooltest.Golden(t, *update, calendar.Tools())
}

func list(t *testing.T) tools.Tool {
	t.Helper()
	return tooltest.Find(t, calendar.Tools(), "calendar_list_events")
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	tooltest.Refuses(t, list(t), []tooltest.Mistake{
		{Args: `{"from":"tomorrow, please"}`, Path: "from", Says: "must be an RFC 3339 time like"},
		{Args: `{"from":"2026-13-01"}`, Path: "from", Says: "or a date like"},
		{Args: `{"to":"2026-03-01T09:00:00"}`, Path: "to", Says: "must be an RFC 3339 time"},
		{Args: `{"to":"2026"}`, Path: "to", Says: "must be an RFC 3339 time like"},
		{Args: `{"from":"today"}`, Path: "from", Says: "or a date like"},
		{Args: `{"from":"2026-03-02","to":"2026-03-01"}`, Path: "to", Says: "must be later than from"},
		{Args: `{"from":"2026-03-01T10:00:00Z","to":"2026-03-01T10:00:00Z"}`, Path: "to", Says: "must be later than from"},
		{Args: `{"from":"2026-03-05T10:00:00Z","to":"2026-03-01"}`, Path: "to", Says: "must be later than from"},
		{Args: `{"limit":251}`, Path: "limit", Says: "between 1 and 250"},
		{Args: `{"limit":"10"}`, Path: "limit", Says: "must be a whole number, not a string"},
		{Args: `{"query":""}`, Path: "query", Says: "must not be empty"},
		{Args: `{"query":"` + strings.Repeat("x", 501) + `"}`, Path: "query", Says: "at most 500"},
		{Args: `{"calendar":["primary"]}`, Path: "calendar", Says: "not a list"},
		{Args: `{"start":"2026-03-01"}`, Path: "start", Says: "Allowed: from, to, query, calendar, limit, cursor, account"},
		{Args: `{"calender":"x"}`, Path: "calender", Says: `did you mean "calendar"?`},
		{Args: `{"maxResults":3}`, Path: "maxResults", Says: "Allowed: "},
	})
}

// google plays events.list of one calendar.
type google struct {
	events []map[string]any
	zone   string

	mu   sync.Mutex
	asks []*url.URL
}

func (g *google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.asks = append(g.asks, r.URL)
	g.mu.Unlock()
	if r.Method != http.MethodGet || r.URL.EscapedPath() != "/calendar/v3/calendars/primary/events" {
		http.Error(w, `{"error":{"code":404,"message":"canary","errors":[{"reason":"notFound"}]}}`, http.StatusNotFound)
		return
	}
	q := r.URL.Query()
	size, _ := strconv.Atoi(q.Get("maxResults"))
	from, _ := strconv.Atoi(q.Get("pageToken"))
	to := min(from+size, len(g.events))
	out := map[string]any{"kind": "calendar#events", "timeZone": g.zone, "items": g.events[from:to]}
	if to < len(g.events) {
		out["nextPageToken"] = strconv.Itoa(to)
	}
	_ = json.NewEncoder(w).Encode(out)
}

// lastAsk are the parameters of the last request.
func (g *google) lastAsk() url.Values {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asks[len(g.asks)-1].Query()
}

func TestEvents(t *testing.T) {
	t.Parallel()
	g := &google{events: []map[string]any{
		{
			"id": "e1", "status": "confirmed", "htmlLink": "https://calendar.google.com/e1", "summary": "Stand-up", "description": "<b>daily</b>",
			"location": "Room 4", "start": map[string]any{"dateTime": "2026-03-02T09:00:00+01:00", "timeZone": "Europe/Vienna"},
			"end": map[string]any{"dateTime": "2026-03-02T09:15:00+01:00"}, "organizer": map[string]any{"email": "alice@example.com"},
			"attendees": []any{
				map[string]any{"email": "bob@example.com", "displayName": "Bob", "responseStatus": "tentative"},
				map[string]any{"email": "room4@resource.calendar.google.com", "resource": true},
			},
		},
		{"id": "e2", "status": "tentative", "start": map[string]any{"date": "2026-03-03"}, "end": map[string]any{"date": "2026-03-05"}},
	}}
	src := tooltest.NewSource(t, "google", g)
	got := tooltest.Call[calendar.EventList](t, list(t), src, `{"from":"2026-03-01T00:00:00Z","to":"2026-03-08T00:00:00Z","query":"a&b=c"}`)
	want := calendar.EventList{Events: []calendar.Event{
		{
			ID: "e1", Title: "Stand-up", Start: "2026-03-02T09:00:00+01:00", End: "2026-03-02T09:15:00+01:00", Location: "Room 4",
			Description: "<b>daily</b>", Organizer: "alice@example.com", URL: "https://calendar.google.com/e1", Status: "confirmed",
			Attendees: []calendar.Attendee{{Email: "bob@example.com", Name: "Bob", Response: "tentative"}},
		},
		{ID: "e2", Start: "2026-03-03", End: "2026-03-05", AllDay: true, Status: "tentative"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	ask := g.lastAsk()
	for name, want := range map[string]string{
		"timeMin": "2026-03-01T00:00:00Z", "timeMax": "2026-03-08T00:00:00Z", "q": "a&b=c", "maxResults": "50",
		"singleEvents": "true", "orderBy": "startTime", "showDeleted": "false",
	} {
		if ask.Get(name) != want {
			t.Errorf("%s=%q, want %q", name, ask.Get(name), want)
		}
	}
}

func TestNoEventsIsAnEmptyList(t *testing.T) {
	t.Parallel()
	res, err := list(t).Call(t.Context(), tooltest.NewSource(t, "google", &google{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	tooltest.Conforms(t, list(t), res)
	if res.Text != `{"events":[]}` {
		t.Error(res.Text)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for args, want := range map[string][2]string{
		`{"from":"2026-07-01","to":"2026-07-01"}`:                {"2026-07-01T00:00:00-04:00", "2026-07-02T00:00:00-04:00"},
		`{"from":"2026-03-07"}`:                                  {"2026-03-07T00:00:00-05:00", "2026-03-14T01:00:00-04:00"}, // the clocks change
		`{"from":"2026-07-01T12:00:00+02:00"}`:                   {"2026-07-01T12:00:00+02:00", "2026-07-08T12:00:00+02:00"},
		`{"from":"2026-07-01T12:00:00+02:00","to":"2026-07-02"}`: {"2026-07-01T12:00:00+02:00", "2026-07-03T00:00:00-04:00"},
	} {
		g := &google{zone: "America/New_York"}
		tooltest.Call[calendar.EventList](t, list(t), tooltest.NewSource(t, "google", g), args)
		if got := [2]string{g.lastAsk().Get("timeMin"), g.lastAsk().Get("timeMax")}; got != want {
			t.Errorf("%s: asked for %v, want %v", args, got, want)
		}
	}

	g := &google{}
	tooltest.Call[calendar.EventList](t, list(t), tooltest.NewSource(t, "google", g), `{}`)
	from, err1 := time.Parse(time.RFC3339, g.lastAsk().Get("timeMin"))
	to, err2 := time.Parse(time.RFC3339, g.lastAsk().Get("timeMax"))
	if err1 != nil || err2 != nil || from.Sub(now).Abs() > time.Minute || to.Sub(from) != 7*24*time.Hour || len(g.asks) != 1 {
		t.Errorf("{} asked for %v to %v in %d requests", from, to, len(g.asks))
	}

	e := tooltest.Fails[*tools.InputError](t, list(t), tooltest.NewSource(t, "google", g), `{"to":"2020-01-01"}`)
	if e.Path != "to" || !strings.Contains(e.Reason, "give from as well") {
		t.Error(e)
	}
}

// many are n events with a text of this many bytes each.
func many(n, size int) []map[string]any {
	out := make([]map[string]any, n)
	for i := range out {
		out[i] = map[string]any{
			"id": fmt.Sprint("e", i), "status": "confirmed", "summary": "S", "description": strings.Repeat("ü\"", size/3),
			"start": map[string]any{"dateTime": "2026-03-02T09:00:00Z"}, "end": map[string]any{"dateTime": "2026-03-02T10:00:00Z"},
		}
	}
	return out
}

func TestPagesToTheEndWithoutDoubles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ events, size, limit, atLeast int }{
		"by limit":   {105, 10, 20, 6},
		"by the cap": {300, 9000, 250, 3},
		"exactly":    {40, 10, 20, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &google{events: many(c.events, c.size)}
			src := tooltest.NewSource(t, "google", g)
			seen, calls := map[string]bool{}, 0
			for cursor := ""; calls == 0 || cursor != ""; calls++ {
				args := fmt.Sprintf(`{"limit":%d}`, c.limit)
				if cursor != "" {
					args = fmt.Sprintf(`{"limit":%d,"cursor":%q}`, c.limit, cursor)
				}
				out := tooltest.Call[calendar.EventList](t, list(t), src, args)
				for _, e := range out.Events {
					if seen[e.ID] {
						t.Fatalf("%s twice", e.ID)
					}
					seen[e.ID] = true
				}
				cursor = out.NextCursor
			}
			if len(seen) != c.events || calls < c.atLeast {
				t.Errorf("%d events in %d calls", len(seen), calls)
			}
			first := g.asks[0].Query()
			for _, u := range g.asks {
				if q := u.Query(); q.Get("timeMin") != first.Get("timeMin") || q.Get("timeMax") != first.Get("timeMax") {
					t.Error("the window moved between pages")
				}
			}
		})
	}
}

func TestLongTextsAreClipped(t *testing.T) {
	t.Parallel()
	g := &google{events: many(1, 100<<10)}
	got := tooltest.Call[calendar.EventList](t, list(t), tooltest.NewSource(t, "google", g), `{}`)
	if d := got.Events[0].Description; len(d) > 5<<10 || !strings.HasSuffix(d, "not shown]") {
		t.Errorf("%d bytes, end %.60q", len(d), d[max(0, len(d)-60):])
	}
}

func TestUnknownCalendar(t *testing.T) {
	t.Parallel()
	g := &google{}
	e := tooltest.Fails[*tools.APIError](t, list(t), tooltest.NewSource(t, "google", g), `{"calendar":"team/../x?y@example.com"}`)
	if e.Status != 404 || e.Code != "notFound" || e.Temporary {
		t.Errorf("%+v", e)
	}
	if p := g.asks[0].EscapedPath(); p != "/calendar/v3/calendars/team%2F..%2Fx%3Fy@example.com/events" && p != "/calendar/v3/calendars/team%2F..%2Fx%3Fy%40example.com/events" {
		t.Errorf("asked %s", p)
	}
}
