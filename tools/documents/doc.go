// Package documents has the tools about documents. Each tool has a file, with
// its arguments and its result; each vendor has one, with how it serves them.
//
// Times are RFC 3339. Documents are answered as text; what is not text is
// refused with a sentence.
package documents

import "github.com/grantry/grantry/tools"

// Tools are all tools of this package, in the order in which they are listed.
func Tools() []tools.Tool {
	return []tools.Tool{search(), read()}
}
