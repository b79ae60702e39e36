package tools

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
)

const (
	maxArguments = 512 << 10 // bytes of all arguments together
	maxDepth     = 16        // of lists and objects in each other
)

// readArguments checks what a client sent against the schema and answers it
// with the defaults filled in, apart from the account.
func readArguments(tool string, s *jsonschema.Schema, raw json.RawMessage) (args json.RawMessage, account string, err error) {
	v, err := parse(raw)
	if err != nil {
		return nil, "", err
	}
	v, err = check(tool, "", s, v)
	if err != nil {
		return nil, "", err
	}
	object := v.(map[string]any) // the root of every input schema is an object
	account, _ = object[accountArgument].(string)
	delete(object, accountArgument)
	args, err = encode(object)
	return args, account, err
}

// parse reads JSON as strictly as RFC 8259 §4 recommends: a name may stand in
// an object once. encoding/json would take the last one.
func parse(raw json.RawMessage) (any, error) {
	if len(bytes.TrimSpace(raw)) == 0 || string(bytes.TrimSpace(raw)) == "null" {
		return map[string]any{}, nil
	}
	if len(raw) > maxArguments {
		return nil, &InputError{Reason: fmt.Sprintf("are %s long; at most %s are allowed", FormatSize(int64(len(raw))), FormatSize(maxArguments))}
	}
	if !utf8.Valid(raw) {
		return nil, &InputError{Reason: "are not valid UTF-8"}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := value(d, "", 0)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errSyntax
		}
	}
	if err != nil {
		if in, ok := errors.AsType[*InputError](err); ok {
			return nil, in
		}
		return nil, &InputError{Reason: "are not valid JSON"}
	}
	return v, nil
}

var errSyntax = errors.New("not JSON")

func value(d *json.Decoder, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, &InputError{Reason: fmt.Sprintf("are nested too deeply; at most %d levels are allowed", maxDepth)}
	}
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('{'):
		return object(d, path, depth)
	case json.Delim('['):
		return list(d, path, depth)
	}
	return tok, nil
}

func object(d *json.Decoder, path string, depth int) (any, error) {
	out := map[string]any{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := tok.(string)
		if !ok {
			return nil, errSyntax
		}
		if _, double := out[name]; double {
			return nil, &InputError{Path: join(path, shown(name)), Reason: "is given twice"}
		}
		if out[name], err = value(d, join(path, shown(name)), depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return out, err
}

func list(d *json.Decoder, path string, depth int) (any, error) {
	out := []any{}
	for d.More() {
		v, err := value(d, fmt.Sprintf("%s[%d]", path, len(out)), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := d.Token()
	return out, err
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// shown is a name that a client made up, short enough for a sentence.
func shown(name string) string {
	if plainName(name) {
		return name
	}
	return fmt.Sprintf("%q", Head(name, 40))
}

func plainName(s string) bool {
	for _, r := range s {
		if r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 40
}

// argumentDigest identifies a query, so that its cursor is not used with
// another. args are encoded by us: sorted names, no spaces.
func argumentDigest(args json.RawMessage) string {
	var object map[string]json.RawMessage
	if json.Unmarshal(args, &object) == nil {
		delete(object, "cursor")
		args = mustEncode(object)
	}
	return digest(string(args))
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
