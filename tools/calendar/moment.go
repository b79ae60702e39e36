package calendar

import (
	"time"

	"github.com/grantry/grantry/tools"
)

// window is how far ahead a list looks when it is not told.
const window = 7 * 24 * time.Hour

var errOrder error = &tools.InputError{Path: "to", Reason: "must be later than from"}

// moment is a time or a date that a client gave.
type moment struct {
	given bool
	date  bool
	at    time.Time // of a date: its midnight in UTC
}

func parseMoment(path, s string) (moment, error) {
	if s == "" {
		return moment{}, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return moment{given: true, date: true, at: t}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return moment{given: true, at: t}, nil
	}
	return moment{}, &tools.InputError{Path: path, Reason: "must be an RFC 3339 time like 2026-03-01T09:00:00+01:00, or a date like 2026-03-01"}
}

// start is the moment itself; of a date, its beginning in zone.
func (m moment) start(zone *time.Location) time.Time {
	if !m.date {
		return m.at
	}
	return time.Date(m.at.Year(), m.at.Month(), m.at.Day(), 0, 0, 0, 0, zone)
}

// end is the moment itself; of a date, the beginning of the next in zone.
func (m moment) end(zone *time.Location) time.Time {
	if !m.date {
		return m.at
	}
	return time.Date(m.at.Year(), m.at.Month(), m.at.Day()+1, 0, 0, 0, 0, zone)
}

// span is the window that the arguments mean, now and in a calendar's zone.
func span(a ListArguments, now time.Time, zone *time.Location) (from, to time.Time, err error) {
	f, err := parseMoment("from", a.From)
	if err != nil {
		return from, to, err
	}
	t, err := parseMoment("to", a.To)
	if err != nil {
		return from, to, err
	}
	from = now
	if f.given {
		from = f.start(zone)
	}
	to = from.Add(window)
	if t.given {
		to = t.end(zone)
	}
	if !to.After(from) {
		if !f.given {
			return from, to, &tools.InputError{Path: "to", Reason: "has passed; give from as well to list past events"}
		}
		return from, to, errOrder
	}
	return from, to, nil
}

// datesOnly says whether the arguments need a zone to be understood.
func datesOnly(a ListArguments) bool {
	return len(a.From) == len(time.DateOnly) || len(a.To) == len(time.DateOnly)
}
