package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxFile is how large a configuration file may be, in bytes.
const maxFile = 1 << 20

// Options is what comes from outside the file: flags, environment, and what
// the rest of the program knows.
type Options struct {
	File    string              // --config; "" = $GRANTRY_CONFIG, else the user's config folder
	Env     func(string) string // nil = os.Getenv
	Home    string              // the user's home folder; "" = os.UserHomeDir
	Sandbox bool                // --sandbox
	DataDir string              // --data-dir; relative to the working directory, as people expect of a flag
	Listen  string              // --listen
	// Providers are the known providers with the keys that a connection to
	// them needs and must not have; nil = not checked.
	Providers map[string]ProviderRule
	// Tools answers the names of all tools, and is asked only when
	// tools.policy names one; nil = not checked.
	Tools func() []string
}

// ProviderRule says which keys a connection to one provider must and must not
// have, besides client_id, which all need. A key may lead into a map:
// "endpoints.token".
type ProviderRule struct {
	Required  []string
	Forbidden []string
}

// Load finds the configuration file, refuses one that others could have
// written, and reads it. Without a file it answers the built-in defaults.
// Wrong content is a *[Problems]; any other error is about the file itself.
func Load(ctx context.Context, opts Options) (*Config, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	opts = opts.filled()
	name, err := opts.locate()
	if err != nil {
		return nil, err
	}
	if name == "" {
		return Parse("", nil, opts)
	}
	data, err := readTrusted(name)
	if err != nil {
		return nil, err
	}
	return Parse(name, data, opts)
}

// Parse reads the configuration in data. Name is its path: relative paths in
// it start at that file's folder, and problems are reported under it; ""
// means that there is no file. Wrong content is a *[Problems].
func Parse(name string, data []byte, opts Options) (*Config, error) {
	opts = opts.filled()
	r := newReader(opts)
	c := &Config{}
	if name != "" {
		c.File = absolute(name)
		r.base = filepath.Dir(c.File)
	}
	if root, ok := r.document(data); ok {
		topKeys().read(r, "", root, c)
		r.finish(c, opts)
	}
	if len(r.problems) > 0 {
		return nil, &Problems{File: name, List: sorted(r.problems)}
	}
	return c, nil
}

func (o Options) filled() Options {
	if o.Env == nil {
		o.Env = os.Getenv
	}
	if o.Home == "" {
		o.Home, _ = os.UserHomeDir()
	}
	return o
}

// locate names the file to read, "" = none. The working directory is never
// looked at, not even through a relative $GRANTRY_CONFIG.
func (o Options) locate() (string, error) {
	if o.File != "" {
		return o.File, nil
	}
	if name := o.Env("GRANTRY_CONFIG"); name != "" {
		if !filepath.IsAbs(name) {
			return "", errors.New("$GRANTRY_CONFIG must be an absolute path: Grantry never reads its configuration from the working directory")
		}
		return name, nil
	}
	dir := userConfigDir(o.Env, o.Home)
	if dir == "" {
		return "", nil
	}
	name := filepath.Join(dir, "grantry", "grantry.yaml")
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return "", nil // ENOTDIR: a service's home is often /dev/null
	}
	return name, nil
}

// readTrusted reads a configuration file that only we or root can have written.
func readTrusted(name string) ([]byte, error) {
	const next = "; name another file with --config or $GRANTRY_CONFIG, or neither for the defaults"
	if info, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("opening the configuration %s: %w"+next, name, cause(err))
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("opening the configuration %s: not a regular file"+next, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the configuration %s: %w: the user that runs Grantry must be able to read it", name, cause(err))
	}
	defer f.Close()
	if err := checkTrusted(f); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return data, nil
}

// absolute is filepath.Abs, which fails only when there is no working directory.
func absolute(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}
