package sandbox

import (
	"slices"
	"time"
)

// calendar is one of a person's calendars.
type calendar struct {
	id, title, role string
	primary         bool
}

const (
	holidayCalendar = "en.example#holiday@group.v.calendar.google.com"
	launchCalendar  = "c_5b1e7launch@group.calendar.google.com"
)

func calendars(p person) []calendar {
	return []calendar{
		{p.email, p.email, "owner", true},
		{launchCalendar, "Atlas launch", "writer", false},
		{holidayCalendar, "Company days", "reader", false},
	}
}

func findCalendar(p person, id string) (calendar, bool) {
	for _, c := range calendars(p) {
		if c.id == id || c.primary && id == "primary" {
			return c, true
		}
	}
	return calendar{}, false
}

// meeting is an entry before it has a date. day counts from this week's Monday; at and minutes are minutes
// (of the day, UTC, and of length); days > 0 makes it all-day; repeat makes it a weekly series.
type meeting struct {
	id, title, where, about string
	day, at, minutes, days  int
	repeat                  []time.Weekday
	with                    []string // the first one organises
}

func meetings(p person, cal calendar) []meeting {
	switch {
	case cal.id == holidayCalendar:
		return companyDays()
	case cal.id == launchCalendar:
		return launchPlan()
	case p.name == "alice":
		return slices.Concat(together(), aliceMeetings())
	}
	return slices.Concat(together(), bobMeetings())
}

const (
	alice = "alice@example.com"
	bob   = "bob@example.com"
	carol = "carol@example.com"
	dan   = "dan@example.com"
	erin  = "erin.okafor@northwind.example"
	felix = "felix@globex.example"
)

func clock(hour, minute int) int { return hour*60 + minute }

func together() []meeting {
	weekdays := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	return []meeting{
		{id: "sbxstandup", title: "Daily stand-up", where: "Room Ada", about: "Yesterday, today, what is in the way.", at: clock(9, 15), minutes: 15, repeat: weekdays, with: []string{bob, alice, carol, dan}},
		{id: "sbxallhands", title: "All hands", where: "Canteen and video", about: "Numbers of the week, new faces, questions.", at: clock(15, 0), minutes: 45, repeat: []time.Weekday{time.Thursday}, with: []string{carol, alice, bob, dan}},
		{id: "sbxsaleseng", title: "Sales and engineering sync", where: "Room Grace", about: "What customers ask for, what ships next.", day: 2, at: clock(13, 0), minutes: 30, with: []string{alice, bob}},
		{id: "sbxsaleseng2", title: "Sales and engineering sync", where: "Room Grace", about: "What customers ask for, what ships next.", day: 9, at: clock(13, 0), minutes: 30, with: []string{alice, bob}},
		{id: "sbxatlasgo", title: "Atlas launch: go or no-go", where: "Room Ada", about: "Checklist in the launch plan. Decide by the end of the hour.", day: 8, at: clock(10, 0), minutes: 60, with: []string{carol, alice, bob}},
		{id: "sbxbudget", title: "Budget review", where: "Room Grace", about: "Bring the draft sheet.", day: 3, at: clock(11, 0), minutes: 60, with: []string{carol, alice, bob}},
		{id: "sbxnorthdemo", title: "Northwind: product demo", where: "https://meet.example.com/northwind", about: "Erin wants to see the export and the audit log.", day: 10, at: clock(14, 0), minutes: 60, with: []string{alice, erin, bob}},
	}
}

