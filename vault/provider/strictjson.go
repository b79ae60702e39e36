package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

var (
	errDuplicate = errors.New("duplicate name")
	errDeep      = errors.New("nested too deep")
	errTrailing  = errors.New("more than one value")
)

const maxDepth = 64

// decodeJSON reads one JSON value, names compared as they are: encoding/json
// would fold their case and take the last of two (R40, T17). Numbers stay text.
func decodeJSON(body []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	v, err := value(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errTrailing
	}
	return v, nil
}

func value(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, errInvalid
	}
	switch tok {
	case json.Delim('{'):
		return object(dec, depth)
	case json.Delim('['):
		return array(dec, depth)
	}
	return tok, nil
}

func object(dec *json.Decoder, depth int) (any, error) {
	out := make(map[string]any)
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, errInvalid
		}
		name, ok := tok.(string)
		if !ok {
			return nil, errInvalid
		}
		if _, ok := out[name]; ok {
			return nil, errDuplicate
		}
		if out[name], err = value(dec, depth+1); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, errInvalid
	}
	return out, nil
}

func array(dec *json.Decoder, depth int) (any, error) {
	var out []any
	for dec.More() {
		v, err := value(dec, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	if _, err := dec.Token(); err != nil {
		return nil, errInvalid
	}
	return out, nil
}

// lookup is the first value that one of the paths ("mail|userPrincipalName")
// leads to, as text; "" when none does.
func lookup(doc any, paths string) string {
	for path := range strings.SplitSeq(paths, "|") {
		if path == "" {
			continue
		}
		for _, v := range walk(doc, path) {
			if s := text(v); s != "" {
				return s
			}
		}
	}
	return ""
}

// truth says whether path leads to true (or to "true", as some vendors write it).
func truth(doc any, path string) bool {
	return path != "" && lookup(doc, path) == "true"
}

// walk collects what a path leads to: names joined by dots, "[]" behind a name
// or alone for each element of an array.
func walk(doc any, path string) []any {
	found := []any{doc}
	for name := range strings.SplitSeq(path, ".") {
		name, each := strings.CutSuffix(name, "[]")
		var next []any
		for _, v := range found {
			if name != "" {
				m, _ := v.(map[string]any)
				v = m[name]
			}
			if list, ok := v.([]any); each && ok {
				next = append(next, list...)
			} else if !each && v != nil {
				next = append(next, v)
			}
		}
		found = next
	}
	return found
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return ""
}
