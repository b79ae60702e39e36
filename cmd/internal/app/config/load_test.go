package config_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grantry/grantry/cmd/internal/app/config"
)

const hostile = "listen: 127.0.0.1:666\nnotify: exec:touch /tmp/owned\n"

// TestWorkingDirectory is not parallel: it changes into a repository that a
// stranger wrote. Nothing in it is read, under any name or by any variable.
func TestWorkingDirectory(t *testing.T) {
	repo, home := folder(t), folder(t)
	for _, name := range []string{
		"grantry.yaml", "grantry.yml", ".grantry.yaml", "grantry/grantry.yaml", ".config/grantry/grantry.yaml",
		"config/grantry/grantry.yaml", "grantry.yaml.example",
	} {
		write(t, filepath.Join(repo, name), hostile, 0o600)
	}
	t.Chdir(repo)
	for name, env := range map[string]map[string]string{
		"nothing set":              nil,
		"empty variables":          {"GRANTRY_CONFIG": "", "XDG_CONFIG_HOME": "", "HOME": ""},
		"a relative config folder": {"XDG_CONFIG_HOME": ".config"},
		"the folder itself":        {"XDG_CONFIG_HOME": "."},
	} {
		c, err := config.Load(t.Context(), options(home, env))
		must(t, err)
		if c.File != "" || c.Listen != "127.0.0.1:8787" || !c.Notify.IsZero() {
			t.Errorf("%s: read %q", name, c.File)
		}
	}
	c, err := config.Load(t.Context(), options("relative/home", map[string]string{"XDG_CONFIG_HOME": filepath.Join(home, "none"), "XDG_DATA_HOME": home}))
	must(t, err)
	if c.File != "" {
		t.Errorf("a relative home: read %q", c.File)
	}
	_, err = config.Load(t.Context(), options(home, map[string]string{"GRANTRY_CONFIG": "grantry.yaml"}))
	if err == nil || !strings.Contains(err.Error(), "never reads its configuration from the working directory") {
		t.Errorf("a relative $GRANTRY_CONFIG: %v", err)
	}
	opts := options(home, nil)
	opts.File = "grantry.yaml"
	if c, err := config.Load(t.Context(), opts); err != nil || c.File != filepath.Join(repo, "grantry.yaml") {
		t.Errorf("--config with a name is the person's own word: %v", err)
	}
}

// TestLocation: the flag wins over the variable, which wins over the folder.
func TestLocation(t *testing.T) {
	t.Parallel()
	home := folder(t)
	dir, env := configFolder(home)
	opts := options(home, env)
	expect := func(file, listen string) {
		t.Helper()
		c, err := config.Load(t.Context(), opts)
		must(t, err)
		if c.Listen != listen || c.File != file {
			t.Errorf("listen %s from %q, want %s from %q", c.Listen, c.File, listen, file)
		}
	}
	expect("", "127.0.0.1:8787")
	opts.Home, opts.Env = write(t, filepath.Join(home, "no-folder"), "", 0o600), func(string) string { return "" }
	opts.DataDir = home
	expect("", "127.0.0.1:8787")
	opts = options(home, env)
	user := write(t, filepath.Join(dir, "grantry.yaml"), "listen: 127.0.0.1:1", 0o644)
	expect(user, "127.0.0.1:1")
	env["GRANTRY_CONFIG"] = write(t, filepath.Join(home, "variable.yaml"), "listen: 127.0.0.1:2", 0o644)
	expect(env["GRANTRY_CONFIG"], "127.0.0.1:2")
	opts.File = write(t, filepath.Join(home, "flag.yaml"), "listen: 127.0.0.1:3", 0o644)
	expect(opts.File, "127.0.0.1:3")
}

// TestMissing: a file that somebody named must be there.
func TestMissing(t *testing.T) {
	t.Parallel()
	home := folder(t)
	gone := filepath.Join(home, "gone.yaml")
	opts := options(home, map[string]string{"GRANTRY_CONFIG": gone})
	if _, err := config.Load(t.Context(), opts); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("$GRANTRY_CONFIG: %v", err)
	}
	opts = options(home, nil)
	opts.File = gone
	if _, err := config.Load(t.Context(), opts); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("--config: %v", err)
	}
	opts.File = home
	if _, err := config.Load(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	dir, env := configFolder(home)
	must(t, os.MkdirAll(dir, 0o700))
	must(t, os.Symlink(gone, filepath.Join(dir, "grantry.yaml")))
	opts = options(home, env)
	if _, err := config.Load(t.Context(), opts); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a dangling link is no absent file: %v", err)
	}
}

func TestLoadStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := config.Load(ctx, options(folder(t), nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("Load: %v", err)
	}
}
