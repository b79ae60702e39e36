// Package sandbox is a small world to try Grantry in: fake Google, Slack and Salesforce with real OAuth
// and believable data, and an OAuth/OIDC issuer where alice and bob sign in with one click. It is the
// demo behind "--sandbox", and it is the fake that tests hold the product against.
//
// # What stands where
//
// One handler serves everything under one base address:
//
//	/issuer      the identity issuer: discovery, registration, authorize, token, JWKS, userinfo
//	/google      OAuth 2 and OIDC as Google does it, Calendar v3 and Drive v3
//	/slack       OAuth v2 with token rotation, the Web API methods that our tools call
//	/salesforce  OAuth 2 with instance_url, SOQL queries, reading and updating single records
//	/control     what a test asks: tokens for the MCP endpoint, ground truth, faults, counters
//
// Below its prefix a vendor keeps the paths it has in life, so an API client only changes its base address.
//
// # How it is built
//
// The vendors share one OAuth core: grants, codes and tokens in state.go, codes.go and tokens.go, one
// authorize page in authorize.go. A vendor's own files hold what is different about it, in its own words
// for errors. The invariant: the core decides (a code is taken once, a spent token is refused, a dead grant
// gives nothing) under one lock, and the state is on disk before the answer leaves, so that what the
// control API says is what a client could have seen.
//
// Tokens, codes and client secrets are stored as digests only and are written to no log. The people, the
// calendars, the documents and the records are made from the clock, never stored: the same day gives the
// same data. What was changed of it, as a message that was posted or a field that was set, is stored.
//
// # What it must not import
//
// Nothing of ours but vault/provider, and not that either so far: a fake that shares code with what it
// tests would agree with its mistakes.
package sandbox
