package tools

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
)

// check holds v against s and answers v with the defaults filled in. It knows
// the keywords that [Define] lets an argument have; a general validator would
// not say what is allowed instead.
func check(tool, path string, s *jsonschema.Schema, v any) (any, error) {
	switch s.Type {
	case "object":
		o, ok := v.(map[string]any)
		if ok && byName(s) {
			return checkByName(path, s, o)
		}
		if ok {
			return checkObject(tool, path, s, o)
		}
	case "array":
		if l, ok := v.([]any); ok {
			return checkList(tool, path, s, l)
		}
	case "string":
		if str, ok := v.(string); ok {
			return str, checkString(path, s, str)
		}
	case "integer", "number":
		if n, ok := v.(json.Number); ok {
			return checkNumber(path, s, n)
		}
	case "boolean":
		if b, ok := v.(bool); ok {
			return b, nil
		}
	}
	return nil, &InputError{Path: path, Reason: fmt.Sprintf("must be %s, not %s", nameOf(s.Type), kindOf(v))}
}

func checkObject(tool, path string, s *jsonschema.Schema, o map[string]any) (any, error) {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if s.Properties[name] == nil {
			return nil, unknown(tool, path, name, s)
		}
	}
	out := make(map[string]any, len(s.Properties))
	for _, name := range s.PropertyOrder {
		p := s.Properties[name]
		v, given := o[name]
		switch {
		case given:
			checked, err := check(tool, join(path, name), p, v)
			if err != nil {
				return nil, err
			}
			out[name] = checked
		case slices.Contains(s.Required, name):
			return nil, &InputError{Path: join(path, name), Reason: "is missing; required: " + strings.Join(s.Required, ", ")}
		case p.Default != nil:
			out[name] = p.Default
		}
	}
	return out, nil
}

func checkList(tool, path string, s *jsonschema.Schema, l []any) (any, error) {
	if len(l) > *s.MaxItems {
		return nil, &InputError{Path: path, Reason: fmt.Sprintf("has %d entries; at most %d are allowed", len(l), *s.MaxItems)}
	}
	out := make([]any, len(l))
	for i, v := range l {
		checked, err := check(tool, fmt.Sprintf("%s[%d]", path, i), s.Items, v)
		if err != nil {
			return nil, err
		}
		out[i] = checked
	}
	return out, nil
}

func checkString(path string, s *jsonschema.Schema, v string) error {
	n := utf8.RuneCountInString(v)
	switch {
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, any(v)):
		return &InputError{Path: path, Reason: fmt.Sprintf("must be one of: %q", s.Enum)}
	case s.MaxLength != nil && n > *s.MaxLength:
		return &InputError{Path: path, Reason: fmt.Sprintf("is %d characters long; at most %d are allowed", n, *s.MaxLength)}
	case s.MinLength != nil && n < *s.MinLength:
		if n == 0 {
			return &InputError{Path: path, Reason: "must not be empty"}
		}
		return &InputError{Path: path, Reason: fmt.Sprintf("is %d characters long; at least %d are needed", n, *s.MinLength)}
	case s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v):
		return &InputError{Path: path, Reason: "must match " + s.Pattern + meant(s)}
	}
	return nil
}

// meant is a pattern in the words of its description: " (ts of the message)".
func meant(s *jsonschema.Schema) string {
	if s.Description == "" {
		return ""
	}
	return " (" + strings.TrimSuffix(s.Description, ".") + ")"
}

// checkNumber takes 50.0 for the integer 50, as JSON Schema does (2020-12 §6.1.1).
func checkNumber(path string, s *jsonschema.Schema, n json.Number) (any, error) {
	f, err := n.Float64()
	if err != nil || len(n) > 40 {
		return nil, &InputError{Path: path, Reason: "is too large a number"}
	}
	if s.Minimum != nil && f < *s.Minimum || s.Maximum != nil && f > *s.Maximum {
		return nil, &InputError{Path: path, Reason: "must be " + between(s)}
	}
	if s.Type == "number" {
		return n, nil
	}
	if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return nil, &InputError{Path: path, Reason: "must be a whole number"}
	}
	return int64(f), nil
}

func between(s *jsonschema.Schema) string {
	switch {
	case s.Minimum == nil:
		return fmt.Sprintf("at most %v", *s.Maximum)
	case s.Maximum == nil:
		return fmt.Sprintf("at least %v", *s.Minimum)
	}
	return fmt.Sprintf("between %v and %v", *s.Minimum, *s.Maximum)
}

func nameOf(schemaType string) string {
	switch schemaType {
	case "object":
		return "an object"
	case "array":
		return "a list"
	case "integer":
		return "a whole number"
	case "boolean":
		return "true or false"
	}
	return "a " + schemaType
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return "true or false"
	}
	return "a number"
}

// unknown names the argument that was probably meant, and all that there are.
func unknown(tool, path, name string, s *jsonschema.Schema) error {
	reason := "is not an argument of " + tool
	if near := nearest(name, s.PropertyOrder); near != "" {
		reason += fmt.Sprintf("; did you mean %q?", near)
	} else {
		reason += "."
	}
	return &InputError{Path: join(path, shown(name)), Reason: reason + " Allowed: " + strings.Join(s.PropertyOrder, ", ")}
}

// nearest is the one of names that differs least from name, "" when none is near.
func nearest(name string, names []string) string {
	name = strings.ToLower(strings.ReplaceAll(Head(name, 40), "-", "_"))
	if name == "" {
		return ""
	}
	best, bestDistance := "", 3
	for _, n := range names {
		d := distance(name, n)
		if d >= bestDistance && (strings.HasPrefix(n, name) || strings.HasPrefix(name, n)) {
			d = 2
		}
		if d < bestDistance && d < max(len(n), len(name)) {
			best, bestDistance = n, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
