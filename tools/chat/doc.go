// Package chat has the tools about chats. Each tool has a file, with its
// arguments and its result; each vendor has one, with how it serves them.
package chat

import "github.com/grantry/grantry/tools"

// Tools are all tools of this package, in the order in which they are listed.
func Tools() []tools.Tool {
	return []tools.Tool{postMessage()}
}
