// Package tools is how a tool is written. A tool is a value: [Define] gives it
// a kind, a name and one [Via] for each backend that can serve it; both schemas
// come from the Go types of its arguments and its result, and the annotations
// from its kind.
//
//	tools.Define(tools.Read, "documents_search", "Search documents", "…",
//		tools.Via(need, searchDrive))
//
// [Summarize] adds the line by which a person recognizes the call later, and
// [Backend.Preview] what an update would change, for the person who is asked. A tool
// that writes takes the argument `approval`; what it means is the business of whoever runs tools.
//
// A call runs in one order ([Tool.Call]): arguments are checked against the
// schema, by exact names; a token comes from [Source]; the handler talks to the
// vendor through [Client]; what it answers is encoded within [MaxResult].
//
// The invariants: tool code cannot see a token, and no word of a vendor's error
// leaves this package. Vendor answers of 400 and above never reach a handler,
// they become an [APIError] with our own words.
//
// It must not import vault, consent or mcp: whoever runs tools implements Source.
package tools
