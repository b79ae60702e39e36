package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

const (
	maxBody  = 4 << 20 // bytes of one message
	maxDepth = 64      // of objects and lists in each other
)

// message is what the transports need to know of a JSON-RPC message.
type message struct {
	ID      json.RawMessage // nil = a notification
	Method  string          // "" = a response
	Version string          // protocol version in _meta, "" in the 2025 era
}

func (m message) modern() bool { return mcpgo.IsModernProtocol(m.Version) }

var (
	errSyntax = errors.New("the message is not valid JSON")
	errShape  = errors.New("the message is not one JSON-RPC object with unique names")
	errDeep   = errors.New("the message is nested too deeply")
)

// decisive are the names that decide what a message does. encoding/json would take
// them in any case, and the last of two; a parser in front of us may see another (R40).
func decisive() []string {
	return []string{
		"jsonrpc", "id", "method", "params", "result", "error",
		"name", "arguments", "_meta", "task", "inputResponses", "requestState",
		"protocolVersion", "capabilities", "clientInfo", "requestId", "notifications", "cursor",
	}
}

// parse reads a message strictly: UTF-8, one object, each name once in whatever
// case, no NUL in a name, at most 64 levels. It answers what the transports need.
func parse(raw []byte) (message, error) {
	if !utf8.Valid(raw) {
		return message{}, errSyntax
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if tok, err := d.Token(); err != nil {
		return message{}, errSyntax
	} else if tok != json.Delim('{') {
		return message{}, errShape
	}
	if err := checkObject(d, 1); err != nil {
		return message{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return message{}, errSyntax
	}
	return envelope(raw)
}

func envelope(raw []byte) (message, error) {
	var e struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return message{}, errShape
	}
	if string(e.ID) == "null" {
		e.ID = nil
	}
	m := message{ID: e.ID, Method: e.Method}
	var p struct {
		Meta map[string]json.RawMessage `json:"_meta"`
	}
	if json.Unmarshal(e.Params, &p) == nil {
		_ = json.Unmarshal(p.Meta[mcpgo.MetaKeyProtocolVersion], &m.Version)
	}
	return m, nil
}

// checkObject reads the rest of an object.
func checkObject(d *json.Decoder, depth int) error {
	if depth > maxDepth {
		return errDeep
	}
	seen := map[string]bool{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return errSyntax
		}
		name, _ := tok.(string)
		if err := checkName(name, seen, depth); err != nil {
			return err
		}
		if err := checkValue(d, depth); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errSyntax
	}
	return nil
}

// checkName refuses a name that stands twice, and, in the two levels that are
// the protocol's, one that differs from a decisive one in case alone.
func checkName(name string, seen map[string]bool, depth int) error {
	folded := strings.ToLower(name)
	if seen[folded] || strings.ContainsRune(name, 0) {
		return errShape
	}
	seen[folded] = true
	if depth <= 2 && slices.ContainsFunc(decisive(), func(d string) bool { return strings.EqualFold(d, name) && d != name }) {
		return errShape
	}
	return nil
}

func checkValue(d *json.Decoder, depth int) error {
	tok, err := d.Token()
	if err != nil {
		return errSyntax
	}
	switch tok {
	case json.Delim('{'):
		return checkObject(d, depth+1)
	case json.Delim('['):
		return checkList(d, depth+1)
	}
	return nil
}

func checkList(d *json.Decoder, depth int) error {
	if depth > maxDepth {
		return errDeep
	}
	for d.More() {
		if err := checkValue(d, depth); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errSyntax
	}
	return nil
}
