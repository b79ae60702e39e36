package house_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowed says which packages of ours a package may import, test files aside.
// "x/*" stands for every package below x; the most specific line counts.
// It is the table of the house style.
var allowed = []struct {
	pkg  string
	ours []string
}{
	{"vault/provider", nil},
	{"vault/seal", nil},
	{"vault/client", nil},
	{"vault/client/example", []string{"vault/client"}},
	{"vault/rescue", nil},
	{"vault", []string{"vault/provider", "vault/seal"}},
	{"vault/sqlstore", []string{"vault", "vault/provider"}},
	{"vault/storetest", []string{"vault", "vault/provider", "vault/storetest/port"}},
	{"vault/storetest/port", nil},
	{"vault/assertion", nil},
	{"vault/sts", []string{"vault", "vault/assertion", "vault/provider"}},
	{"tools", []string{"vault/provider"}},
	{"tools/sandbox", []string{"vault/provider"}},
	{"tools/tooltest", []string{"vault/provider", "tools", "tools/sandbox"}}, // for tests only, see TestKitsAreForTests
	{"tools/*", []string{"vault/provider", "tools"}},
	{"consent", []string{"vault", "vault/provider"}},
	{"consent/*", []string{"vault", "vault/provider", "consent"}},
	{"mcp/guard", nil},
	{"mcp", []string{"tools", "vault", "vault/provider", "mcp/guard"}},
	{"mcp/authserver", []string{"vault", "vault/assertion", "vault/provider", "mcp"}}, // it knows no tool
	{"mcp/*", []string{"tools", "vault", "vault/provider", "mcp", "mcp/guard"}},
	{"cmd/*", []string{"*"}},
	{"e2e", []string{"*"}},
	{"e2e/*", []string{"*"}},
	{"bench", []string{"*"}},
	{"bench/*", []string{"*"}},
}

// others says where a module of others may be imported, test files included
// where tests is set: those are the ones that would bind a second package to
// a database driver, a protocol library or a vendor.
var others = []struct {
	prefix string
	in     []string
	tests  bool
}{
	{"github.com/mark3labs/mcp-go", []string{"mcp", "mcp/*"}, false},
	{"modernc.org/", []string{"vault/sqlstore"}, true},
	{"github.com/jackc/pgx", []string{"vault/sqlstore"}, true},
	{"github.com/pressly/goose", []string{"vault/sqlstore"}, true},
	{"golang.org/x/oauth2", []string{"vault/provider"}, false},
	{"github.com/coreos/go-oidc", []string{"vault/provider", "consent", "consent/*", "mcp", "mcp/*"}, false},
	{"github.com/zitadel/oidc", []string{"mcp/authserver", "e2e", "e2e/*"}, true},
	{"google.golang.org/api", []string{"tools/*"}, true},
	{"github.com/slack-go/slack", []string{"tools/*"}, true},
	{"github.com/google/go-github", []string{"tools/*"}, true},
	{"github.com/alecthomas/kong", []string{"cmd/*"}, false},
	{"github.com/alexedwards/scs", []string{"consent", "consent/*"}, false},
	{"github.com/goccy/go-yaml", []string{"cmd/*"}, false},
	{"github.com/stretchr/testify", nil, true},
	{"github.com/gorilla/csrf", nil, true},
	{"github.com/spf13/viper", nil, true},
}

// under says whether pkg is named by one of the patterns, and how exactly.
func under(pkg, pattern string) (length int, ok bool) {
	if base, found := strings.CutSuffix(pattern, "*"); found {
		return len(base), strings.HasPrefix(pkg, base)
	}
	return len(pattern) + 1, pkg == pattern
}

func matches(pkg string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { _, ok := under(pkg, p); return ok })
}

// rule answers what pkg may import of ours.
func rule(pkg string) (ours []string, known bool) {
	best := -1
	for _, r := range allowed {
		if n, ok := under(pkg, r.pkg); ok && n > best {
			best, ours, known = n, r.ours, true
		}
	}
	return ours, known
}

// isOurs cuts the module off an import path of ours.
func isOurs(imported string) (pkg string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func imports(t *testing.T, s source) []string {
	t.Helper()
	var out []string
	for _, i := range s.File.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatalf("%s: %v", s.Path, err)
		}
		out = append(out, name)
	}
	return out
}

// TestImportsOfOurs holds the table of who may import whom. Tests may import
// what they need to play the world around a package, but never e2e.
func TestImportsOfOurs(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		may, known := rule(s.Dir)
		if !known {
			t.Errorf("%s: the package %s is in no line of the import table", s.Path, s.Dir)
		}
		for _, name := range imports(t, s) {
			pkg, ok := isOurs(name)
			if !ok || pkg == s.Dir {
				continue
			}
			if strings.HasPrefix(pkg+"/", "e2e/") {
				t.Errorf("%s imports %s: nothing imports the end-to-end tests", s.Path, pkg)
			}
			if strings.HasPrefix(pkg, "bench") && !strings.HasPrefix(s.Dir, "bench") {
				t.Errorf("%s imports %s: nothing imports the benchmarks", s.Path, pkg)
			}
			if !s.Test && !matches(pkg, may) {
				t.Errorf("%s: %s must not import %s", s.Path, s.Dir, pkg)
			}
		}
	}
}

// TestKitsAreForTests keeps test kits out of the program.
func TestKitsAreForTests(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, name := range imports(t, s) {
			pkg, _ := isOurs(name)
			if !s.Test && (name == "testing" || kit(pkg)) && !kit(s.Dir) {
				t.Errorf("%s imports %s outside of a test", s.Path, name)
			}
		}
	}
}

// kit says whether a package exists for tests.
func kit(dir string) bool {
	return matches(dir, []string{"tools/tooltest", "vault/storetest", "vault/storetest/*", "e2e", "e2e/*", "bench", "bench/*"})
}

// TestImportsOfOthers holds each library of others to the packages that are there for it.
func TestImportsOfOthers(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, name := range imports(t, s) {
			for _, o := range others {
				if !strings.HasPrefix(name+"/", strings.TrimSuffix(o.prefix, "/")+"/") || s.Test && !o.tests {
					continue
				}
				if !matches(s.Dir, o.in) {
					t.Errorf("%s imports %s, which only %s may", s.Path, name, strings.Join(append([]string{}, o.in...), ", "))
				}
			}
		}
	}
}

// TestImportTable checks the table's own reading: a rule that matches nothing holds nothing.
func TestImportTable(t *testing.T) {
	t.Parallel()
	for pkg, want := range map[string]string{
		"vault": "vault/provider vault/seal", "vault/provider": "", "tools/calendar": "vault/provider tools",
		"tools/sandbox": "vault/provider", "consent/accounts": "vault vault/provider consent", "cmd/internal/app": "*",
		"vault/storetest": "vault vault/provider vault/storetest/port", "vault/storetest/port": "",
	} {
		got, known := rule(pkg)
		if !known || strings.Join(got, " ") != want {
			t.Errorf("rule(%q) = %q, %t; want %q", pkg, got, known, want)
		}
	}
	if _, known := rule("helpers"); known {
		t.Error("a package that the table does not name passes")
	}
	if matches("vault/sqlstore", []string{"vault"}) || !matches("tools/crm", []string{"tools/*"}) {
		t.Error("patterns match too much or too little")
	}
	if !kit("vault/storetest/port") || !kit("bench/fleet") || kit("vault") || kit("") {
		t.Error("kits are taken for what they are not, or not for what they are")
	}
}
