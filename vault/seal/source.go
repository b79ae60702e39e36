package seal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Source is where KEKs come from.
type Source interface {
	// Keys reads all keys; ErrNoKey when there is none.
	Keys(ctx context.Context) ([]Key, error)
	// String is the reference that the source was opened by. It is not secret.
	String() string
}

// Creator is a Source that can make its first key.
type Creator interface {
	Source
	// Create makes a key where there is none and answers when it is durable. A
	// key that is there already, or that another process makes at the same time,
	// is kept and is no error: read it with Keys.
	Create(ctx context.Context) error
}

// SourceOptions are what OpenSource needs of the process; the zero value is the
// process's own.
type SourceOptions struct {
	// Home replaces a leading ~ in a file reference; "" means os.UserHomeDir.
	Home string
	// LookupEnv reads a variable; nil means os.LookupEnv.
	LookupEnv func(name string) (string, bool)
	// Unsetenv removes a variable after its key was read, so that children do
	// not inherit it; nil means os.Unsetenv.
	Unsetenv func(name string) error
}

// OpenSource answers the source that ref names, without reading it:
//
//	file:/path/to/key   file:~/path   a key file; it must be 0600 or 0400
//	env:NAME                          a variable that holds lines of a key file
//
// Other schemes of the config (exec, keychain, awskms, gcpkms, azurekeyvault,
// hashivault) answer ErrSourceUnavailable. Errors never show what follows an
// unknown scheme, since it may be a key in the wrong place.
func OpenSource(ref string, opts SourceOptions) (Source, error) {
	scheme, rest, found := strings.Cut(ref, ":")
	if !found {
		return nil, errors.New("opening key source: no scheme in front, such as file:PATH or env:NAME")
	}
	switch scheme {
	case "file":
		return openFile(rest, opts.withDefaults())
	case "env":
		return openEnv(rest, opts.withDefaults())
	case "exec", "keychain", "awskms", "gcpkms", "azurekeyvault", "hashivault":
		return nil, fmt.Errorf("opening key source %s: %w", scheme, ErrSourceUnavailable)
	}
	return nil, errors.New("opening key source: unknown scheme, want file:PATH or env:NAME")
}

func (o SourceOptions) withDefaults() SourceOptions {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.Unsetenv == nil {
		o.Unsetenv = os.Unsetenv
	}
	return o
}
