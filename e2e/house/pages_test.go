package house_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLinks: what a page links to in the repository is there.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	found := 0
	for _, page := range slices.Concat(pages, programPages, []string{"docs/tools.md", "docs/security-requirements.md", "docs/token-exchange.md"}) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			found++
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(page), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d links found in the pages: the search is broken", found)
	}
}

// programPages show programs that are run by the end-to-end tests.
var programPages = []string{"docs/typescript.md", "docs/python.md"}

// TestPagePrograms: what those pages show is the file that is run, to the letter; and no program that is run is left out.
func TestPagePrograms(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile("(?s)<!-- (\\S+) -->\n```(js|python)\n(.*?)```\n")
	var found []string
	for _, page := range programPages {
		golden(t, page, shown.ReplaceAllStringFunc(read(t, page), func(block string) string {
			m := shown.FindStringSubmatch(block)
			found = append(found, m[1])
			return "<!-- " + m[1] + " -->\n```" + m[2] + "\n" + read(t, m[1]) + "```\n"
		}))
	}
	there, err := filepath.Glob(filepath.Join(root, "e2e", "counterparties", "examples", "*.*"))
	if err != nil || len(there) < 9 {
		t.Fatalf("only %d programs found (%v): the search is broken", len(there), err)
	}
	for _, path := range there {
		name, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(found, filepath.ToSlash(name)) {
			t.Errorf("%s is on no page", name)
		}
	}
}

// TestDependenciesHaveAReason: each module that we import has a line in
// CONTRIBUTING.md that says what it is there for.
func TestDependenciesHaveAReason(t *testing.T) {
	t.Parallel()
	var modules []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(read(t, "go.mod"), -1) {
		modules = append(modules, m[1])
	}
	if len(modules) < 10 {
		t.Fatalf("only %d direct requirements found in go.mod: the search is broken", len(modules))
	}
	why := read(t, "CONTRIBUTING.md")
	used := map[string]bool{}
	for _, s := range sources(t) {
		for _, name := range imports(t, s) {
			for _, m := range modules {
				used[m] = used[m] || name == m || strings.HasPrefix(name, m+"/")
			}
		}
	}
	for _, m := range modules {
		switch name := shortName(m); {
		case !used[m]:
			t.Errorf("go.mod requires %s, and nothing imports it: go mod tidy", m)
		case !strings.Contains(why, name):
			t.Errorf("CONTRIBUTING.md does not say what %s is there for", name)
		}
	}
}

// shortName is a module as the table writes it: no host for GitHub, no major version.
func shortName(module string) string {
	name := regexp.MustCompile(`/v[0-9]+$`).ReplaceAllString(module, "")
	if strings.HasPrefix(name, "golang.org/x/") {
		return strings.TrimPrefix(name, "golang.org/")
	}
	return strings.TrimPrefix(name, "github.com/")
}

// TestNothingOfThisMachine: no page or file of the build names a folder of
// somebody's machine.
func TestNothingOfThisMachine(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range slices.Concat(pages, programPages, []string{"Makefile", "grantry.yaml.example", "e2e/counterparties/package-lock.json"}) {
		for _, sign := range []string{"/home/", "/Users/", here, "\"resolved\""} {
			if strings.Contains(read(t, page), sign) {
				t.Errorf("%s names %s", page, sign)
			}
		}
	}
}
