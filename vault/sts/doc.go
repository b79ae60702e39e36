// Package sts is the token endpoint for workloads: an application exchanges a
// token of its user for a token at a vendor (RFC 8693), and calls the vendor itself.
//
//	request ─► the workload proves itself ─► whose subject token is it? ─► policy ─► vault.Exchange ─► answer
//
// The package knows one form, the standard's. Auth0's names for the same are an
// alias layer over it (auth0.go): mapped on the way in and on the way out.
//
// The proxy (proxy*.go) is the same without handing the token out: the workload exchanges for a
// proxy token, and sends its request here, which goes on to the vendor with the token added.
//
//	request ─► one spelling? ─► proxy token ─► on the workload's list? ─► a write: its person's yes ─► vault.Exchange ─► vendor
//
// # What holds
//
//   - Only a workload of the config is answered, and only for the connections that its policy names.
//   - A subject token is addressed to {public_url}/ or to an audience that the workload's own config
//     lists. What an MCP client holds is none, and never becomes a vendor's token.
//   - A token leaves by vault.Exchange alone, so that access, approvals, scopes and audit are those of any agent.
//   - Every refusal says why, and where a person can mend it, where. A vendor's outage is never a question to a person.
//   - No token, secret or assertion is in a log, an error or the audit.
//
// It must not import mcp or consent: who verifies tokens is given to it, and it meets the pages in tickets.
package sts
