package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong in a configuration.
type Problem struct {
	Line    int    // 1-based; 0 = about no one line
	Path    string // the key, as "connections.google.client_id"; a flag begins with "--"
	Message string // a whole sentence that names the key and never quotes a value
}

// Problems is everything that is wrong in a configuration, in the order of
// the file. Its Error has one line for each, as "grantry.yaml:12: …".
type Problems struct {
	File string // as it was named; "" = no file
	List []Problem
}

// Error is one line for each problem.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, one := range p.List {
		lines[i] = p.line(one)
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) line(one Problem) string {
	switch {
	case p.File == "" || strings.HasPrefix(one.Path, "--"):
		return one.Message
	case one.Line == 0:
		return p.File + ": " + one.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.File, one.Line, one.Message)
}

// sorted returns the list in the order of the file, each problem once.
func sorted(list []Problem) []Problem {
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(list)
}
