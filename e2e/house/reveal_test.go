package house_test

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// reveals are the functions that may take a secret out of its wrapper, tests
// aside, with how often they do. Each puts it into the one request or the one
// sealed row that it is for. A new line here needs a reason in its commit.
var reveals = map[string]int{}

// TestReveal holds that list (R78).
func TestReveal(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	for _, s := range sources(t) {
		if s.Test {
			continue
		}
		for _, d := range s.File.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				if n := count(d); n > 0 {
					t.Errorf("%s reveals a secret outside of a function", s.Path)
				}
				continue
			}
			name := f.Name.Name
			if r := receiver(f); r != "" {
				name = r + "." + name
			}
			if n := count(f); n > 0 {
				found[s.Path+" "+name] += n
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if found[name] != reveals[name] {
			t.Errorf("%q: %d, // reveals, and the list has %d", name, found[name], reveals[name])
		}
	}
	for name := range reveals {
		if found[name] == 0 {
			t.Errorf("%q is on the list and reveals nothing", name)
		}
	}
}

// count is how often Reveal is named below n, called or handed on as a method value.
func count(n ast.Node) int {
	total := 0
	ast.Inspect(n, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" {
			total++
		}
		return true
	})
	return total
}

// TestRevealStaysInside: tools, pages' words and MCP never see a secret.
func TestRevealStaysInside(t *testing.T) {
	t.Parallel()
	for name := range reveals {
		for _, never := range []string{"mcp/", "tools/", "cmd/"} {
			if strings.HasPrefix(name, never) {
				t.Errorf("%s: nothing below %s may reveal a secret", name, never)
			}
		}
	}
}
