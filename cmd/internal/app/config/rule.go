package config

import (
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// rule reads one value of the file into a V, and describes itself.
type rule[V any] struct {
	kind   string                                           // "duration", as the documentation shows it
	read   func(r *reader, path string, n ast.Node, out *V) // reports what is wrong; out stays zero then
	absent func(r *reader, path string, out *V)             // the key is not there and has no default; may be nil
	docs   func(path string) []KeyDoc                       // keys below; may be nil
}

// key is one line of the table: a name in a map that becomes a T.
type key[T any] struct {
	name, kind, def, shown, doc string
	read                        func(r *reader, path string, n ast.Node, out *T)
	absent                      func(r *reader, path string, out *T)
	docs                        func(path string) []KeyDoc
}

// field makes a key from the rule for its value and the place for it in T.
func field[T, V any](name string, rule rule[V], at func(*T) *V, doc string) key[T] {
	return key[T]{
		name: name, kind: rule.kind, doc: doc, docs: rule.docs,
		read: func(r *reader, path string, n ast.Node, out *T) { rule.read(r, path, n, at(out)) },
		absent: func(r *reader, path string, out *T) {
			if rule.absent != nil {
				rule.absent(r, path, at(out))
			}
		},
	}
}

// or gives the key a default, in YAML. It is read by the key's own rule.
func (k key[T]) or(yaml string) key[T] {
	read := k.read
	k.def = yaml
	k.absent = func(r *reader, path string, out *T) {
		if n, ok := r.document([]byte(yaml)); ok {
			read(r, path, n, out)
		}
	}
	return k
}

// computed documents a default that depends on the system; finish fills it in.
func (k key[T]) computed(shown string) key[T] {
	k.shown = shown
	return k
}

// object reads a map with known keys.
func object[T any](keys ...key[T]) rule[T] {
	names := make([]string, len(keys))
	byName := make(map[string]key[T], len(keys))
	for i, k := range keys {
		names[i], byName[k.name] = k.name, k
	}
	fill := func(r *reader, path string, out *T) {
		for _, k := range keys {
			if p := join(path, k.name); !r.set(p) {
				k.absent(r, p, out)
			}
		}
	}
	return rule[T]{
		kind: "map",
		read: func(r *reader, path string, n ast.Node, out *T) {
			for _, e := range r.entries(path, n) {
				k, ok := byName[e.name]
				if !ok {
					r.unknown(path, e, names)
					continue
				}
				r.lines[join(path, e.name)] = e.line
				k.read(r, join(path, e.name), e.value, out)
			}
			fill(r, path, out)
		},
		absent: fill,
		docs: func(path string) []KeyDoc {
			var list []KeyDoc
			for _, k := range keys {
				list = append(list, k.describe(path)...)
			}
			return list
		},
	}
}

// mapOf reads a map whose keys are names that the operator gives.
func mapOf[V any](placeholder string, checkName func(r *reader, name string) string, element rule[V]) rule[map[string]V] {
	return rule[map[string]V]{
		kind: "map of " + placeholder + ": " + element.kind,
		read: func(r *reader, path string, n ast.Node, out *map[string]V) {
			m := map[string]V{}
			for i, e := range r.entries(path, n) {
				at := join(path, shownName(e.name, i))
				r.lines[at] = e.line
				if why := checkName(r, e.name); why != "" {
					r.problem(at, why)
				}
				var v V
				element.read(r, at, e.value, &v)
				m[e.name] = v
			}
			*out = m
		},
		absent: func(_ *reader, _ string, out *map[string]V) { *out = map[string]V{} },
		docs:   func(path string) []KeyDoc { return below(element, join(path, placeholder)) },
	}
}

// listOf reads a list; an empty value counts as an empty list.
func listOf[V any](element rule[V]) rule[[]V] {
	return rule[[]V]{
		kind: "list of " + element.kind,
		read: func(r *reader, path string, n ast.Node, out *[]V) {
			var values []ast.Node
			switch n := n.(type) {
			case nil, *ast.NullNode:
			case *ast.SequenceNode:
				values = n.Values
			default:
				r.wrongType(path, "a list: [a, b], or one \"- a\" on each line", n)
			}
			for i, value := range values {
				at := path + "[" + strconv.Itoa(i) + "]"
				if line := lineOf(value); r.set(path) && line > 0 {
					r.lines[at] = line
				}
				var v V
				element.read(r, at, value, &v)
				*out = append(*out, v)
			}
		},
		docs: func(path string) []KeyDoc { return below(element, path+"[]") },
	}
}

func below[V any](element rule[V], path string) []KeyDoc {
	if element.docs == nil {
		return nil
	}
	return element.docs(path)
}

// shownName is a name as messages show it; one that could be anything else
// is shown by its place.
func shownName(name string, i int) string {
	if isName(name) || looksLikeKey(name) {
		return name
	}
	return "#" + strconv.Itoa(i+1)
}

// KeyDoc describes one key of the configuration.
type KeyDoc struct {
	Path    string // "connections.NAME.client_id"; "[]" stands for an element of a list
	Type    string // "address", "list of URL", "ask | allow | deny", …
	Default string // in YAML; in parentheses where it depends on the system; "" = none
	Doc     string // a sentence or two
}

// Keys describes every key, maps before the keys in them, in the order of the
// documentation. It is the same table that the parser walks.
func Keys() []KeyDoc { return topKeys().docs("") }

func (k key[T]) describe(path string) []KeyDoc {
	at := join(path, k.name)
	def := k.def
	if k.shown != "" {
		def = "(" + k.shown + ")"
	}
	list := []KeyDoc{{Path: at, Type: k.kind, Default: def, Doc: k.doc}}
	if k.docs != nil {
		list = append(list, k.docs(at)...)
	}
	return list
}
