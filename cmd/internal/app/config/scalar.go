package config

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// scalar is a rule for one line of text. Parse answers why the text is wrong,
// without quoting it; "" = it is right.
func scalar[V any](kind string, parse func(r *reader, path, s string) (V, string)) rule[V] {
	return rule[V]{
		kind: kind,
		read: func(r *reader, path string, n ast.Node, out *V) {
			s, ok := textOf(n)
			if !ok {
				r.wrongType(path, article(kind), n)
				return
			}
			v, why := parse(r, path, s)
			if why == "" && strings.ContainsFunc(s, isControl) {
				why = "must be one line of plain text"
			}
			if why != "" {
				r.problem(path, why)
				return
			}
			*out = v
		},
	}
}

func article(kind string) string {
	switch {
	case strings.Contains(kind, " | "):
		return "one of " + strings.ReplaceAll(kind, " | ", ", ")
	case strings.HasPrefix(kind, "text"):
		return kind
	case strings.ContainsRune("aeio", rune(kind[0])):
		return "an " + kind
	}
	return "a " + kind
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		if n.Value != nil {
			return strings.TrimRight(n.Value.Value, "\n"), true
		}
	}
	return "", false
}

// text is any text but an empty one.
func text() rule[string] {
	return scalar("text", func(_ *reader, _, s string) (string, string) {
		if s == "" {
			return "", "must not be empty; give it a value or remove the key"
		}
		return s, ""
	})
}

// identifier is text that may look like a number, as vendors' client ids do.
// The digits are kept as they are written.
func identifier() rule[string] {
	plain := text()
	read := plain.read
	plain.read = func(r *reader, path string, n ast.Node, out *string) {
		switch n.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
			*out = n.GetToken().Value
			return
		}
		read(r, path, n, out)
	}
	return plain
}

// optional also takes an empty text, which leaves the value zero.
func optional[V any](of rule[V]) rule[V] {
	read := of.read
	of.read = func(r *reader, path string, n ast.Node, out *V) {
		if s, ok := textOf(n); ok && s == "" {
			return
		}
		read(r, path, n, out)
	}
	return of
}

// oneOf is a closed list of words.
func oneOf[S ~string](words ...S) rule[S] {
	known := make([]string, len(words))
	for i, w := range words {
		known[i] = string(w)
	}
	return scalar(strings.Join(known, " | "), func(_ *reader, _, s string) (S, string) {
		for _, w := range words {
			if s == string(w) {
				return w, ""
			}
		}
		return "", "must be one of " + strings.Join(known, ", ") + meant(s, known)
	})
}

func meant(s string, known []string) string {
	if near := nearest(s, known); near != "" {
		return "; did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

// boolean is true or false.
func boolean() rule[bool] {
	return rule[bool]{kind: "true | false", read: func(r *reader, path string, n ast.Node, out *bool) {
		b, ok := n.(*ast.BoolNode)
		if !ok {
			r.wrongType(path, "true or false", n)
			return
		}
		*out = b.Value
	}}
}

// count is a whole number, 0 or more.
func count() rule[int] {
	const largest = 1_000_000_000
	return rule[int]{kind: "number", read: func(r *reader, path string, n ast.Node, out *int) {
		i, ok := n.(*ast.IntegerNode)
		if !ok {
			r.wrongType(path, "a whole number, 0 or more", n)
			return
		}
		v, ok := i.Value.(uint64)
		if !ok || v > largest {
			r.problem(path, "must be a whole number from 0 to "+strconv.Itoa(largest))
			return
		}
		*out = int(v)
	}}
}

// duration is a positive time such as 8h or 1h30m.
func duration() rule[time.Duration] {
	const example = "must be a duration with its unit, such as 8h, 30m or 720h"
	plain := scalar("duration", func(_ *reader, _, s string) (time.Duration, string) {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, example
		}
		if d <= 0 {
			return 0, "must be longer than nothing, such as 8h"
		}
		return d, ""
	})
	read := plain.read
	plain.read = func(r *reader, path string, n ast.Node, out *time.Duration) {
		switch n.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
			r.problem(path, example)
			return
		}
		read(r, path, n, out)
	}
	return plain
}

// age is a duration after which something happens by itself; 0 = never.
func age() rule[time.Duration] {
	some := duration()
	read := some.read
	some.read = func(r *reader, path string, n ast.Node, out *time.Duration) {
		if i, ok := n.(*ast.IntegerNode); ok && i.GetToken().Value == "0" {
			*out = 0
			return
		}
		read(r, path, n, out)
	}
	return some
}

// filePath is a path; ~ is the home folder, and a relative one starts at the
// configuration file's folder.
func filePath() rule[string] {
	return scalar("path", func(r *reader, _, s string) (string, string) { return r.resolve(s) })
}

func (r *reader) resolve(s string) (path, why string) {
	rest, tilde := strings.CutPrefix(s, "~")
	switch {
	case s == "":
		return "", "must not be empty; give a path or remove the key"
	case strings.Contains(s, "://"):
		return "", "must be a path, not a URL"
	case tilde && rest != "" && !isSlash(rest[0]):
		return "", "must not name another user's home folder; write the path out"
	case tilde && r.home == "":
		return "", "uses ~, but there is no home folder; write the path out"
	case tilde:
		return filepath.Join(r.home, rest), ""
	case filepath.IsAbs(s):
		return filepath.Clean(s), ""
	case r.base == "":
		return "", "must be an absolute path"
	}
	return filepath.Join(r.base, s), ""
}

func isSlash(c byte) bool { return c == '/' || c == filepath.Separator }

// isName says whether s may name a connection, a workload or a client.
func isName(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if !isLower(c) && !isDigit(c) && c != '-' {
			return false
		}
	}
	return true
}

func checkName(_ *reader, s string) string {
	if isName(s) {
		return ""
	}
	return "a name must be 1 to 63 of a-z, 0-9 and -, and not begin with -"
}

// checkToolName takes what tools are called.
func checkToolName(_ *reader, s string) string {
	for i, c := range []byte(s) {
		if !isLower(c) && (i == 0 || !isDigit(c) && c != '_') {
			return "is not the name of a tool; `grantry tools list` shows them"
		}
	}
	if s == "" || len(s) > 64 {
		return "is not the name of a tool; `grantry tools list` shows them"
	}
	return ""
}
