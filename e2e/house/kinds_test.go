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
	listed := listedKinds(t)
	if want, got := slices.Sorted(maps.Keys(written)), slices.Sorted(maps.Keys(listed)); !slices.Equal(want, got) || len(want) < 40 {
		t.Errorf("written %v\nlisted  %v", want, got)
	}
}

// listedKinds are the kinds in the table of docs/audit.md.
func listedKinds(t *testing.T) map[string]bool {
	t.Helper()
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
	return listed
}

// TestKindsHaveWords holds the page /activity to docs/audit.md: each kind of
// entry that can be about a person has a sentence there, not only its name.
func TestKindsHaveWords(t *testing.T) {
	t.Parallel()
	nobodys := regexp.MustCompile(`^(process|config|tools|chain|key|vault|audit|user|connection|auth|request_state)\.|^tool\.(added|changed)$`)
	text, err := os.ReadFile("../../consent/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, deeds, found := strings.Cut(string(text), "\n[deed]\n")
	deeds, _, _ = strings.Cut(deeds, "\n[")
	kinds := slices.DeleteFunc(slices.Sorted(maps.Keys(listedKinds(t))), nobodys.MatchString)
	for _, kind := range kinds {
		if !strings.Contains(deeds, "\n"+strings.ReplaceAll(kind, ".", "_")+" = ") {
			t.Errorf("[deed] in consent/messages.txt has no sentence for %s", kind)
		}
	}
	if !found || len(kinds) < 30 {
		t.Errorf("looked at %d kinds", len(kinds))
	}
}
