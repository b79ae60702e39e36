package sqlstore_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/sqlstore"
	"github.com/grantry/grantry/vault/storetest"
)

// TestEveryQueryIsPrepared finds the constants of the package that are queries:
// as many as Open prepares (and Open fails when one does not prepare).
func TestEveryQueryIsPrepared(t *testing.T) {
	t.Parallel()
	openStore(t, newPath(t))
	openStore(t, storetest.Postgres(t))
	declared, listed := queryNames(t)
	if len(declared) < 20 {
		t.Fatalf("found only %d queries", len(declared))
	}
	for _, name := range declared {
		if !slices.Contains(listed, name) {
			t.Errorf("%s stands in no list of queries", name)
		}
	}
	if n := len(sqlstore.Queries()); n != len(declared) {
		t.Errorf("Open prepares %d queries, the package has %d", n, len(declared))
	}
}

// queryNames answers the constants query… and the names that functions …ueries list.
func queryNames(t *testing.T) (declared, listed []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for _, id := range n.Names {
					if strings.HasPrefix(id.Name, "query") {
						declared = append(declared, id.Name)
					}
				}
			case *ast.FuncDecl:
				if strings.HasSuffix(n.Name.Name, "ueries") {
					ast.Inspect(n.Body, func(n ast.Node) bool {
						if id, ok := n.(*ast.Ident); ok {
							listed = append(listed, id.Name)
						}
						return true
					})
				}
			}
			return true
		})
	}
	return declared, listed
}

var (
	placeholder = regexp.MustCompile(`\$[0-9]+`)
	libcVersion = regexp.MustCompile(`(?m)^\s*(?:require )?modernc\.org/libc (v\S+)`)
	foreign     = regexp.MustCompile(`(?i)\?|:[a-z]|@[a-z]|\bREPLACE INTO\b|\bINSERT OR\b|\bIFNULL\b|\browid\b|"|` + "`")
)

// TestQueriesRunOnPostgreSQLToo holds queries to what both databases read: SQLite
// numbers $n by first use, PostgreSQL by n.
func TestQueriesRunOnPostgreSQLToo(t *testing.T) {
	t.Parallel()
	for _, q := range sqlstore.Queries() {
		seen := []string{}
		for _, p := range placeholder.FindAllString(q, -1) {
			if !slices.Contains(seen, p) {
				seen = append(seen, p)
			}
		}
		for i, p := range seen {
			if want := "$" + strconv.Itoa(i+1); p != want {
				t.Errorf("placeholder %s comes where %s should first:\n%s", p, want, q)
			}
		}
		if bad := foreign.FindString(q); bad != "" {
			t.Errorf("%q is SQLite's alone:\n%s", bad, q)
		}
		if strings.Contains(q, "*") {
			t.Errorf("columns are not listed:\n%s", q)
		}
	}
}

// TestLibcIsTheDriversOwn compares our modernc.org/libc with the one that the
// driver was generated for: another version breaks it in ways that tests do not see.
func TestLibcIsTheDriversOwn(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.GoMod}}", "modernc.org/sqlite").Output()
	if err != nil {
		t.Fatalf("asking for the driver's go.mod: %v", err)
	}
	drivers := required(t, strings.TrimSpace(string(out)))
	ours := required(t, filepath.Join("..", "..", "go.mod"))
	if ours != drivers {
		t.Errorf("go.mod has modernc.org/libc %q, the driver %q", ours, drivers)
	}
}

func required(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := libcVersion.FindSubmatch(data)
	if found == nil {
		t.Fatalf("%s does not require modernc.org/libc", path)
	}
	return string(found[1])
}
