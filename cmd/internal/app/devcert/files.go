package devcert

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// makeFolder makes dir with mode 0700 whatever the umask says.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700) //nolint:gosec // a folder needs its x bit
}

// readPair refuses a file whose key others can read. Windows has access lists, which come from the data folder.
func readPair(path string) (*pair, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s holds a key that others can read", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	return decode(text)
}

// makeAuthority links a new authority into its place. If one is there by now, that one stays.
func makeAuthority(path string, now time.Time) error {
	p, err := newAuthority(now)
	if err != nil {
		return err
	}
	text, err := p.encode()
	if err != nil {
		return err
	}
	temp, err := writeTemp(filepath.Dir(path), text, 0o600)
	if err != nil {
		return fmt.Errorf("writing the authority: %w", err)
	}
	linked := os.Link(temp, path)
	if errors.Is(linked, fs.ErrExist) {
		linked = nil
	}
	if err := errors.Join(linked, os.Remove(temp)); err != nil {
		return fmt.Errorf("writing the authority: %w", err)
	}
	return nil
}

// publish makes ca.pem what it should be; a file that is right already is not touched.
func publish(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := replace(path, text, 0o644); err != nil {
		return fmt.Errorf("writing the authority's certificate: %w", err)
	}
	return nil
}

// replace puts a whole file in the place of what was there.
func replace(path string, text []byte, mode fs.FileMode) error {
	temp, err := writeTemp(filepath.Dir(path), text, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

// writeTemp makes a synced file beside its place.
func writeTemp(dir string, text []byte, mode fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(dir, ".new-*") // O_EXCL, 0600 less the umask
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := f.Chmod(mode); err != nil {
		return "", err
	}
	if _, err := f.Write(text); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}
