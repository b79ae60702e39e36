package consent_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	messageKey = regexp.MustCompile(`^([a-z0-9_.]+) = (.+)$`)
	saidInPage = regexp.MustCompile(`say "([a-z0-9_.]+)"`)
	keyInCode  = regexp.MustCompile(`^[a-z]+(?:\.[a-z0-9_]+)*\.?$`)
	words      = regexp.MustCompile(`[A-Z][a-z’']+ [a-z]|[a-z,] [a-z]+[.!?]$`)
	markup     = regexp.MustCompile(`(?s)\{\{.*?\}\}|<[^>]*>|&[a-z]+;`)
	letters    = regexp.MustCompile(`[A-Za-z]{2,}`)
)

// TestMessages: every text stands in the message file, every message is on
// some page, and every key that a page names is there.
func TestMessages(t *testing.T) {
	t.Parallel()
	said, unused := messageFile(t), map[string]bool{}
	for key := range said {
		unused[key] = true
	}
	for _, key := range append(keysOfPages(t), keysOfCode(t, said)...) {
		found := false
		for have := range said {
			if have == key || strings.HasPrefix(have, strings.TrimSuffix(key, ".")+".") || strings.TrimSuffix(have, "_text") == key {
				found = true
				delete(unused, have)
			}
		}
		if !found {
			t.Errorf("no message %s", key)
		}
	}
	for key := range unused {
		t.Errorf("nobody says %s", key)
	}
}

func messageFile(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	out, section := map[string]string{}, ""
	for _, line := range strings.Split(string(b), "\n") {
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
		}
		if m := messageKey.FindStringSubmatch(line); m != nil {
			out[section+"."+m[1]] = m[2]
		}
	}
	if len(out) < 100 {
		t.Fatalf("read only %d messages", len(out))
	}
	for key, words := range out { // a value within a tag would not be escaped for it
		for _, tag := range anyTag.FindAllString(words, -1) {
			if strings.Contains(tag, "{") {
				t.Errorf("%s has a value within %s", key, tag)
			}
		}
	}
	return out
}

// keysOfPages are what the templates say; they hold no words of their own.
func keysOfPages(t *testing.T) (keys []string) {
	t.Helper()
	names, err := filepath.Glob("templates/*.html")
	if err != nil || len(names) == 0 {
		t.Fatalf("templates: %v %v", names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range saidInPage.FindAllStringSubmatch(string(b), -1) {
			keys = append(keys, m[1])
		}
		if own := letters.FindString(strings.ReplaceAll(markup.ReplaceAllString(string(b), " "), "Grantry", "")); own != "" {
			t.Errorf("%s has a text of its own: %s", name, own)
		}
	}
	return keys
}

// keysOfCode are the literals that name a message or the start of one; no other literal is a sentence.
func keysOfCode(t *testing.T, said map[string]string) (keys []string) {
	t.Helper()
	sections := map[string]bool{}
	for key := range said {
		section, _, _ := strings.Cut(key, ".")
		sections[section] = true
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if forOperators(n) {
				return false
			}
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				keys = append(keys, literal(t, name, lit, sections)...)
			}
			return true
		})
	}
	return keys
}

func literal(t *testing.T, file string, lit *ast.BasicLit, sections map[string]bool) []string {
	t.Helper()
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		t.Fatal(err)
	}
	if words.MatchString(s) {
		t.Errorf("%s says %q: that belongs into messages.txt", file, s)
	}
	section, _, dotted := strings.Cut(s, ".")
	if keyInCode.MatchString(s) && sections[section] && (dotted || said(section)) {
		return []string{s}
	}
	return nil
}

// said tells the sections that are told as one page.
func said(section string) bool {
	return section == "broken" || section == "nothing" || section == "foreign"
}

// forOperators says whether a node makes an error, a log line or an audit entry, or names kinds of those.
func forOperators(n ast.Node) bool {
	if field, ok := n.(*ast.KeyValueExpr); ok {
		name, ok := field.Key.(*ast.Ident)
		return ok && (name.Name == "Kind" || name.Name == "kinds")
	}
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name == "miss" // of Config.validate
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name == "errors" && f.Sel.Name == "New" || x.Name == "fmt" && f.Sel.Name == "Errorf"
		}
		x, ok := f.X.(*ast.SelectorExpr)
		return ok && x.Sel.Name == "Logger"
	}
	return false
}
