package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/grantry/grantry/tools"
)

// schemaOf is the JSON Schema of one of our own types. Lists do not admit null.
// It panics on a type that has none, which no input can cause.
func schemaOf[T any]() json.RawMessage {
	s, err := jsonschema.For[T](nil)
	if err != nil {
		panic(fmt.Sprintf("mcp: schema: %v", err))
	}
	withoutNull(s)
	raw, err := encode(s)
	if err != nil {
		panic(fmt.Sprintf("mcp: schema: %v", err))
	}
	return raw
}

func withoutNull(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if i := slices.Index(s.Types, "null"); i >= 0 && len(s.Types) == 2 {
		s.Type, s.Types = s.Types[1-i], nil
	}
	withoutNull(s.Items)
	for _, p := range s.Properties {
		withoutNull(p)
	}
}

// result is v as structured content and as the same text.
func result[T any](v T) (*tools.Result, error) {
	raw, err := encode(v)
	if err != nil {
		return nil, fmt.Errorf("encoding result: %w", err)
	}
	return &tools.Result{Structured: raw, Text: string(raw)}, nil
}

func encode[T any](v T) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
