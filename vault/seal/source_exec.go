package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const commandTime = 30 * time.Second

// commandSource runs a command line at every read.
type commandSource struct {
	line string
	opts SourceOptions
}

func openCommand(line string, opts SourceOptions) (Source, error) {
	if strings.TrimSpace(line) == "" {
		return nil, errors.New("opening key source exec: no command")
	}
	return &commandSource{line: line, opts: opts}, nil
}

// String does not show the command, which may hold a secret.
func (s *commandSource) String() string { return "exec:…" }

// Keys runs the command and reads what it prints.
func (s *commandSource) Keys(ctx context.Context) ([]Key, error) {
	data, err := s.output(ctx)
	return plainLines().read(s, data, err)
}

func (s *commandSource) output(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	out := &capped{}
	cmd := shell(ctx, s.line)
	cmd.Env, cmd.Dir, cmd.Stdout = s.environment(), s.dir(), out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case out.over:
		return nil, errTooLong
	case ctx.Err() != nil:
		return nil, fmt.Errorf("the command did not end in time: %w", ctx.Err())
	case errors.As(err, &exit):
		return nil, fmt.Errorf("the command ended with %s", exit.ProcessState)
	case err != nil:
		return nil, errors.New("the command could not be run")
	}
	return out.buf.Bytes(), nil
}

// dir is never the working directory: clients start us in folders of strangers.
func (s *commandSource) dir() string {
	if filepath.IsAbs(s.opts.CommandDir) {
		return s.opts.CommandDir
	}
	return rootDir()
}

// environment is what a program needs to find its files and its agents. The
// secrets of the other connections, which may stand in ours, stay here.
func (s *commandSource) environment() []string {
	env := []string{}
	for _, name := range inherited() {
		if value, ok := s.opts.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// capped keeps up to maxKeyFile bytes and refuses more, which ends the command.
type capped struct {
	buf  bytes.Buffer
	over bool
}

func (c *capped) Write(p []byte) (int, error) {
	if c.buf.Len()+len(p) > maxKeyFile {
		c.over = true
		return 0, io.ErrShortWrite
	}
	return c.buf.Write(p)
}
