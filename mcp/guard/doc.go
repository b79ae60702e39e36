// Package guard fetches documents from addresses that a stranger has named, such
// as a client's metadata document, without becoming the stranger's arm in the
// operator's network (SSRF). What the operator's own config names does not come
// through here.
//
// The invariants: the address that is really dialled is looked at, after DNS and
// for each connection anew, and must be one of the public internet ([Public]); no
// proxy is asked, since it would dial for us; no redirect is followed; nothing but
// https is spoken; a document has a size and a time.
//
// It is a leaf: it imports nothing of ours.
package guard
