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
	Name    string          // of the tool
	Cursor  string          // of a list

	params       json.RawMessage
	capabilities json.RawMessage // that a modern client declares in _meta
}

func (m message) modern() bool { return mcpgo.IsModernProtocol(m.Version) }

var (
	errSyntax = errors.New("the message is not valid JSON")
	errShape  = errors.New("the message is not one JSON-RPC object (no batch) in which each name stands once")
	errID     = errors.New("the id of a request must be a string or a number")
	errDeep   = errors.New("the message is nested too deeply")
	errCut    = errors.New("the message could not be read to its end")
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
		Method *string         `json:"method"`
		Params json.RawMessage `json:"params"`
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return message{}, errShape
	}
	if e.Method == nil {
		if e.Result == nil && e.Error == nil {
			return message{}, errShape
		}
		return message{ID: e.ID}, nil
	}
	m := message{ID: e.ID, Method: *e.Method}
	if m.ID != nil && !isID(m.ID) {
		return message{}, errID
	}
	err := m.read(e.Params)
	if m.ID == nil {
		err = nil // a notification gets no answer
	}
	return m, err
}

// isID says whether raw may identify a request: MCP takes strings and numbers,
// and unlike JSON-RPC no null.
func isID(raw json.RawMessage) bool {
	return raw[0] == '"' || raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
}

// read takes of params what the transports need, and holds what the protocol
// names in them to its kind.
func (m *message) read(params json.RawMessage) error {
	if params == nil || string(params) == "null" {
		return nil
	}
	var p map[string]json.RawMessage
	if json.Unmarshal(params, &p) != nil {
		return &paramsError{"params must be an object"}
	}
	for _, name := range []string{"name", "cursor", "requestState", "protocolVersion"} {
		if v := p[name]; v != nil && v[0] != '"' && string(v) != "null" {
			return &paramsError{"params." + name + " must be a string"}
		}
	}
	for _, name := range []string{"_meta", "inputResponses", "capabilities", "clientInfo"} {
		if v := p[name]; v != nil && v[0] != '{' && string(v) != "null" {
			return &paramsError{"params." + name + " must be an object"}
		}
	}
	m.params = params
	var meta map[string]json.RawMessage
	_ = json.Unmarshal(p["_meta"], &meta)
	m.capabilities = meta[mcpgo.MetaKeyClientCapabilities]
	_ = json.Unmarshal(meta[mcpgo.MetaKeyProtocolVersion], &m.Version)
	_ = json.Unmarshal(p["name"], &m.Name)
	_ = json.Unmarshal(p["cursor"], &m.Cursor)
	return nil
}

// paramsError says what is wrong with the params of a request. It is answered under the request's id.
type paramsError struct{ text string }

func (e *paramsError) Error() string { return e.text }

// refusal is what a request is answered before mcp-go would see it, whose words
// do not say what to do: a tool or a page of a list that does not exist.
func (s *Server) refusal(m message) error {
	switch mcpgo.MCPMethod(m.Method) {
	case mcpgo.MethodToolsCall:
		e, ok := s.entries[m.Name]
		if !ok {
			return &paramsError{wordsNoTool(m.Name, s.ToolNames())}
		}
		return e.demands(m)
	case mcpgo.MethodToolsList:
		if m.Cursor != "" {
			return &paramsError{"params.cursor is not one that Grantry gave: leave it out, all tools are on one page"}
		}
	}
	return nil
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
