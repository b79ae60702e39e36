// Package gate stands in front of everything that Grantry serves: how slowly a
// client may send and read, and whose address a request has when proxies are in between.
//
// The invariant: behind it no header of a proxy is left that somebody might
// believe, and no client holds a request for longer than its pace allows.
package gate
