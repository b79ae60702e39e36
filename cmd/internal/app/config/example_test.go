package config_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/cmd/internal/app/config"
)

const examplePath = "../../../../grantry.yaml.example"

// TestExampleIsTheDefaults: whoever copies the example changes nothing.
func TestExampleIsTheDefaults(t *testing.T) {
	t.Parallel()
	got := parse(t, string(read(t, examplePath)))
	want := parse(t, "")
	if diff := cmp.Diff(want, got, references()); diff != "" {
		t.Errorf("the example as it is (-defaults +example):\n%s", diff)
	}
}

// everySetting is the example with every setting switched on: "#key" and
// "#  key" lose their mark, "# words" are comments.
func everySetting(t *testing.T) string {
	t.Helper()
	return regexp.MustCompile(`(?m)^#(\S|  )`).ReplaceAllString(string(read(t, examplePath)), "$1")
}

// TestExampleHasEveryKey finds each key of the table, at its place, in the
// example with every setting on, and its default beside the ones that are on.
func TestExampleHasEveryKey(t *testing.T) {
	t.Parallel()
	var tree map[string]any
	must(t, yaml.Unmarshal([]byte(everySetting(t)), &tree))
	keys := config.Keys()
	if len(keys) < 80 {
		t.Fatalf("Keys lists only %d keys", len(keys))
	}
	for _, k := range keys {
		if !has(tree, strings.Split(k.Path, ".")) {
			t.Errorf("grantry.yaml.example lacks %s", k.Path)
		}
		if k.Type == "" || !strings.HasSuffix(k.Doc, ".") {
			t.Errorf("%s has no type or no sentence: %+v", k.Path, k)
		}
	}
}

// TestExampleLoadsWithEverySetting: only what excludes each other is wrong.
func TestExampleLoadsWithEverySetting(t *testing.T) {
	t.Parallel()
	text := everySetting(t)
	_, err := config.Parse("grantry.yaml", []byte(text), options("/home/ann", nil))
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "identity.upstream: excludes identity.issuer") {
		t.Fatalf("Parse: %v, want the one exclusion", err)
	}
	up := strings.Index(text, "  # Built-in server: where people sign in")
	end := strings.Index(text, "  # Built-in server: whether clients")
	parse(t, text[:up]+text[end:])
}

// has walks a path of the table; NAME and the like stand for any key.
func has(node any, path []string) bool {
	if len(path) == 0 {
		return true
	}
	name, list := strings.CutSuffix(path[0], "[]")
	m, ok := node.(map[string]any)
	if !ok {
		return false
	}
	for key, value := range m {
		if key != name && name != strings.ToUpper(name) {
			continue
		}
		for _, v := range elements(value, list) {
			if has(v, path[1:]) {
				return true
			}
		}
	}
	return false
}

func elements(value any, list bool) []any {
	if !list {
		return []any{value}
	}
	many, _ := value.([]any)
	return many
}
