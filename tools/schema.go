package tools

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// accountArgument is what every vendor tool takes besides its own arguments.
const accountArgument = "account"

// inputSchema is the schema of a tool's arguments, with `account` as the last.
func inputSchema[In any]() (*jsonschema.Schema, error) {
	s, err := schemaOf[In]()
	if err != nil {
		return nil, err
	}
	if err := bound(s, reflect.TypeFor[In]()); err != nil {
		return nil, err
	}
	for _, name := range []string{accountArgument, approvalArgument} {
		if s.Properties[name] != nil {
			return nil, fmt.Errorf("argument %s is Define's", name)
		}
	}
	if s.Properties == nil {
		s.Properties = map[string]*jsonschema.Schema{}
	}
	s.Properties[accountArgument] = &jsonschema.Schema{
		Type:        "string",
		Description: "Which connected account to use, by its label or id. Needed only when there are several and none is the default.",
		MinLength:   jsonschema.Ptr(1),
		MaxLength:   jsonschema.Ptr(320),
	}
	s.PropertyOrder = append(s.PropertyOrder, accountArgument)
	if err := bounded("", s); err != nil {
		return nil, err
	}
	_, err = s.Resolve(nil)
	return s, err
}

// outputSchema is the schema of a tool's structured result.
func outputSchema[Out any]() (*jsonschema.Schema, error) {
	s, err := schemaOf[Out]()
	if err != nil {
		return nil, err
	}
	_, err = s.Resolve(nil)
	return s, err
}

// schemaOf infers the schema of a struct. Lists and pointers do not admit null:
// an empty list is [], what is absent is left out.
func schemaOf[T any]() (*jsonschema.Schema, error) {
	opts := &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[json.RawMessage](): {},
		reflect.TypeFor[Value]():           valueSchema(),
	}}
	s, err := jsonschema.For[T](opts)
	if err != nil {
		return nil, fmt.Errorf("inferring schema: %w", err)
	}
	if s.Type != "object" {
		return nil, fmt.Errorf("%v is not a struct", reflect.TypeFor[T]())
	}
	withoutNull(s)
	return s, nil
}

func withoutNull(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if len(s.Types) == 2 && slices.Contains(s.Types, "null") {
		s.Type = s.Types[0]
		if s.Type == "null" {
			s.Type = s.Types[1]
		}
		s.Types = nil
	}
	withoutNull(s.Items)
	for _, p := range s.Properties {
		withoutNull(p)
	}
}

// bound adds what the schema tags of t's fields say, within lists and objects too.
func bound(s *jsonschema.Schema, t reflect.Type) error {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice {
			s = s.Items
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := s.Properties[name]
		if p == nil {
			continue
		}
		for rule := range strings.SplitSeq(f.Tag.Get("schema"), ",") {
			key, value, _ := strings.Cut(rule, "=")
			if err := addRule(p, key, value); err != nil {
				return fmt.Errorf("schema tag of %s: %w", f.Name, err)
			}
		}
		if err := bound(p, f.Type); err != nil {
			return err
		}
	}
	return nil
}

// addRule adds one rule. Those of strings hold for the items of a list, and for the values of a map.
func addRule(p *jsonschema.Schema, key, value string) (err error) {
	if p.Type == "object" && key != "" && key != "maxProperties" && p.AdditionalProperties != nil {
		p = p.AdditionalProperties
	}
	if p.Type == "array" && key != "maxItems" && p.Items != nil {
		p = p.Items
	}
	switch key {
	case "":
	case "minLength":
		p.MinLength, err = number(value, strconv.Atoi)
	case "maxLength":
		p.MaxLength, err = number(value, strconv.Atoi)
	case "maxItems":
		p.MaxItems, err = number(value, strconv.Atoi)
	case "maxProperties":
		p.MaxProperties, err = number(value, strconv.Atoi)
	case "minimum":
		p.Minimum, err = number(value, parseFloat)
	case "maximum":
		p.Maximum, err = number(value, parseFloat)
	case "pattern":
		p.Pattern = value
		_, err = regexp.Compile(value)
	case "enum":
		for v := range strings.SplitSeq(value, "|") {
			p.Enum = append(p.Enum, v)
		}
	case "default":
		p.Default = json.RawMessage(value)
		if p.Type == "string" {
			p.Default = mustEncode(value)
		}
		if !json.Valid(p.Default) {
			err = fmt.Errorf("bad default %q", value)
		}
	default:
		err = fmt.Errorf("unknown rule %q", key)
	}
	return err
}

func number[T any](s string, parse func(string) (T, error)) (*T, error) {
	v, err := parse(s)
	return &v, err
}

func parseFloat(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

// bounded refuses schemas that would let an argument be of any length.
func bounded(path string, s *jsonschema.Schema) error {
	switch s.Type {
	case "string":
		if s.MaxLength == nil && len(s.Enum) == 0 {
			return fmt.Errorf("%s has no maxLength", path)
		}
	case "array":
		if s.MaxItems == nil {
			return fmt.Errorf("%s has no maxItems", path)
		}
		return bounded(path+"[]", s.Items)
	case "object":
		if byName(s) && s.AdditionalProperties.MaxLength != nil {
			return nil
		}
		if s.Properties == nil {
			return fmt.Errorf("%s has no properties of its own, nor bounds for any", path)
		}
		for name, p := range s.Properties {
			if err := bounded(strings.TrimPrefix(path+"."+name, "."), p); err != nil {
				return err
			}
		}
	case "integer", "number", "boolean":
	default:
		return fmt.Errorf("%s has type %q, which arguments cannot have", path, s.Type)
	}
	return nil
}
