package calendar

import (
	"context"
	"time"
	_ "time/tzdata" // calendars name their zone, and not every machine has the table

	"google.golang.org/api/calendar/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault/provider"
)

const (
	maxAttendees   = 50
	maxDescription = 4 << 10
	maxField       = 2 << 10
)

// googleNeed is any one of the scopes that events.list accepts and that cover all
// events of a calendar; least first.
func googleNeed() provider.Need {
	return provider.Need{Provider: "google", Groups: [][]string{{
		calendar.CalendarEventsReadonlyScope,
		calendar.CalendarReadonlyScope,
		calendar.CalendarEventsScope,
		calendar.CalendarScope,
	}}}
}

// googleCursor also holds the window, because "now" has moved on at the next page.
type googleCursor struct {
	tools.Page
	From string `json:"f"`
	To   string `json:"u"`
}

// googleListEvents is events.list (https://developers.google.com/workspace/calendar/api/v3/reference/events/list).
func googleListEvents(ctx context.Context, c *tools.Client, in ListArguments) (EventList, error) {
	at, err := tools.Resume[googleCursor](c, in.Cursor)
	if err != nil {
		return EventList{}, err
	}
	svc, err := calendar.NewService(ctx, option.WithHTTPClient(c.Client))
	if err != nil {
		return EventList{}, err
	}
	if at.From == "" {
		if at, err = googleWindow(ctx, svc, in); err != nil {
			return EventList{}, err
		}
	}
	call := svc.Events.List(in.Calendar).Context(ctx).
		SingleEvents(true).OrderBy("startTime").ShowDeleted(false).
		TimeMin(at.From).TimeMax(at.To).
		MaxResults(int64(in.Limit)).MaxAttendees(maxAttendees).
		Fields("nextPageToken", googleapi.Field("items(id,status,htmlLink,summary,description,location,start,end,attendees(email,displayName,responseStatus,resource),organizer(email))"))
	if in.Query != "" {
		call.Q(in.Query)
	}
	if at.Token != "" {
		call.PageToken(at.Token)
	}
	page, err := call.Do()
	if err != nil {
		return EventList{}, err
	}
	return googleEvents(c, at, page)
}

func googleEvents(c *tools.Client, at googleCursor, page *calendar.Events) (EventList, error) {
	events := make([]Event, 0, len(page.Items))
	for _, e := range page.Items {
		events = append(events, googleEvent(e))
	}
	kept, next, more := tools.Cut(at.Page, events, page.NextPageToken)
	out := EventList{Events: kept}
	var err error
	if more {
		at.Page = next
		out.NextCursor, err = tools.NextCursor(c, at)
	}
	return out, err
}

// googleWindow is the window that the arguments mean. A date needs the
// calendar's zone, which a list of one event names.
func googleWindow(ctx context.Context, svc *calendar.Service, in ListArguments) (googleCursor, error) {
	zone := time.UTC
	if datesOnly(in) {
		head, err := svc.Events.List(in.Calendar).Context(ctx).MaxResults(1).Fields("timeZone").Do()
		if err != nil {
			return googleCursor{}, err
		}
		if z, err := time.LoadLocation(head.TimeZone); err == nil {
			zone = z
		}
	}
	from, to, err := span(in, time.Now(), zone)
	if err != nil {
		return googleCursor{}, err
	}
	return googleCursor{From: from.Format(time.RFC3339), To: to.Format(time.RFC3339)}, nil
}

func googleEvent(e *calendar.Event) Event {
	out := Event{
		ID:          e.Id,
		Title:       tools.Clip(e.Summary, maxField),
		Location:    tools.Clip(e.Location, maxField),
		Description: tools.Clip(e.Description, maxDescription),
		URL:         e.HtmlLink,
		Status:      e.Status,
	}
	if e.Start != nil {
		out.Start, out.AllDay = googleTime(e.Start)
	}
	if e.End != nil {
		out.End, _ = googleTime(e.End)
	}
	if e.Organizer != nil {
		out.Organizer = e.Organizer.Email
	}
	for _, a := range e.Attendees[:min(len(e.Attendees), maxAttendees)] {
		if !a.Resource { // a room is in the location
			out.Attendees = append(out.Attendees, Attendee{Email: a.Email, Name: a.DisplayName, Response: a.ResponseStatus})
		}
	}
	return out
}

func googleTime(t *calendar.EventDateTime) (s string, allDay bool) {
	if t.DateTime == "" {
		return t.Date, true
	}
	return t.DateTime, false
}
