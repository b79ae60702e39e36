package tools

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// Value is a JSON string, number, boolean or null, as an argument in a map of
// fields by name. Such a map needs maxProperties, and its values a maxLength.
type Value struct{ raw json.RawMessage }

// UnmarshalJSON keeps the value as it was written.
func (v *Value) UnmarshalJSON(raw []byte) error {
	v.raw = slices.Clone(raw)
	return nil
}

// MarshalJSON is the value as it was written.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.raw == nil {
		return []byte("null"), nil
	}
	return v.raw, nil
}

// Text is the value for a person: a string without its quotes, "" for null.
func (v Value) Text() string {
	var s string
	if len(v.raw) == 0 || string(v.raw) == "null" {
		return ""
	}
	if json.Unmarshal(v.raw, &s) == nil {
		return s
	}
	return string(v.raw)
}

func valueSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Types: []string{"string", "number", "boolean", "null"}}
}

// byName says whether s is of a map of values.
func byName(s *jsonschema.Schema) bool {
	return s.Type == "object" && s.MaxProperties != nil && s.AdditionalProperties != nil
}

func checkByName(path string, s *jsonschema.Schema, o map[string]any) (any, error) {
	if len(o) > *s.MaxProperties {
		return nil, &InputError{Path: path, Reason: fmt.Sprintf("has %d entries; at most %d are allowed", len(o), *s.MaxProperties)}
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		at := join(path, shown(name))
		switch v := o[name].(type) {
		case map[string]any, []any:
			return nil, &InputError{Path: at, Reason: "must be a string, a number, true, false or null, not " + kindOf(v)}
		case string:
			if err := checkString(at, s.AdditionalProperties, v); err != nil {
				return nil, err
			}
		case json.Number:
			if _, err := checkNumber(at, &jsonschema.Schema{Type: "number"}, v); err != nil {
				return nil, err
			}
		}
	}
	return o, nil
}
