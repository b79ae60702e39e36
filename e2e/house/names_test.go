package house_test

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// TestPackageComments: each package says what it is for, in doc.go or above its only package clause.
func TestPackageComments(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, s := range sources(t) {
		if s.Test {
			found[s.Dir] = found[s.Dir] || false
			continue
		}
		doc := s.File.Doc.Text()
		ok := strings.HasPrefix(doc, "Package "+s.File.Name.Name+" ") || s.File.Name.Name == "main" && strings.HasPrefix(doc, "Command ")
		if doc != "" && !ok && !strings.HasPrefix(doc, "Code generated") {
			t.Errorf("%s: a package comment starts with %q", s.Path, "Package "+s.File.Name.Name)
		}
		if ok && path.Base(s.Path) != "doc.go" && path.Base(s.Path) != "main.go" {
			t.Errorf("%s: the package comment belongs into doc.go", s.Path)
		}
		found[s.Dir] = found[s.Dir] || ok
	}
	for dir, ok := range found {
		if !ok {
			t.Errorf("the package %s has no doc.go", dir)
		}
	}
}

// TestDocComments: the comment of an exported name starts with the name.
func TestDocComments(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.Test {
			continue
		}
		for _, d := range s.File.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) {
					checkDoc(t, s, d.Name, d.Doc)
				}
			case *ast.GenDecl:
				checkSpecs(t, s, d)
			}
		}
	}
}

// exportedReceiver is true for functions, too.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	name := receiver(f)
	return name == "" || ast.IsExported(name)
}

// receiver is the name of a method's type, "" for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	typ := f.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// checkSpecs lets one comment stand for a block of constants or variables.
func checkSpecs(t *testing.T, s source, d *ast.GenDecl) {
	t.Helper()
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			doc := spec.Doc
			if doc == nil && !d.Lparen.IsValid() {
				doc = d.Doc
			}
			if spec.Name.IsExported() {
				checkDoc(t, s, spec.Name, doc)
			}
		case *ast.ValueSpec:
			i := slices.IndexFunc(spec.Names, (*ast.Ident).IsExported)
			switch {
			case i < 0:
			case d.Lparen.IsValid() && spec.Doc == nil && (spec.Comment != nil || d.Doc != nil):
			case d.Lparen.IsValid():
				checkDoc(t, s, spec.Names[i], spec.Doc)
			default:
				checkDoc(t, s, spec.Names[i], d.Doc)
			}
		}
	}
}

func checkDoc(t *testing.T, s source, name *ast.Ident, doc *ast.CommentGroup) {
	t.Helper()
	text := doc.Text()
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article)
	}
	rest, ok := strings.CutPrefix(text, name.Name)
	if !ok || rest == "" || !strings.ContainsAny(rest[:1], " ,:'(\n") {
		t.Errorf("%s:%d: the comment of %s must start with its name", s.Path, line(name.Pos()), name.Name)
	}
}

// anyAllowed are exported functions that take or give any, each with the reason.
var anyAllowed = map[string]string{}

// TestSignatures: an exported signature says what it takes.
func TestSignatures(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, d := range s.File.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || s.Test || kit(s.Dir) || !f.Name.IsExported() || !exportedReceiver(f) || anyAllowed[s.Dir+" "+f.Name.Name] != "" {
				continue
			}
			for _, list := range []*ast.FieldList{f.Type.Params, f.Type.Results} {
				for _, field := range fieldsOf(list) {
					if isAny(field.Type) {
						t.Errorf("%s:%d: %s has a value of type any in its signature", s.Path, line(f.Pos()), f.Name.Name)
					}
				}
			}
		}
	}
}

func fieldsOf(l *ast.FieldList) []*ast.Field {
	if l == nil {
		return nil
	}
	return l.List
}

func isAny(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.Ident:
		return x.Name == "any"
	case *ast.InterfaceType:
		return len(fieldsOf(x.Methods)) == 0
	case *ast.Ellipsis:
		return isAny(x.Elt)
	}
	return false
}

// ends are calls that end the program under everybody's feet.
var ends = []string{"log.Fatal", "log.Fatalf", "log.Fatalln", "log.Panic", "log.Panicf", "os.Exit"}

// mains are the files that may.
var mains = []string{"cmd/grantry/main.go", "vault/client/example/main.go"}

// TestNobodyEndsTheProgram: only main may, and nothing runs by being imported.
func TestNobodyEndsTheProgram(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.Test {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s:%d: init runs by being imported; make it a constructor", s.Path, line(f.Pos()))
			}
			if c, ok := n.(*ast.CallExpr); ok && slices.Contains(ends, selector(c.Fun)) && !slices.Contains(mains, s.Path) {
				t.Errorf("%s:%d: %s outside of main", s.Path, line(c.Pos()), selector(c.Fun))
			}
			return true
		})
	}
}

// selector is "pkg.Name", or "".
func selector(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok {
			return x.Name + "." + s.Sel.Name
		}
	}
	return ""
}

// TestNoTestSkips: a skip that nobody sees is a test that cannot fail.
func TestNoTestSkips(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		ast.Inspect(s.File, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok || !s.Test {
				return true
			}
			if f, ok := c.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, f.Sel.Name) {
				t.Errorf("%s:%d: skips; fail with a sentence, or put the test into a file for the systems that it is for", s.Path, line(c.Pos()))
			}
			return true
		})
	}
}

// TestTokenPositions checks the reader that every message here relies on.
func TestTokenPositions(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.Path == "e2e/house/doc.go" && line(s.File.Name.Pos()) != s.Lines {
			t.Errorf("the package clause of %s is on line %d, and it has %d lines", s.Path, line(s.File.Name.Pos()), s.Lines)
		}
	}
	if line(token.NoPos) != 0 {
		t.Error("no position has a line")
	}
}
