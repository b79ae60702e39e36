package tools

import (
	"fmt"
	"strings"
	"time"
)

// InputError says which argument of a call cannot be used and what is allowed.
// Nothing was sent to a vendor when it came from the schema.
type InputError struct {
	Path   string // "limit", "attendees[2].email"; "" = the arguments as a whole
	Reason string // goes on from the path: "must be between 1 and 250"
}

// Error is the path and the reason.
func (e *InputError) Error() string {
	if e.Path == "" {
		return "the arguments " + e.Reason
	}
	return e.Path + " " + e.Reason
}

// APIError says that a vendor's API did not do what was asked. It never holds
// the vendor's text: Code is one of those that we know, Reason is our sentence.
type APIError struct {
	Provider string // name in the catalog
	Status   int    // HTTP status, 0 = there was no answer
	Code     string // the vendor's code, "" = none, or none that we know
	Reason   string // goes on from the provider: "is throttling this account"
	// Temporary says that the same call may succeed later.
	Temporary bool
	// RetryAfter is how long the vendor asks to wait, 0 = it did not say.
	RetryAfter time.Duration
	// Unsure says that the vendor may have done what was asked although it did not
	// confirm it. Reads are never unsure; an unsure write is never Temporary.
	Unsure bool
}

// Error is the provider, the reason, and code and status in brackets; a status
// below 400, as Slack's, says nothing.
func (e *APIError) Error() string {
	var tail []string
	if e.Code != "" {
		tail = append(tail, e.Code)
	}
	if e.Status >= 400 {
		tail = append(tail, fmt.Sprintf("HTTP %d", e.Status))
	}
	if len(tail) == 0 {
		return e.Provider + " " + e.Reason
	}
	return e.Provider + " " + e.Reason + " (" + strings.Join(tail, ", ") + ")"
}

// of is e as the kind of tool allows it: repeating a write that may have been
// done would do it twice.
func (e *APIError) of(kind Kind) *APIError {
	out := *e
	switch {
	case kind == Read:
		out.Unsure = false
	case out.Unsure:
		out.Temporary = false
		out.Reason += "; it may have done what was asked all the same, so look before you try again"
	}
	return &out
}
