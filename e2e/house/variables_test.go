package house_test

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// changing are constructors and types whose values change by being used.
var changing = []string{"sync.", "atomic.", "rand.New", "make", "new"}

// TestPackageVariables: what stands at package level never changes. The linker
// sets main.version before anything runs.
func TestPackageVariables(t *testing.T) {
	t.Parallel()
	vars := map[string]map[string]bool{} // by folder
	for _, s := range sources(t) {
		if s.Test {
			continue
		}
		if vars[s.Dir] == nil {
			vars[s.Dir] = map[string]bool{}
		}
		for _, spec := range variables(s) {
			for _, n := range spec.Names {
				vars[s.Dir][n.Name] = n.Name != "_"
			}
			if what := changes(spec); what != "" {
				t.Errorf("%s:%d: a package variable that is a %s changes; make it a field", s.Path, line(spec.Pos()), what)
			}
		}
	}
	for _, s := range sources(t) {
		if !s.Test {
			findWrites(t, s, vars[s.Dir])
		}
	}
}

func variables(s source) []*ast.ValueSpec {
	var out []*ast.ValueSpec
	for _, d := range s.File.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, spec := range g.Specs {
				out = append(out, spec.(*ast.ValueSpec))
			}
		}
	}
	return out
}

// changes names what about a variable changes by being used, or "".
func changes(spec *ast.ValueSpec) string {
	names := []string{typeName(spec.Type)}
	for _, v := range spec.Values {
		if c, ok := v.(*ast.CallExpr); ok {
			names = append(names, typeName(c.Fun))
		}
		if c, ok := v.(*ast.CompositeLit); ok {
			names = append(names, typeName(c.Type))
		}
	}
	for _, n := range names {
		if strings.HasPrefix(n, "sync.Once") { // a value that is computed late is still one value
			continue
		}
		if slices.ContainsFunc(changing, func(c string) bool { return n == c || strings.HasSuffix(c, ".") && strings.HasPrefix(n, c) }) {
			return n
		}
	}
	return ""
}

func typeName(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.StarExpr:
		return typeName(x.X)
	case *ast.IndexExpr:
		return typeName(x.X)
	case *ast.ChanType:
		return "make"
	}
	return selector(e)
}

// findWrites reports every statement that writes to a package variable. A local
// of the same name is told apart by where it is declared.
func findWrites(t *testing.T, s source, vars map[string]bool) {
	t.Helper()
	for _, d := range s.File.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		local := locals(f)
		check := func(e ast.Expr) {
			if name := base(e); vars[name] && !local[name] {
				t.Errorf("%s:%d: %s is a package variable and is written to", s.Path, line(e.Pos()), name)
			}
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						check(e)
					}
				}
			case *ast.IncDecStmt:
				check(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					check(n.X)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear") {
					check(n.Args[0])
				}
			}
			return true
		})
	}
}

// base is the variable behind x.field, x[i] and *x.
func base(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return ""
		}
	}
}

// locals are all names that a function declares somewhere.
func locals(f *ast.FuncDecl) map[string]bool {
	out := map[string]bool{}
	add := func(names ...*ast.Ident) {
		for _, n := range names {
			out[n.Name] = true
		}
	}
	for _, l := range []*ast.FieldList{f.Recv, f.Type.Params, f.Type.Results} {
		for _, field := range fieldsOf(l) {
			add(field.Names...)
		}
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					add(id)
				}
			}
		case *ast.ValueSpec:
			add(n.Names...)
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					add(id)
				}
			}
		case *ast.FuncLit:
			for _, field := range fieldsOf(n.Type.Params) {
				add(field.Names...)
			}
		}
		return true
	})
	return out
}
