// Package authserver is the built-in OAuth 2.1 authorization server: what an
// MCP client logs in at when the config names no identity.issuer, and where
// workloads sign people in (OpenID Connect, the code flow alone).
//
// A client finds it by its metadata, is known by the config, by a metadata
// document at an https address, or by registering, and sends its person's
// browser to /oauth/authorize:
//
//	authorize ─► who is signed in? ─► a ticket of kind client ─► the person's answer on its page
//	   ▲                                                                      │
//	   └── client ◄── redirect with code, state, iss ◄── /oauth/authorize/{request} (the same browser)
//
//	token ─► code and verifier, once ─► a family: access tokens of 10 minutes, rotating refresh tokens
//
// zitadel's op reads requests, proves clients and writes errors. This package is
// its op.Server: it decides, and keeps everything in the vault's records, so that
// nothing is lost with a restart and any replica can go on.
//
// # What holds
//
//   - A redirect goes to an address that its client registered, and says who we are (iss, RFC 9207). Everything else is a page.
//   - A code gives tokens once, within 60 seconds, to who holds its verifier. Used again, it ends what it gave.
//   - A refresh token is spent once. Its immediate predecessor gives the same successor
//     for 10 seconds; an older one ends the family. The store holds a counter: tokens are made of it under the vault's key.
//   - An access token is good for one resource, and as long as its family lives: {public_url}/mcp
//     for an MCP client, {public_url}/ or {public_url}/me/ for a workload, and never the other way round.
//   - Who cannot prove who they are is shown to the person every time.
//
// It must not import consent or a store: it meets the pages in tickets.
package authserver
