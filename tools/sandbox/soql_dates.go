package sandbox

import (
	"strconv"
	"strings"
	"time"
)

// dateLiteral is the stretch of time, in UTC, that a date literal like THIS_QUARTER or LAST_N_DAYS:30
// means. Weeks begin on Monday here.
func dateLiteral(raw string, now time.Time) (from, until time.Time, known bool) {
	name, count, counted := strings.Cut(strings.ToUpper(raw), ":")
	today := now.UTC().Truncate(24 * time.Hour)
	if counted {
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return from, until, false
		}
		return countedDays(name, n, today)
	}
	switch name {
	case "YESTERDAY":
		return today.AddDate(0, 0, -1), today, true
	case "TODAY":
		return today, today.AddDate(0, 0, 1), true
	case "TOMORROW":
		return today.AddDate(0, 0, 1), today.AddDate(0, 0, 2), true
	}
	which, unit, _ := strings.Cut(name, "_")
	shift, ok := map[string]int{"LAST": -1, "THIS": 0, "NEXT": 1}[which]
	if !ok {
		return from, until, false
	}
	return around(unit, shift, today)
}

func countedDays(name string, n int, today time.Time) (from, until time.Time, known bool) {
	switch name {
	case "LAST_N_DAYS":
		return today.AddDate(0, 0, -n), today.AddDate(0, 0, 1), true
	case "NEXT_N_DAYS":
		return today.AddDate(0, 0, 1), today.AddDate(0, 0, n+1), true
	}
	return from, until, false
}

// around is the week, month, quarter or year of today, shifted by so many of them.
func around(unit string, shift int, today time.Time) (from, until time.Time, known bool) {
	month := func(m int) time.Time { return time.Date(today.Year(), time.Month(m), 1, 0, 0, 0, 0, time.UTC) }
	m := int(today.Month())
	quarter := (m-1)/3*3 + 1
	switch unit {
	case "WEEK":
		week := monday(today).AddDate(0, 0, 7*shift)
		return week, week.AddDate(0, 0, 7), true
	case "MONTH":
		return month(m + shift), month(m + shift + 1), true
	case "QUARTER":
		return month(quarter + 3*shift), month(quarter + 3*shift + 3), true
	case "YEAR":
		return month(1 + 12*shift), month(13 + 12*shift), true
	}
	return from, until, false
}
