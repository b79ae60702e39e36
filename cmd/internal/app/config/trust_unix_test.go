//go:build unix

package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grantry/grantry/cmd/internal/app/config"
)

type trustCase struct {
	prepare func(t *testing.T, dir, name string)
	want    []string // parts of the error; none = it loads
}

func trustCases() map[string]trustCase {
	cases := map[string]trustCase{
		"ours alone":                   {chmod(0o700, 0o600), nil},
		"readable by all":              {chmod(0o755, 0o644), nil},
		"written by the group":         {chmod(0o700, 0o660), []string{"grantry.yaml can be written by others (mode 0660)", "chmod go-w"}},
		"written by everybody":         {chmod(0o700, 0o606), []string{"grantry.yaml can be written by others (mode 0606)", "chmod go-w"}},
		"in a folder of the group's":   {chmod(0o770, 0o600), []string{"could replace the configuration", "chmod go-w"}},
		"in a folder of everybody's":   {chmod(0o777, 0o600), []string{"could replace the configuration", "chmod go-w"}},
		"in a sticky folder":           {chmod(0o777|os.ModeSticky, 0o600), nil},
		"both":                         {chmod(0o777, 0o666), []string{"grantry.yaml can be written by others", "could replace the configuration"}},
		"behind a link, in a bad dir":  {linked(0o777, 0o600), []string{"could replace the configuration"}},
		"behind a link, in a good dir": {linked(0o700, 0o600), nil},
	}
	if os.Geteuid() == 0 { // only root can give a file away
		cases["another user's"] = trustCase{func(t *testing.T, _, name string) { must(t, os.Chown(name, 12345, 12345)) }, []string{"belongs to another user (uid 12345)"}}
		cases["in another user's folder"] = trustCase{func(t *testing.T, dir, _ string) { must(t, os.Chown(dir, 12345, 12345)) }, []string{"belongs to another user (uid 12345)"}}
	}
	return cases
}

func TestTrust(t *testing.T) {
	t.Parallel()
	for name, tc := range trustCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(folder(t), "etc")
			opts := options(dir, nil)
			opts.File = write(t, filepath.Join(dir, "grantry.yaml"), "listen: 127.0.0.1:1", 0o600)
			tc.prepare(t, dir, opts.File)
			c, err := config.Load(t.Context(), opts)
			if len(tc.want) == 0 {
				must(t, err)
				if c.Listen != "127.0.0.1:1" {
					t.Errorf("listen: %s", c.Listen)
				}
				return
			}
			for _, part := range tc.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("Load: %v, want an error with %q", err, part)
				}
			}
		})
	}
}

func chmod(dirMode, fileMode os.FileMode) func(*testing.T, string, string) {
	return func(t *testing.T, dir, name string) {
		t.Helper()
		must(t, os.Chmod(name, fileMode))
		must(t, os.Chmod(dir, dirMode))
	}
}

// linked moves the file to another folder and leaves a link.
func linked(dirMode, fileMode os.FileMode) func(*testing.T, string, string) {
	return func(t *testing.T, dir, name string) {
		t.Helper()
		real := filepath.Join(filepath.Dir(dir), "real", "grantry.yaml")
		must(t, os.Mkdir(filepath.Dir(real), 0o700))
		must(t, os.Rename(name, real))
		must(t, os.Symlink(real, name))
		chmod(dirMode, fileMode)(t, filepath.Dir(real), real)
	}
}
