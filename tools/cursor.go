package tools

import (
	"encoding/base64"
	"encoding/json"
)

// MaxCursor is how many characters a cursor may have; the maxLength of every
// `cursor` argument.
const MaxCursor = 4096

// cursorBinding is what a cursor is good for: one tool, one query, one account.
type cursorBinding struct{ tool, args, grant string }

// cursor is what a client carries between the pages of a list, as base64url of
// JSON. It is not secret and not signed: everything in it is checked or bound
// to the caller's own account before it is used.
type cursor struct {
	Tool  string          `json:"t"`
	Args  string          `json:"q"` // digest of the arguments
	Grant string          `json:"a"` // digest of the grant's id
	State json.RawMessage `json:"s"`
}

// Page is the usual state of a cursor: the vendor's token of a page and how
// many of its items were already given (a result holds less than a vendor's page).
type Page struct {
	Token string `json:"p,omitempty"` // "" = the first page
	Skip  int    `json:"n,omitempty"`
}

// NextCursor is a cursor that goes on at state, for the same tool, arguments and account.
func NextCursor[S any](c *Client, state S) (string, error) {
	s, err := encode(state)
	if err != nil {
		return "", err
	}
	data, err := encode(cursor{Tool: c.binding.tool, Args: c.binding.args, Grant: digest(c.binding.grant), State: s})
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(data), nil
}

// Resume is the state of a cursor; "" answers the zero state, the beginning. A
// cursor of another tool, query or account is an [InputError].
func Resume[S any](c *Client, from string) (S, error) {
	var state S
	if from == "" {
		return state, nil
	}
	var cur cursor
	data, err := base64.RawURLEncoding.DecodeString(from)
	if err != nil || json.Unmarshal(data, &cur) != nil || json.Unmarshal(cur.State, &state) != nil {
		return state, &InputError{Path: "cursor", Reason: "must be a next_cursor of an earlier result, unchanged"}
	}
	switch {
	case cur.Tool != c.binding.tool:
		return state, &InputError{Path: "cursor", Reason: "belongs to another tool"}
	case cur.Grant != digest(c.binding.grant):
		return state, &InputError{Path: "cursor", Reason: "belongs to another account; give the account that its result came from"}
	case cur.Args != c.binding.args:
		return state, &InputError{Path: "cursor", Reason: "belongs to other arguments; give those of the call that answered it"}
	}
	return state, nil
}

// ResumePage is [Resume] for a [Page].
func ResumePage(c *Client, from string) (Page, error) {
	p, err := Resume[Page](c, from)
	if err == nil && p.Skip < 0 {
		err = &InputError{Path: "cursor", Reason: "must be a next_cursor of an earlier result, unchanged"}
	}
	return p, err
}

// Cut leaves of a vendor's page what was not given before and what a result can
// hold. next is where to go on: within this page, at the vendor's next, or
// (more = false) nowhere.
func Cut[T any](at Page, items []T, vendorNext string) (kept []T, next Page, more bool) {
	rest := items[min(at.Skip, len(items)):]
	n := Fit(rest)
	if n < len(rest) {
		return rest[:n], Page{Token: at.Token, Skip: at.Skip + n}, true
	}
	return rest, Page{Token: vendorNext}, vendorNext != ""
}
