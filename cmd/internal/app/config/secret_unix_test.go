//go:build unix

package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/cmd/internal/app/config"
)

// reference reads one secret reference from a configuration in dir.
func reference(t *testing.T, dir, ref string, env map[string]string) config.SecretRef {
	t.Helper()
	text := fmt.Sprintf("connections: {a: {provider: google, client_id: a, client_secret: %q}}", ref)
	c, err := config.Parse(filepath.Join(dir, "grantry.yaml"), []byte(text), options(dir, env))
	must(t, err)
	return c.Connections["a"].ClientSecret
}

func TestResolve(t *testing.T) {
	t.Parallel()
	dir, creds := folder(t), folder(t)
	write(t, filepath.Join(dir, "secret"), " line one\nline two \r\n\n", 0o400)
	write(t, filepath.Join(dir, "exact"), strings.Repeat("x", 64<<10), 0o600)
	write(t, filepath.Join(creds, "mounted"), "mounted\n", 0o444)
	must(t, os.Symlink(filepath.Join(creds, "mounted"), filepath.Join(dir, "link")))
	env := map[string]string{"SECRET": " as it is ", "CREDENTIALS_DIRECTORY": creds}
	for ref, want := range map[string]string{
		"env:SECRET":                     " as it is ",
		"file:secret":                    " line one\nline two ",
		"file:~/secret":                  " line one\nline two ",
		"file:" + dir + "/exact":         strings.Repeat("x", 64<<10),
		"file:" + creds + "/mounted":     "mounted",
		"file:link":                      "mounted",
		"exec:printf ' a b \\n\\n'":      "a b",
		"exec:pwd":                       dir,
		"exec:echo out; echo noise 1>&2": "out",
		"exec:cat secret | head -1":      "line one",
		"exec:cat; echo stdin is closed": "stdin is closed",
		"exec:head -c 65536 exact":       strings.Repeat("x", 64<<10),
		"exec:test -t 0 || echo no tty":  "no tty",
	} {
		t.Run(ref, func(t *testing.T) {
			t.Parallel()
			got, err := reference(t, dir, ref, env).Resolve(t.Context())
			must(t, err)
			if got.Reveal() != want {
				t.Errorf("resolved to %d bytes, want %d: %.40q", len(got.Reveal()), len(want), got.Reveal())
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for name, mode := range map[string]os.FileMode{"group": 0o640, "others": 0o604, "written": 0o620} {
		write(t, filepath.Join(dir, name), canary, mode)
	}
	write(t, filepath.Join(dir, "empty"), "\r\n\n", 0o600)
	write(t, filepath.Join(dir, "large"), strings.Repeat(canary, 11_000), 0o600)
	write(t, filepath.Join(dir, "creds", "inside"), canary, 0o644)
	must(t, os.Symlink(filepath.Join(dir, "others"), filepath.Join(dir, "creds", "escape")))
	env := map[string]string{"EMPTY": "", "CREDENTIALS_DIRECTORY": filepath.Join(dir, "creds")}
	for ref, want := range map[string]string{
		"env:UNSET":                            "reading env:UNSET: the environment variable is not set, or is empty",
		"env:EMPTY":                            "reading env:EMPTY: the environment variable is not set, or is empty",
		"file:group":                           "reading file:DIR/group: others can read or write it (mode 0640): run chmod go-rwx DIR/group",
		"file:others":                          "reading file:DIR/others: others can read or write it (mode 0604): run chmod go-rwx DIR/others",
		"file:written":                         "reading file:DIR/written: others can read or write it (mode 0620): run chmod go-rwx DIR/written",
		"file:creds/escape":                    "reading file:DIR/creds/escape: others can read or write it (mode 0604): run chmod go-rwx DIR/creds/escape",
		"file:empty":                           "reading file:DIR/empty: the file is empty",
		"file:large":                           "reading file:DIR/large: larger than 64 KiB",
		"file:gone":                            "reading file:DIR/gone: no such file or directory",
		"file:creds":                           "reading file:DIR/creds: not a regular file",
		"exec:exit 3 # " + canary:              "reading exec:…: the command ended with exit status 3",
		"exec:echo " + canary + " >&2; exit 1": "reading exec:…: the command ended with exit status 1",
		"exec:true " + canary:                  "reading exec:…: the command printed nothing",
		"exec:kill -9 $$ # " + canary:          "reading exec:…: the command ended with signal: killed",
		"exec:yes " + canary:                   "reading exec:…: the command printed more than 64 KiB",
	} {
		t.Run(ref, func(t *testing.T) {
			t.Parallel()
			got, err := reference(t, dir, ref, env).Resolve(t.Context())
			if err == nil || err.Error() != strings.ReplaceAll(want, "DIR", dir) {
				t.Errorf("Resolve: %v, want %s", err, want)
			}
			if !got.IsZero() {
				t.Error("an error came with a secret")
			}
		})
	}
	if _, err := (config.SecretRef{}).Resolve(t.Context()); err == nil {
		t.Error("no reference was resolved")
	}
}

// TestResolveEndsWhatItStarted: at the end of its time a command goes, with
// everything that it started.
func TestResolveEndsWhatItStarted(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := reference(t, dir, "exec:(sleep 3; touch late) & sleep 30", nil).Resolve(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 3*time.Second {
		t.Errorf("Resolve: %v after %v", err, time.Since(start))
	}
	time.Sleep(time.Until(start.Add(4 * time.Second)))
	if _, err := os.Stat(filepath.Join(dir, "late")); err == nil {
		t.Error("what the command started lived on")
	}
}

// TestReferencesPrint: of a command nothing is ever shown.
func TestReferencesPrint(t *testing.T) {
	t.Parallel()
	c := parse(t, `
connections:
  a: {provider: google, client_id: a, client_secret: "exec:echo CANARY"}
  b: {provider: google, client_id: b, client_secret: env:NAME}
  c: {provider: google, client_id: c, client_secret: file:sf}
keys: {source: "exec:echo CANARY"}
notify: "exec:notify CANARY"
`)
	var out bytes.Buffer
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&out, format+"\n", *c)
	}
	encoded, err := json.Marshal(c)
	must(t, err)
	out.Write(encoded)
	logger := slog.New(slog.NewTextHandler(&out, nil))
	logger.Info("config", "ref", c.Connections["a"].ClientSecret, "key", c.Keys.Source, "notify", c.Notify, "all", c)
	if strings.Contains(out.String(), canary) || strings.Contains(out.String(), fmt.Sprintf("%x", canary)) {
		t.Errorf("a command is shown:\n%s", out.String())
	}
	for _, want := range []string{"env:NAME", "file:/etc/grantry/sf", "exec:…"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not shown", want)
		}
	}
}
