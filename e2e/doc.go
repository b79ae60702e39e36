// Package e2e holds the end-to-end tests: the real grantry binary, built with
// the race detector, against servers, clients and browsers that nobody on
// this project wrote.
//
// The counterparties live in counterparties/ (npm, pinned by a lockfile):
// oidc-provider as the issuer and as an `oidc` connection, emulate as Google
// and Slack, and both MCP TypeScript SDKs as clients. A missing one fails the
// run with a sentence; no test here skips.
//
// The package has no code of its own beside its tests. Nothing imports it.
package e2e
