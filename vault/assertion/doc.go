// Package assertion is how a client proves itself with a key: by a JWT that it
// signed, for us, for a short time, and once (private_key_jwt; RFC 7521, RFC 7523).
// Both halves of the token endpoint stand on it.
//
// # What holds
//
//   - A signature counts only if a public key of the client's own made it. Of the header kid, alg and typ are read, and no key.
//   - Claims are read by their exact names, each once.
//   - An id that was used is in the store, so that it counts once after a restart and on every replica, at both halves.
//   - No assertion and no key is in an error.
//
// It is a leaf: it imports nothing of ours.
package assertion
