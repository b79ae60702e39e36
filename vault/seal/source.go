package seal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Source is where KEKs come from. It yields the lines of a key file, so that two
// keys can live at once.
type Source interface {
	// Keys reads all keys; ErrNoKey when there is none.
	Keys(ctx context.Context) ([]Key, error)
	// String is the reference that the source was opened by, of a command only
	// that it is one. It is not secret.
	String() string
}

// Creator is a Source that can make its first key: a file, the keychain, a cloud KMS.
type Creator interface {
	Source
	// Create makes a key where there is none and answers when it is durable. A
	// key that is there already, or that another process makes at the same time,
	// is kept and is no error: read it with Keys.
	Create(ctx context.Context) error
}

// Appender is a Source to which a key can be added: a file, the keychain, a cloud
// KMS. For the others a person adds Key.Line.
type Appender interface {
	Source
	// Append adds a key behind those that are there, and answers when it is
	// durable. A key that is there already is no error. Of Appends at the same
	// time, by whatever processes, none is lost. ErrNoKey when the source holds
	// no key yet; ErrReadOnly under a secrets mount.
	Append(ctx context.Context, key Key) error
}

// Remover is a Source from which a key can be taken away: those of Appender.
type Remover interface {
	Source
	// Remove drops the line of key id, and answers when that is durable. A key
	// that is not there is no error. ErrLastKey when it is the only one;
	// ErrReadOnly under a secrets mount.
	Remove(ctx context.Context, id KeyID) error
}

// SourceOptions are what OpenSource needs of the process; the zero value is the
// process's own.
type SourceOptions struct {
	// Home replaces a leading ~ in a file reference; "" means os.UserHomeDir.
	Home string
	// Dir holds the sealed lines of a cloud KMS: the data folder. Without it the
	// URL of a KMS needs an absolute file=.
	Dir string
	// CommandDir is where an exec: command runs: the folder of the configuration
	// file. "" means the root folder; it is never the working directory.
	CommandDir string
	// LookupEnv reads a variable; nil means os.LookupEnv.
	LookupEnv func(name string) (string, bool)
	// Unsetenv removes a variable after its key was read, so that children do
	// not inherit it; nil means os.Unsetenv.
	Unsetenv func(name string) error
	// OpenKeeper opens the key of a KMS by its URL, which has no file= any more;
	// nil means gocloud.dev/secrets in a build with the tag cloudkms, and
	// ErrSourceUnavailable in others.
	OpenKeeper func(ctx context.Context, url string) (Keeper, error)
}

// OpenSource answers the source that ref names, without reading it:
//
//	file:/path/to/key   file:~/path   a key file; it must be 0600 or 0400
//	env:NAME                          a variable that holds lines of a key file
//	exec:COMMAND                      a command that prints lines of a key file
//	keychain:   keychain:NAME         an entry of the system's keychain, service
//	                                  "grantry", "vault key" unless named
//	awskms://…   gcpkms://…   azurekeyvault://…   hashivault://…
//	                                  a file whose lines are sealed by a KMS;
//	                                  URLs as in gocloud.dev/secrets, file=PATH
//	                                  in the query, else keys.sealed, in Dir
//
// The cloud schemes answer ErrSourceUnavailable in a build without the tag
// cloudkms. A command runs in the system's shell (sh -c; cmd /C on Windows) for at
// most 30 s, with an environment of PATH, HOME, the locale and the like: what else
// it needs it sets itself. Errors never show a command, nor what follows an
// unknown scheme, since it may be a key in the wrong place.
func OpenSource(ref string, opts SourceOptions) (Source, error) {
	scheme, rest, found := strings.Cut(ref, ":")
	if !found {
		return nil, errors.New("opening key source: no scheme in front, such as file:PATH or env:NAME")
	}
	opts = opts.withDefaults()
	switch scheme {
	case "file":
		return openFile(rest, opts)
	case "env":
		return openEnv(rest, opts)
	case "exec":
		return openCommand(rest, opts)
	case "keychain":
		return openKeychain(rest)
	case "awskms", "gcpkms", "azurekeyvault", "hashivault":
		return openKMS(scheme, rest, opts)
	}
	return nil, errors.New("opening key source: unknown scheme, want file:PATH, env:NAME, keychain: or exec:COMMAND")
}

func (o SourceOptions) withDefaults() SourceOptions {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.Unsetenv == nil {
		o.Unsetenv = os.Unsetenv
	}
	if o.OpenKeeper == nil {
		o.OpenKeeper = cloudKeeper()
	}
	return o
}

func (o SourceOptions) home() (string, error) {
	if o.Home != "" {
		return o.Home, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding ~: %w", err)
	}
	return home, nil
}
