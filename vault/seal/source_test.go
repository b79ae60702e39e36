package seal_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/seal"
)

func openSource(t *testing.T, ref string) seal.Source {
	t.Helper()
	src, err := seal.OpenSource(ref, seal.SourceOptions{LookupEnv: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestOpenSourceRefuses(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{
		"", "hunter2", "hunter2:x", "file:relative/hunter2", "file:", "file:../hunter2", "env:", "env:A=hunter2",
		"exec:", "exec: ", "keychain:hunter2\n",
	} {
		_, err := seal.OpenSource(ref, seal.SourceOptions{})
		if err == nil || errors.Is(err, seal.ErrSourceUnavailable) {
			t.Errorf("%q: %v, want a refusal", ref, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error shows the reference: %v", ref, err)
		}
	}
}

func TestEnvSource(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	env := map[string]string{"GRANTRY_KEY": key.Line()}
	src, err := seal.OpenSource("env:GRANTRY_KEY", seal.SourceOptions{
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Unsetenv:  func(name string) error { delete(env, name); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		keys, err := src.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) != 1 || keys[0].ID() != key.ID() {
			t.Error("got another key")
		}
	}
	if len(env) != 0 {
		t.Error("the variable stayed in the environment after it was read")
	}
	if got := src.String(); got != "env:GRANTRY_KEY" {
		t.Errorf("String = %q", got)
	}
}

func TestEnvSourceRefuses(t *testing.T) {
	t.Parallel()
	if _, err := openSource(t, "env:MISSING").Keys(t.Context()); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("a missing variable: %v, want ErrNoKey", err)
	}
	src, err := seal.OpenSource("env:BAD", seal.SourceOptions{LookupEnv: func(string) (string, bool) { return "hunter2", true }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Keys(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a bad value: %v, want an error that does not show it", err)
	}
}

func TestFileSourceCreate(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	src, err := seal.OpenSource("file:~/a/b/key", seal.SourceOptions{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := src.String(), "file:"+filepath.Join(home, "a/b/key"); got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	if _, err := src.Keys(t.Context()); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("before Create: %v, want ErrNoKey", err)
	}
	var ids []seal.KeyID
	for range 2 { // the second Create keeps the key
		if err := src.(seal.Creator).Create(t.Context()); err != nil {
			t.Fatal(err)
		}
		keys, err := src.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, keys[0].ID())
	}
	if ids[0] != ids[1] {
		t.Error("a second Create replaced the key")
	}
	if diff := cmp.Diff([]string{"key"}, fileNames(t, filepath.Join(home, "a/b"))); diff != "" {
		t.Errorf("files beside the key (-want +got):\n%s", diff)
	}
}

func TestFileSourceRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"large": strings.Repeat("# hunter2\n", 10_000),
		"bad":   "hunter2\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := openSource(t, "file:"+path).Keys(t.Context())
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want an error that does not show the content", name, err)
		}
	}
	if _, err := openSource(t, "file:"+dir).Keys(t.Context()); err == nil {
		t.Error("a folder was read as a key file")
	}
}

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
