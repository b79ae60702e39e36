package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxKeyFile bounds a key file: some hundred keys with comments.
const maxKeyFile = 64 << 10

// fileSource is a key file of the owner's, or one under a secrets mount.
type fileSource struct {
	path   string
	mounts []string // folders whose files may be readable by others, if root owns the folder
}

var _ Creator = (*fileSource)(nil)

func openFile(ref string, opts SourceOptions) (Source, error) {
	path := ref
	if rest, ok := strings.CutPrefix(ref, "~/"); ok {
		home, err := homeDir(opts)
		if err != nil {
			return nil, err
		}
		path = filepath.Join(home, rest)
	}
	if !filepath.IsAbs(path) {
		return nil, errors.New("opening key source file: the path must be absolute or begin with ~/")
	}
	s := &fileSource{path: filepath.Clean(path), mounts: []string{"/run/secrets", "/var/run/secrets"}}
	if dir, ok := opts.LookupEnv("CREDENTIALS_DIRECTORY"); ok && filepath.IsAbs(dir) {
		s.mounts = append(s.mounts, filepath.Clean(dir))
	}
	return s, nil
}

func homeDir(opts SourceOptions) (string, error) {
	if opts.Home != "" {
		return opts.Home, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("opening key source file: finding ~: %w", err)
	}
	return home, nil
}

func (s *fileSource) String() string { return "file:" + s.path }

// Keys opens the file once and checks what it opened, so that a link that is
// turned round meanwhile gains nothing.
func (s *fileSource) Keys(context.Context) ([]Key, error) {
	f, err := openKeyFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w", s, ErrNoKey)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s, err)
	}
	defer func() { _ = f.Close() }()
	data, err := s.readChecked(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s, err)
	}
	keys, err := ParseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s, err)
	}
	return keys, nil
}

func (s *fileSource) readChecked(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if !ownersOnly(info) && !s.mounted(info) {
		return nil, &PermissionError{Path: s.path, Mode: info.Mode().Perm()}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("more than %d bytes", maxKeyFile)
	}
	return data, nil
}

// mounted says whether the file lies under a secrets mount of root's, whose
// files an orchestrator hands out readable by all of the container.
func (s *fileSource) mounted(info fs.FileInfo) bool {
	if info.Mode().Perm()&0o022 != 0 {
		return false
	}
	for _, dir := range s.mounts {
		if strings.HasPrefix(s.path, dir+string(filepath.Separator)) && rootOwned(dir) {
			return true
		}
	}
	return false
}

// Create writes the key beside its place and links it there, which fails if
// something is there: nobody ever sees half a key, and of two processes one wins.
func (s *fileSource) Create(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.create(); err != nil {
		return fmt.Errorf("creating %s: %w", s, err)
	}
	return nil
}

func (s *fileSource) create() error {
	dir := filepath.Dir(s.path)
	if err := makeDir(dir); err != nil {
		return err
	}
	key, err := GenerateKey(nil)
	if err != nil {
		return err
	}
	temp, err := writeTemp(dir, "# Grantry key "+key.ID().String()+": keep a copy apart from the vault\n"+key.Line()+"\n")
	if err != nil {
		return err
	}
	linkErr := os.Link(temp, s.path)
	if err := os.Remove(temp); err != nil {
		return err
	}
	if linkErr != nil && !errors.Is(linkErr, fs.ErrExist) {
		return linkErr
	}
	return syncDir(dir)
}

// writeTemp makes a synced file of mode 0600, whatever the umask.
func writeTemp(dir, content string) (name string, err error) {
	f, err := os.CreateTemp(dir, ".key-*") // O_EXCL, 0600 less the umask
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := f.Chmod(0o600); err != nil {
		return "", err
	}
	if _, err := io.WriteString(f, content); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}

// makeDir makes dir and what is missing above it, each 0700 whatever the umask.
// Folders that exist stay as they are.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := os.Stat(dir); statErr == nil && info.IsDir() {
			return nil // another process made it
		}
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder needs its x bit
		return err
	}
	return syncDir(filepath.Dir(dir))
}
