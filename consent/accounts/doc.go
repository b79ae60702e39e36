// Package accounts is the connected-accounts API at /me/v1/connected-accounts: an
// application has its user connect an account, sees what they have connected, and
// disconnects it. Paths, fields, limits and statuses are those of Auth0's My Account API.
//
//	connect ─► a ticket ─► connect_uri?ticket=… ─► the ticket's page ─► the vendor ─► held
//	                                                                                   │
//	complete ◄── connect_code ◄── redirect_uri?connect_code=…&state=… ◄────────────────┘
//	   └─► an account of the person, open to the application as its person allowed
//
// # What holds
//
//   - Only a token for {public_url}/me/ with the scope of the call is taken, and
//     only of an application that the config names. What an MCP client holds is none.
//   - The browser goes back to an address that the application registered, to the letter.
//   - What the vendor gave lies sealed and of no use until the same person's token
//     brings the auth_session, the connect_code, the redirect_uri and the verifier. Else the
//     vendor has it back after ten minutes. All of it counts once.
//   - The person of the browser is the token's, or the application answers for who sits there
//     (binding: app) and the page says so. The pages hold that, not this package.
//   - No token, code, verifier or state is in a log, an error or the audit.
//
// It must not import mcp or tools: who verifies tokens is given to it, and it meets the pages in tickets.
package accounts
