//go:build unix

package seal_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/seal"
)

func openCommand(t *testing.T, line string, opts seal.SourceOptions) seal.Source {
	t.Helper()
	src, err := seal.OpenSource("exec:"+line, opts)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestExecSource reads two keys from a command, at every Keys anew, in the folder
// that it was given.
func TestExecSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := newKey(t), newKey(t)
	writeFile(t, filepath.Join(dir, "key"), "# one\n"+first.Line()+"\n")
	src := openCommand(t, "cat key", seal.SourceOptions{CommandDir: dir})
	if got := keyIDs(t, src); len(got) != 1 || got[0] != first.ID() {
		t.Errorf("keys %v, want %s", got, first.ID())
	}
	writeFile(t, filepath.Join(dir, "key"), first.Line()+"\n"+second.Line()+"\n")
	if diff := cmp.Diff([]seal.KeyID{first.ID(), second.ID()}, keyIDs(t, src)); diff != "" {
		t.Errorf("after the command's answer changed (-want +got):\n%s", diff)
	}
	if got := src.String(); got != "exec:…" {
		t.Errorf("String = %q, want no command in it", got)
	}
}

func TestExecSourceRefuses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"echo hunter2 >&2; echo hunter2; exit 3": "exit status 3",
		"echo hunter2":                           "line 1",
		"kill -9 $$ # hunter2":                   "killed",
		"while :; do echo '# hunter2'; done":     "64 KiB",
	} {
		_, err := openCommand(t, line, seal.SourceOptions{}).Keys(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q and nothing of the command", line, err, want)
		}
	}
	if _, err := openCommand(t, "true", seal.SourceOptions{}).Keys(t.Context()); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("nothing printed: %v, want ErrNoKey", err)
	}
	if _, err := openCommand(t, "true", seal.SourceOptions{CommandDir: "/nowhere/hunter2"}).Keys(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("no such folder: %v, want an error that does not name it", err)
	}
}

// TestExecSourceEnds ends a command and what it started with the context.
func TestExecSourceEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	_, err := openCommand(t, "sleep 60 & echo $! >child; wait", seal.SourceOptions{CommandDir: dir}).Keys(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v, want context.DeadlineExceeded", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	child, err := strconv.Atoi(strings.TrimSpace(readFile(t, filepath.Join(dir, "child"))))
	if err != nil {
		t.Fatal(err)
	}
	for alive(t, child) {
		if time.Since(start) > 20*time.Second {
			t.Fatal("what the command started goes on")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// alive says whether a process runs still; a dead one that nobody has waited for is not.
func alive(t *testing.T, pid int) bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}

// TestExecSourceEnvironment looks at what a command is given: the ways to its
// files, no secret of others, no standard input, not our working directory.
func TestExecSourceEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{"PATH": "/usr/bin:/bin", "HOME": t.TempDir(), "GOOGLE_SECRET": "hunter2", "SEAL_TEST_CHILD": "no"}
	opts := seal.SourceOptions{LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	line := `env | sed 's/=.*//' | grep -v -e PWD -e SHLVL -e '^_$' | sort >"$HOME/env"; pwd >>"$HOME/env"; cat >>"$HOME/env"; echo ` + newKey(t).Line()
	if _, err := openCommand(t, line, opts).Keys(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("HOME\nPATH\n/\n", readFile(t, filepath.Join(env["HOME"], "env"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
