package seal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxKeyFile bounds what a source yields, in bytes: some hundred keys with comments.
const maxKeyFile = 64 << 10

var errTooLong = errors.New("more than 64 KiB")

// keyFile is a file of the owner's, or one under a secrets mount.
type keyFile struct {
	path   string
	mounts []string // folders whose files may be readable by others, if root owns the folder
}

func newKeyFile(path string, opts SourceOptions) keyFile {
	f := keyFile{path: filepath.Clean(path), mounts: []string{"/run/secrets", "/var/run/secrets"}}
	if dir, ok := opts.LookupEnv("CREDENTIALS_DIRECTORY"); ok && filepath.IsAbs(dir) {
		f.mounts = append(f.mounts, filepath.Clean(dir))
	}
	return f
}

// read opens the file once and checks what it opened, so that a link that is
// turned round meanwhile gains nothing.
func (k keyFile) read() ([]byte, error) {
	data, _, err := k.readInfo(k.path)
	return data, err
}

func (k keyFile) readInfo(path string) ([]byte, fs.FileInfo, error) {
	f, err := openKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, ErrNoKey
	}
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file")
	}
	if !ownersOnly(info) && !k.mounted(info) {
		return nil, nil, &PermissionError{Path: k.path, Mode: info.Mode().Perm()}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, nil, err
	}
	return data, info, checkSize(data)
}

func checkSize(data []byte) error {
	if len(data) > maxKeyFile {
		return errTooLong
	}
	return nil
}

// mounted says whether the file lies under a secrets mount of root's, whose
// files an orchestrator hands out readable by all of the container.
func (k keyFile) mounted(info fs.FileInfo) bool {
	if info.Mode().Perm()&0o022 != 0 {
		return false
	}
	return slices.ContainsFunc(k.mounts, func(dir string) bool { return under(dir, k.path) && rootOwned(dir) })
}

func under(dir, path string) bool {
	return strings.HasPrefix(path, dir+string(filepath.Separator))
}

// create writes the content beside its place and links it there, which fails if
// something is there: nobody ever sees half a key, and of two processes one wins.
func (k keyFile) create(content func() ([]byte, error)) error {
	dir := filepath.Dir(k.path)
	if _, err := os.Lstat(k.path); err == nil {
		return syncDir(dir) // no KMS is asked, and a mount is not written
	}
	if err := makeDir(dir); err != nil {
		return err
	}
	data, err := content()
	if err != nil {
		return err
	}
	temp, err := writeTemp(dir, data, nil)
	if err != nil {
		return err
	}
	linkErr := os.Link(temp, k.path)
	if err := os.Remove(temp); err != nil {
		return err
	}
	if linkErr != nil && !errors.Is(linkErr, fs.ErrExist) {
		return linkErr
	}
	return syncDir(dir)
}

// replace puts a new file in the place of the old one, with its mode and owner.
// A reader sees one or the other; a writer waits for the one before it.
func (k keyFile) replace(ctx context.Context, edit func([]byte) ([]byte, error)) (err error) {
	path, err := filepath.EvalSymlinks(k.path) // the link stays a link
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoKey
	}
	if err != nil {
		return err
	}
	if k.inMount(path) {
		return ErrReadOnly
	}
	unlock, err := lockBeside(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	old, info, err := k.readInfo(path)
	if err != nil {
		return err
	}
	data, err := edit(old)
	if err != nil || bytes.Equal(old, data) {
		return err
	}
	if err := checkSize(data); err != nil {
		return err
	}
	return swap(path, data, info)
}

// inMount says whether the file lies under a secrets mount by its name or behind
// links, whoever owns the mount: what an orchestrator puts there it puts there again.
func (k keyFile) inMount(real string) bool {
	for _, dir := range k.mounts {
		behind, err := filepath.EvalSymlinks(dir)
		if err != nil {
			behind = dir
		}
		if under(dir, k.path) || under(dir, real) || under(behind, real) {
			return true
		}
	}
	return false
}

func swap(path string, data []byte, like fs.FileInfo) error {
	dir := filepath.Dir(path)
	temp, err := writeTemp(dir, data, like)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(dir)
}

// writeTemp makes a synced file of mode 0600, or of the mode and owner of like,
// whatever the umask.
func writeTemp(dir string, data []byte, like fs.FileInfo) (name string, err error) {
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
	mode := fs.FileMode(0o600)
	if like != nil {
		mode = like.Mode().Perm()
		if err := giveTo(f, like); err != nil {
			return "", err
		}
	}
	if err := f.Chmod(mode); err != nil {
		return "", err
	}
	if _, err := f.Write(data); err != nil {
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
