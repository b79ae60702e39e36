// Package mcp is what an MCP client sees of Grantry: the tools, over stdio and
// over streamable HTTP, in both eras of the protocol (2026-07-28 and later on
// every request by itself, 2025-11-25 and earlier in a session).
//
// A request comes in through [Server.ServeStdio] or [Server.Handler], where the
// caller and the agent are proved; the call runs in call.go: policy, then the tool with
// a token from the vault. What a person must do first becomes a ticket, and
// ask.go says which of three answers this client can show. A tool that writes
// runs what its person has approved (approve.go), which a client on this
// desktop may ask in its own dialog (form.go). The tools about
// Grantry itself stand in connections.go; every sentence for people in words.go.
//
// Over HTTP the order of the chain in http.go is what keeps strangers out: size,
// origin, bearer, strict reading, scopes, session, and mcp-go last. A bearer is what
// verifier.go finds a token to say; an id of a session (session.go) is sealed and proves
// nothing; an answer (response.go) writes a call's notifications in order.
//
// The invariants: no token, ticket id or raw error reaches a client; an
// elicitation goes only to a client that declared it, in the era in which it
// did; a link goes only to the caller whose ticket it is, and opening it proves
// nothing: the vault alone knows whether a grant is there. What runs under an
// approval are the arguments that were stored with it.
//
// It is the only importer of mcp-go. It must not import consent or a store: it
// meets the pages in tickets.
package mcp
