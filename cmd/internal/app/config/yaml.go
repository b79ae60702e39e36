package config

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds nested brackets and indentation: the parser recurses.
const maxDepth = 64

// document parses data to the root of its one document; nil is an empty one.
// It answers false after reporting why not. The library's own messages are
// never shown: they quote the lines around the mistake.
func (r *reader) document(data []byte) (ast.Node, bool) {
	if len(data) > maxFile {
		r.add(0, "", "the file is larger than 1 MiB")
		return nil, false
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		r.add(0, "", "the file is not UTF-8 text")
		return nil, false
	}
	file, err := parseYAML(string(data))
	if err != nil {
		line, message := syntaxProblem(err)
		r.add(line, "", message)
		return nil, false
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil, true
	case 1:
		return bodies[0], true
	}
	r.add(lineOf(bodies[1]), "", "the file holds more than one YAML document (---); only one is read")
	return nil, false
}

var (
	errTooDeep = errors.New("nested too deeply")
	errParser  = errors.New("the YAML parser gave up")
)

// parseYAML turns text into a tree. A panic of the library, which has had
// some on malformed input, is an error like any other.
func parseYAML(text string) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			file, err = nil, errParser
		}
	}()
	tokens := lexer.Tokenize(text)
	if tooDeep(tokens) {
		return nil, errTooDeep
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// tooDeep bounds open brackets, and what can nest within one line together
// with that line's indentation.
func tooDeep(tokens token.Tokens) bool {
	open, line, run := 0, 0, 0
	for _, t := range tokens {
		if t.Position != nil && t.Position.Line != line {
			line, run = t.Position.Line, t.Position.Column/2
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			run++
		}
		if open > maxDepth || run > maxDepth*2 {
			return true
		}
	}
	return false
}

// syntaxProblem says in our own words what the parser met.
func syntaxProblem(err error) (line int, message string) {
	var detail yaml.Error
	if errors.Is(err, errTooDeep) {
		return 0, fmt.Sprintf("the file is nested more than %d levels deep", maxDepth)
	}
	if !errors.As(err, &detail) {
		return 0, "the file is not valid YAML"
	}
	if t := detail.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	for _, known := range syntaxMessages() {
		if detail.GetMessage() == known.text {
			return line, "not valid YAML: " + known.means
		}
	}
	return line, "not valid YAML near this line: check the indentation, the colons and the quotes"
}

type syntaxMessage struct{ text, means string }

// syntaxMessages translates the parser's commonest messages that hold no text
// of the file.
func syntaxMessages() []syntaxMessage {
	return []syntaxMessage{
		{"',' or ']' must be specified", "a comma or ] is missing"},
		{"',' or '}' must be specified", "a comma or } is missing"},
		{"sequence end token ']' not found", "a ] is missing"},
		{"could not find flow mapping end token '}'", "a } is missing"},
		{"could not find '[' character corresponding to ']'", "a [ is missing"},
		{"could not find '{' character corresponding to '}'", "a { is missing"},
		{"could not find end character of single-quoted text", "a closing quote is missing"},
		{"could not find end character of double-quoted text", "a closing quote is missing"},
		{"found character '\t' that cannot start any token", "a tab is used for indentation; use spaces"},
		{"tab character cannot use as a map key directly", "a tab is used for indentation; use spaces"},
		{"'@' is a reserved character", "a value that begins with @ needs quotes"},
		{"'`' is a reserved character", "a value that begins with ` needs quotes"},
		{"unexpected key name", "a line without a key, or a colon without a space after it"},
		{"non-map value is specified", "a line without a key, or a colon without a space after it"},
		{"mapping value is not allowed in this context", "a second colon on this line, or wrong indentation; quote a value that has a colon followed by a space"},
		{"value is not allowed in this context. map key-value is pre-defined", "this line is indented too deeply, or the key before it already has a value"},
		{"value is not allowed in this context", "this line is not indented like the ones before it"},
	}
}

// pairsOf are the pairs of a map; an empty value counts as an empty map.
func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return nil, true
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// kindOf names a value's type in plain words.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case nil, *ast.NullNode:
		return "empty"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a map"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	}
	return "an anchor, alias or tag, which are not read here"
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}
