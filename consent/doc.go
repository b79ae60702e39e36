// Package consent is what a person sees in a browser: a ticket's page, the way
// back from the vendor, signing in and out, and the pages on which a person sees
// and ends what they allowed.
//
// # Where data comes in
//
// A link names a ticket by its handle and nothing else. Who is asking comes
// from the browser's session: of a sign-in at identity.issuer or, on a local
// vault, by a code that only its person's terminal shows. There the operating
// system's word on who holds the other end of the connection makes both needless. Forms
// carry an answer and a token bound to that session and that form. The
// vendor's redirect carries state, code, iss and error, from the query only.
//
// # What holds
//
//   - GET and HEAD change nothing: link previews and mail scanners may open everything.
//   - Nobody answers for somebody else: the person of the browser is compared
//     with the ticket's owner before the vendor is contacted and again before
//     the code is redeemed (vault.Allow, vault.Finish), in the same browser. The one
//     exception is an application that the operator lets answer for its users
//     (binding: app): the page says so, and the browser is still the same.
//   - No page shows what a vendor sent in words, and what an agent calls itself is
//     shown as that: without control characters, without bidirectional
//     overrides, cut to length.
//   - No script runs on any page; the one style sheet is a file under /assets/.
//   - Every word stands in messages.txt. A page says messages by their key, and
//     what it fills in from outside stands escaped and isolated.
//
// The package does HTTP, browser binding, sign-in and words. State, PKCE
// verifiers, the code's redemption, the e-mail rule and the pinned account are
// the vault's. It must not import mcp or tools: they meet in tickets.
package consent
