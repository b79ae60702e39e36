package tooltest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault/provider"
)

// snapshot is what a client sees of a tool, and what it asks of an account.
type snapshot struct {
	Name        string            `json:"name"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Group       string            `json:"group"`
	Kind        string            `json:"kind"`
	Annotations tools.Annotations `json:"annotations"`
	Needs       []provider.Need   `json:"needs"`
	Input       json.RawMessage   `json:"input"`
	Output      json.RawMessage   `json:"output"`
}

// Golden compares each tool with testdata/NAME.json of the test's folder. A file
// that is missing fails; one that belongs to no tool fails too. update writes them.
func Golden(t *testing.T, update bool, all []tools.Tool) {
	t.Helper()
	known := map[string]bool{}
	for _, tool := range all {
		path := filepath.Join("testdata", tool.Name+".json")
		known[path] = true
		got := render(t, tool)
		if update {
			writeGolden(t, path, got)
			continue
		}
		want, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s has no golden file; run the test with -update and look at what it writes", tool.Name)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s changed (-golden +now); clients see this:\n%s", tool.Name, diff)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !known[f] {
			t.Errorf("%s belongs to no tool", f)
		}
	}
}

func render(t *testing.T, tool tools.Tool) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(snapshot{
		Name: tool.Name, Title: tool.Title, Description: tool.Description, Group: tool.Group,
		Kind: tool.Kind.String(), Annotations: tool.Kind.Annotations(), Needs: tool.Needs(),
		Input: tool.Input, Output: tool.Output,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeGolden(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