func aliceMeetings() []meeting {
	return []meeting{
		{id: "sbxa1on1", title: "1:1 Alice / Carol", where: "Carol's office", at: clock(16, 0), minutes: 30, repeat: []time.Weekday{time.Tuesday}, with: []string{carol, alice}},
		{id: "sbxapipeline", title: "Pipeline review", where: "Room Grace", about: "Every deal above 20k. See the forecast sheet.", at: clock(10, 0), minutes: 45, repeat: []time.Weekday{time.Monday}, with: []string{alice, dan}},
		{id: "sbxanorth", title: "Northwind: renewal call", where: "https://meet.example.com/northwind", about: "Erin asked for a three-year price.", day: 1, at: clock(14, 0), minutes: 45, with: []string{alice, erin}},
		{id: "sbxaglobex", title: "Globex: first meeting", where: "https://meet.example.com/globex", about: "Felix leads IT there; 400 seats.", day: 2, at: clock(9, 45), minutes: 30, with: []string{alice, felix}},
		{id: "sbxadentist", title: "Dentist", where: "12 Market Street", day: 3, at: clock(8, 0), minutes: 45},
		{id: "sbxainitech", title: "Initech: contract questions", where: "Phone", about: "Legal wants changes to the liability clause.", day: 4, at: clock(11, 30), minutes: 30, with: []string{alice, "bill@initech.example"}},
		{id: "sbxalunch", title: "Lunch with Dan", where: "Green Fork", day: 4, at: clock(12, 30), minutes: 60, with: []string{alice, dan}},
		{id: "sbxatrip", title: "Trip to Hamburg (Umbrella on site)", where: "Hamburg", about: "Train 06:52, hotel is booked.", day: 7, days: 2},
		{id: "sbxaumbrella", title: "Umbrella: on-site workshop", where: "Umbrella, Speicherstadt 4", about: "Agenda: roll-out plan, training, security review.", day: 7, at: clock(13, 0), minutes: 180, with: []string{alice, "jill@umbrella.example"}},
		{id: "sbxaquota", title: "Quota planning", where: "Room Ada", day: 9, at: clock(15, 30), minutes: 60, with: []string{carol, alice, dan}},
		{id: "sbxahire", title: "Interview: account executive", where: "Room Linus", about: "Second round. Questions are in the interview notes.", day: 11, at: clock(10, 30), minutes: 45, with: []string{alice, carol}},
		{id: "sbxapast1", title: "Stark: closing call", where: "Phone", day: -4, at: clock(14, 0), minutes: 30, with: []string{alice, "pepper@stark.example"}},
		{id: "sbxapast2", title: "Quarterly business review: Globex", where: "Video", day: -6, at: clock(10, 0), minutes: 60, with: []string{alice, felix}},
		{id: "sbxayoga", title: "Yoga", day: 5, at: clock(9, 0), minutes: 60},
		{id: "sbxaoff", title: "Day off", day: 18, days: 1},
	}
}

func bobMeetings() []meeting {
	return []meeting{
		{id: "sbxb1on1", title: "1:1 Bob / Dan", where: "Walk", at: clock(11, 0), minutes: 30, repeat: []time.Weekday{time.Wednesday}, with: []string{bob, dan}},
		{id: "sbxbplan", title: "Sprint planning", where: "Room Ada", about: "Capacity first, then scope.", at: clock(10, 0), minutes: 90, repeat: []time.Weekday{time.Monday}, with: []string{bob, carol, dan}},
		{id: "sbxbincident", title: "Incident review: checkout latency", where: "Room Linus", about: "Blameless. Read the write-up first.", day: 1, at: clock(13, 30), minutes: 60, with: []string{bob, carol}},
		{id: "sbxbarch", title: "Architecture: event pipeline", where: "Room Grace", about: "Decide between outbox and log-based capture.", day: 2, at: clock(15, 0), minutes: 90, with: []string{bob, dan}},
		{id: "sbxbvendor", title: "Load test with the hosting vendor", where: "Video", day: 3, at: clock(14, 0), minutes: 60, with: []string{bob, "ops@hosting.example"}},
		{id: "sbxbretro", title: "Retrospective", where: "Room Ada", day: 4, at: clock(14, 0), minutes: 60, with: []string{bob, carol, dan}},
		{id: "sbxbschool", title: "School play", where: "Hillside School", day: 4, at: clock(17, 0), minutes: 90},
		{id: "sbxboncall", title: "On call", about: "Pager is with Bob this week.", day: 7, days: 7},
		{id: "sbxbsec", title: "Security review: token storage", where: "Room Linus", about: "Threat model and open findings.", day: 8, at: clock(13, 0), minutes: 60, with: []string{bob, dan}},
		{id: "sbxbfreeze", title: "Code freeze for Atlas", day: 9, days: 1},
		{id: "sbxbrun", title: "Running", day: 6, at: clock(8, 30), minutes: 60},
		{id: "sbxbhire", title: "Interview: backend engineer", where: "Video", day: 10, at: clock(9, 30), minutes: 60, with: []string{bob, dan}},
		{id: "sbxbpast1", title: "Post-mortem draft with Carol", where: "Room Linus", day: -3, at: clock(10, 0), minutes: 45, with: []string{bob, carol}},
		{id: "sbxbconf", title: "Conference: Databases in Practice", where: "Leipzig", day: 15, days: 2},
	}
}

func launchPlan() []meeting {
	return []meeting{
		{id: "sbxlfreeze", title: "Feature freeze", day: 1, days: 1},
		{id: "sbxlbeta", title: "Beta to ten customers", about: "List is in the launch plan.", day: 4, days: 1},
		{id: "sbxlpress", title: "Press embargo ends", day: 14, at: clock(8, 0), minutes: 15},
		{id: "sbxlday", title: "Launch day", where: "Everywhere", day: 14, days: 1},
		{id: "sbxlparty", title: "Launch party", where: "Canteen", day: 16, at: clock(17, 0), minutes: 180},
	}
}

func companyDays() []meeting {
	return []meeting{
		{id: "sbxhoff1", title: "Company day: office closed", day: 11, days: 1},
		{id: "sbxhoff2", title: "Volunteer day", day: 25, days: 1},
		{id: "sbxhoff3", title: "Inventory (warehouse only)", day: -8, days: 1},
	}
}
