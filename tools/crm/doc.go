// Package crm has the tools about customer records. Each tool has a file, with
// its arguments and its result; each vendor has one, with how it serves them.
//
// Times are RFC 3339.
package crm

import "github.com/grantry/grantry/tools"

// Tools are all tools of this package, in the order in which they are listed.
func Tools() []tools.Tool {
	return []tools.Tool{query(), updateRecord()}
}
