// Package vault decides whose token goes where, and keeps it sealed.
//
// A grant lives in one row: tokens, granted scopes, state and a generation that
// counts stored token sets. Everything that leaves the vault goes through one
// function:
//
//	Exchange: pick account → destination → state → granted scopes → access of the agent
//	          → fresh? else refresh → audit entry committed → token
//
// Where it stops, it answers a *ConsentError that says what is lacking. A caller
// turns that into a Ticket (OpenTicket), a person answers it in a browser (Allow,
// Finish, Decline), and the exchange goes through. Tickets are all that the
// pages and the MCP server share.
//
// Invariants:
//   - a refresh token is spent by one process at a time, after a durable intent and
//     a proof that its successor can be kept; the successor is stored, in the emergency
//     journal if the store takes nothing, before it is checked, and checked before it is used;
//   - a grant ends only on a definite answer of its vendor about every token that
//     we hold for it. An outage of any length ends none;
//   - a sealed value opens only in its own row, column, generation and for its own
//     destination: the vault never sends a token where it was not granted for;
//   - a write that waits for its person's word runs once, as they saw it: its approval
//     is spent in the transaction that releases its token;
//   - a token that leaves the program can do no more than its ceiling allows and its
//     person has said yes to, by what the vendor granted; a narrowed one ends with its grant;
//   - a change and its audit entry are one transaction; a release has its entry
//     committed before the token leaves. No entry, no release;
//   - nothing here prints, logs or returns a token in an error.
//
// The package knows nothing of HTTP servers or MCP, and must not import sqlstore,
// consent, mcp or tools: storage arrives as a Store, vendors as provider.Connections.
package vault
