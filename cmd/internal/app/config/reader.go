package config

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// reader walks a syntax tree along the table and collects what is wrong.
type reader struct {
	base string // folder that relative paths start at
	home string
	env  func(string) string

	problems []Problem
	lines    map[string]int // line of every key that the file sets, by path
	secrets  []NamedSecret
	loopback []string // paths of vendor URLs that are plain http on loopback
}

func newReader(opts Options) *reader {
	r := &reader{home: opts.Home, env: opts.Env, lines: map[string]int{}}
	if dir := userConfigDir(opts.Env, opts.Home); dir != "" {
		r.base = filepath.Join(dir, "grantry")
	}
	return r
}

// problem reports what is wrong with a key, at its line or its nearest parent's.
func (r *reader) problem(path, message string) {
	at := path
	if path == "" {
		at = "the file"
	}
	r.add(r.line(path), path, at+": "+message)
}

func (r *reader) add(line int, path, message string) {
	r.problems = append(r.problems, Problem{Line: line, Path: path, Message: message})
}

// set says whether the file sets a key.
func (r *reader) set(path string) bool {
	_, ok := r.lines[path]
	return ok
}

func (r *reader) line(path string) int {
	for path != "" {
		if n, ok := r.lines[path]; ok {
			return n
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 0
}

// entry is one "key: value" of a map.
type entry struct {
	name  string
	line  int
	value ast.Node
}

// entries are the pairs of a map in the order of the file, each name once; an
// empty value counts as an empty map.
func (r *reader) entries(path string, n ast.Node) []entry {
	pairs, ok := pairsOf(n)
	if !ok {
		r.wrongType(path, "a map (key: value)", n)
		return nil
	}
	var list []entry
	first := map[string]int{}
	for _, p := range pairs {
		e, ok := r.entry(path, p)
		if !ok {
			continue
		}
		if line, twice := first[e.name]; twice {
			r.add(e.line, join(path, e.name), "duplicate key "+quoteKey(e.name)+inPath(path)+"; it is already on line "+strconv.Itoa(line))
			continue
		}
		first[e.name] = e.line
		list = append(list, e)
	}
	return list
}

func (r *reader) entry(path string, p *ast.MappingValueNode) (entry, bool) {
	line := lineOf(p.Key)
	switch p.Key.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return entry{name: p.Key.GetToken().Value, line: line, value: p.Value}, true
	}
	r.add(line, path, "a key"+inPath(path)+" must be plain text: no merge keys (<<), anchors, aliases or tags")
	return entry{}, false
}

// unknown reports a key that the table does not have.
func (r *reader) unknown(path string, e entry, known []string) {
	before, _, colon := strings.Cut(e.name, ":")
	if near := nearest(before, known); colon && near == before {
		r.add(e.line, path, "a space is missing after "+quoteKey(near)+":"+inPath(path))
		return
	}
	message := "unknown key " + quoteKey(e.name) + inPath(path)
	if near := nearest(e.name, known); near != "" {
		message += "; did you mean " + strconv.Quote(near) + "?"
	} else {
		message += "; known here: " + strings.Join(known, ", ")
	}
	r.add(e.line, join(path, shownKey(e.name)), message)
}

func (r *reader) wrongType(path, want string, n ast.Node) {
	r.problem(path, "want "+want+"; this is "+kindOf(n))
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func inPath(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

// quoteKey quotes a key if it looks like one: anything else may be a value
// that slipped, a secret among them.
func quoteKey(name string) string {
	if !looksLikeKey(name) {
		return "(not shown: it does not look like a key)"
	}
	return strconv.Quote(name)
}

func shownKey(name string) string {
	if !looksLikeKey(name) {
		return "?"
	}
	return name
}

func looksLikeKey(name string) bool {
	if name == "" || len(name) > 30 {
		return false
	}
	for _, c := range []byte(name) {
		if !isLower(c) && !isUpper(c) && !isDigit(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
