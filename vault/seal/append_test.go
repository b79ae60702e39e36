package seal_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/seal"
	"pgregory.net/rapid"
)

// keyFile writes content into a new key file and opens it.
func keyFile(t *testing.T, content string) (seal.Source, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	writeFile(t, path, content)
	return openSource(t, "file:"+path), path
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func appendTo(t testing.TB, src seal.Source, key seal.Key) {
	t.Helper()
	if err := src.(seal.Appender).Append(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

func removeFrom(t testing.TB, src seal.Source, id seal.KeyID) {
	t.Helper()
	if err := src.(seal.Remover).Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// keyIDs are the ids that a source yields, in its order.
func keyIDs(t testing.TB, src seal.Source) []seal.KeyID {
	t.Helper()
	keys, err := src.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []seal.KeyID
	for _, k := range keys {
		ids = append(ids, k.ID())
	}
	return ids
}

// TestSourceAppendRemove adds a key to what a person wrote and takes it away:
// what was there stays byte for byte, whatever its line ends.
func TestSourceAppendRemove(t *testing.T) {
	t.Parallel()
	first, second := newKey(t), newKey(t)
	for name, old := range map[string]string{
		"one line":     first.Line() + "\n",
		"no line end":  first.Line(),
		"comments":     "# mine\n\n  " + first.Line() + "\t\n# and more\n",
		"windows":      "# mine\r\n" + first.Line() + "\r\n",
		"not a key's":  "# Grantry key 0000000000000000: keep a copy apart from the vault\n" + first.Line() + "\n",
		"comment last": first.Line() + "\n# mine",
	} {
		src, path := keyFile(t, old)
		for range 2 { // the second Append finds the key there
			appendTo(t, src, second)
		}
		if diff := cmp.Diff([]seal.KeyID{first.ID(), second.ID()}, keyIDs(t, src)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		both := readFile(t, path)
		if !strings.HasPrefix(both, old) || !strings.HasSuffix(both, second.Line()+"\n") {
			t.Errorf("%s: the old lines changed: %q", name, both)
		}
		for range 2 {
			removeFrom(t, src, second.ID())
		}
		if got, want := readFile(t, path), strings.TrimSuffix(old, "\n")+"\n"; got != want {
			t.Errorf("%s: after Remove %q, want %q", name, got, want)
		}
		if err := src.(seal.Remover).Remove(t.Context(), first.ID()); !errors.Is(err, seal.ErrLastKey) {
			t.Errorf("%s: removing the last key: %v, want ErrLastKey", name, err)
		}
	}
}

// TestSourceRemoveKeepsTheRest takes each key out of a file of three. Its own
// comment goes with it, those of the others and of a person stay.
func TestSourceRemoveKeepsTheRest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var lines []string
		var ids []seal.KeyID
		for range 3 {
			key, err := seal.GenerateKey(nil)
			if err != nil {
				r.Fatal(err)
			}
			own := []string{
				"# Grantry key " + key.ID().String() + ": keep a copy apart from the vault\n" + key.Line() + "\n",
				key.Line() + "\r\n",
				"# of " + key.ID().String() + "\n " + key.Line() + "\n",
			}
			lines = append(lines, rapid.SampledFrom([]string{"", "# mine\n", "\n"}).Draw(r, "between"), rapid.SampledFrom(own).Draw(r, "key"))
			ids = append(ids, key.ID())
		}
		i := rapid.IntRange(0, 2).Draw(r, "which")
		src, path := keyFile(t, strings.Join(lines, ""))
		removeFrom(t, src, ids[i])
		own := lines[2*i+1]
		lines[2*i+1] = ""
		if strings.HasPrefix(own, "# of ") { // a person's words about the key stay
			lines[2*i+1] = own[:strings.Index(own, "\n")+1]
		}
		if got, want := readFile(t, path), strings.Join(lines, ""); got != want {
			r.Fatalf("got %q, want %q", got, want)
		}
		if diff := cmp.Diff(slices.Delete(ids, i, i+1), keyIDs(t, src)); diff != "" {
			r.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestSourceAppendRefuses(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	missing := openSource(t, "file:"+filepath.Join(t.TempDir(), "none"))
	if err := missing.(seal.Appender).Append(t.Context(), key); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("a file that is not there: %v, want ErrNoKey", err)
	}
	for name, content := range map[string]string{
		"broken": "hunter2\n",
		"full":   newKey(t).Line() + "\n" + strings.Repeat("#", 64<<10-50),
	} {
		src, path := keyFile(t, content)
		err := src.(seal.Appender).Append(t.Context(), key)
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), key.Line()) {
			t.Errorf("%s: %v, want an error that shows no line", name, err)
		}
		if readFile(t, path) != content {
			t.Errorf("%s: the file changed", name)
		}
		if names := fileNames(t, filepath.Dir(path)); len(names) != 2 {
			t.Errorf("%s: files %v, want the key and its lock", name, names)
		}
	}
	for _, ref := range []string{"env:KEY", "exec:true"} {
		if src, ok := openSource(t, ref).(seal.Appender); ok {
			t.Errorf("%s can be appended to", src)
		}
	}
}
