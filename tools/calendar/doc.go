// Package calendar has the tools about calendars. Each tool has a file, with
// its arguments and its result; each vendor has one, with how it serves them.
//
// Times are RFC 3339. An event that lasts whole days has dates (full-date, the
// end exclusive) and all_day true; any other has a date-time with offset.
package calendar

import "github.com/grantry/grantry/tools"

// Tools are all tools of this package, in the order in which they are listed.
func Tools() []tools.Tool {
	return []tools.Tool{listEvents()}
}
