// Package provider is all that Grantry says to a vendor, and all that it knows
// about one.
//
// # Vendors are data
//
// Catalog answers a Set of Provider values, one file per vendor. A Provider
// holds addresses and quirks: how scopes are written, what a token answer looks
// like, what a refresh kills, what a redirect URI may be. The same code runs
// for all of them, and a deviation is a field whose comment names the vendor.
// What no source confirms stands in Unverified. "oidc" takes its addresses from
// the issuer's discovery document, "oauth2" from the configuration.
//
// # A connection
//
// NewConnection puts a Provider and the operator's Registration together. It
// sends nothing. Of its methods
//
//   - AuthCodeURL, RedirectURI and CheckIss are the browser's leg,
//   - Redeem and Refresh are each exactly one POST to the token endpoint,
//   - Identify says whose account a grant is,
//   - Revoke takes a grant back,
//   - Destination is a digest of where the grant's tokens may go.
//
// A failed POST is a *TokenError whose Class says what it proves: Clean (nothing
// was spent), Rejected (the vendor does not take this token or code) or
// Ambiguous (it may have been spent). Neither of them proves a grant dead.
//
// # A call
//
// A Bearer is a token on its way into a request. Bearer.Client is an
// http.Client whose Transport sends the token to the connection's API hosts
// only, asks once for a newer one when the API says that it is dead, turns
// "scope missing" into *ScopeError, caps the answer and hides the token from
// whoever made the call.
//
// # Invariants
//
//   - No token, code, verifier, client secret or text of a vendor stands in an
//     error, and a Secret prints as [redacted] however it is printed.
//   - A token endpoint sees one request per Redeem or Refresh: fixed client
//     authentication, no redirect followed, no body that net/http could send again.
//   - Every answer is read up to a cap that counts after decompression, and
//     every request has an end.
//   - A token never goes to a host that the configuration or the catalog does
//     not name, and over plain http only to loopback.
//
// The package is a leaf: it imports nothing of ours, and nobody else imports
// golang.org/x/oauth2.
package provider
