package house_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/grantry/grantry"

// update writes the generated files instead of comparing them.
var update = flag.Bool("update", false, "write the generated files in docs/")

// root is the repository, seen from this package's folder.
var root = filepath.Join("..", "..")

// source is one Go file of ours, for whatever system it is.
type source struct {
	Path  string // from the root, with slashes
	Dir   string // its package's folder, "." for the root
	Test  bool
	Lines int
	Text  []byte
	File  *ast.File
}

var files = token.NewFileSet()

// tree is every Go file of the repository, parsed with comments. Build
// constraints do not count: what stands in a file for Windows is held to the
// same rules.
var tree = sync.OnceValues(func() ([]source, error) {
	var out []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == ".git" || name == filepath.Join(root, "bin")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		s, err := parse(name)
		out = append(out, s)
		return err
	})
	return out, err
})

func parse(name string) (source, error) {
	rel, err := filepath.Rel(root, name)
	if err != nil {
		return source{}, err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return source{}, err
	}
	rel = filepath.ToSlash(rel)
	file, err := parser.ParseFile(files, rel, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{
		Path: rel, Dir: path.Dir(rel), Test: strings.HasSuffix(rel, "_test.go"),
		Lines: strings.Count(string(text), "\n"), Text: text, File: file,
	}, err
}

// sources answers all files, or fails the test when one does not parse.
func sources(t *testing.T) []source {
	t.Helper()
	all, err := tree()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d Go files found under %s: the walk is broken", len(all), root)
	}
	return all
}

// line is where a node stands.
func line(pos token.Pos) int { return files.Position(pos).Line }

// read answers a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// golden compares a generated file with what it should be, or writes it under -update.
func golden(t *testing.T, name, want string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(name))
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: run `make generate` and look at the difference", name)
	}
}
