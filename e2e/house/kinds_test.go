package house_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAuditKinds holds docs/audit.md to the code: its table has every kind of entry that something writes, and no other.
func TestAuditKinds(t *testing.T) {
	t.Parallel()
	written := map[string]bool{}
	kind := regexp.MustCompile(`(?:Kind: |\.Kind = |[Ee]ntry\(|[Ee]ntry\([a-z]+, |drop\(ctx, o, |kind[A-Z]\w+ += |kind = )"([a-z_]+\.[a-z_]+)"`)
	for _, dir := range []string{"vault", "mcp", "consent", "cmd"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range kind.FindAllSubmatch(text, -1) {
				written[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z_]+\\.[a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
			listed[m[1]] = true
		}
	}
	if want, got := slices.Sorted(maps.Keys(written)), slices.Sorted(maps.Keys(listed)); !slices.Equal(want, got) || len(want) < 40 {
		t.Errorf("written %v\nlisted  %v", want, got)
	}
}
