package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

const (
	maxSecret   = 64 << 10 // bytes of a secret
	execTimeout = 10 * time.Second
)

// Resolve reads the secret. An environment variable must be set and not
// empty. A file must hold at most 64 KiB and be readable by its owner only,
// except under a root-owned secrets mount (/run/secrets, /var/run/secrets,
// $CREDENTIALS_DIRECTORY); line ends at its end are dropped. A command runs
// in the system's shell (sh -c; cmd /C on Windows), in the configuration
// file's folder, for at most 10 s; its stderr is dropped, and white space
// around what it prints. No error holds a secret or a command line.
func (s SecretRef) Resolve(ctx context.Context) (provider.Secret, error) {
	var value string
	var err error
	switch s.scheme {
	case "env":
		value = s.env(s.target)
	case "file":
		value, err = readSecret(s.target, s.env)
	case "exec":
		value, err = output(ctx, s.target, s.dir, nil)
	default:
		return provider.Secret{}, errors.New("no secret is configured")
	}
	if err != nil {
		return provider.Secret{}, fmt.Errorf("reading %s: %w", s, err)
	}
	if value == "" {
		return provider.Secret{}, fmt.Errorf("reading %s: %s", s, emptyBecause(s.scheme))
	}
	return provider.NewSecret(value), nil
}

func emptyBecause(scheme string) string {
	switch scheme {
	case "env":
		return "the environment variable is not set, or is empty"
	case "file":
		return "the file is empty"
	}
	return "the command printed nothing"
}

func readSecret(name string, env func(string) string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", cause(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return "", cause(err)
	}
	defer f.Close()
	if !inSecretsMount(name, env) {
		if err := checkPrivate(f); err != nil {
			return "", err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", cause(err)
	}
	if len(data) > maxSecret {
		return "", errors.New("larger than 64 KiB")
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// cause drops the path, which the caller names already.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// inSecretsMount says whether a file really lies under a mount that the
// system made for secrets.
func inSecretsMount(name string, env func(string) string) bool {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return false
	}
	for _, root := range []string{"/run/secrets", "/var/run/secrets", env("CREDENTIALS_DIRECTORY")} {
		if !filepath.IsAbs(root) {
			continue
		}
		dir, err := filepath.EvalSymlinks(root)
		if err != nil || !ownedBySystem(dir) {
			continue
		}
		if rest, err := filepath.Rel(dir, real); err == nil && filepath.IsLocal(rest) {
			return true
		}
	}
	return false
}

// Run runs the command in dir with stdin as its input, for at most 10 s. What it
// prints is dropped. No error holds the command line.
func (c Command) Run(ctx context.Context, dir string, stdin []byte) error {
	_, err := output(ctx, c.line, dir, stdin)
	return err
}

// output runs a command line and answers what it printed.
func output(ctx context.Context, line, dir string, stdin []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, execTimeout)
	defer cancel()
	out := &capped{}
	cmd := shell(ctx, line)
	cmd.Stdout, cmd.Stdin = out, bytes.NewReader(stdin)
	cmd.WaitDelay = time.Second
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		cmd.Dir = dir
	} else {
		cmd.Dir = os.TempDir() // never the working directory
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case out.over:
		return "", errors.New("the command printed more than 64 KiB")
	case ctx.Err() != nil:
		return "", fmt.Errorf("the command did not end in time: %w", ctx.Err())
	case errors.As(err, &exit):
		return "", fmt.Errorf("the command ended with %s", exit.ProcessState)
	case err != nil:
		return "", errors.New("the command could not be run")
	}
	return strings.TrimSpace(out.buf.String()), nil
}

// capped keeps up to maxSecret bytes and then refuses more.
type capped struct {
	buf  bytes.Buffer
	over bool
}

func (c *capped) Write(p []byte) (int, error) {
	if c.buf.Len()+len(p) > maxSecret {
		c.over = true
		return 0, io.ErrShortWrite
	}
	return c.buf.Write(p)
}
