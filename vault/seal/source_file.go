package seal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// fileSource is a file of lines: keys as they are, or sealed by a KMS.
type fileSource struct {
	name  string
	file  keyFile
	codec func(context.Context) codec
}

var (
	_ Creator  = (*fileSource)(nil)
	_ Appender = (*fileSource)(nil)
	_ Remover  = (*fileSource)(nil)
)

func openFile(ref string, opts SourceOptions) (Source, error) {
	path, err := expandHome(ref, opts)
	if err != nil {
		return nil, fmt.Errorf("opening key source file: %w", err)
	}
	if !filepath.IsAbs(path) {
		return nil, errors.New("opening key source file: the path must be absolute or begin with ~/")
	}
	file := newKeyFile(path, opts)
	return &fileSource{name: "file:" + file.path, file: file, codec: func(context.Context) codec { return plainLines() }}, nil
}

func expandHome(path string, opts SourceOptions) (string, error) {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path, nil
	}
	home, err := opts.home()
	return filepath.Join(home, rest), err
}

func (s *fileSource) String() string { return s.name }

// Keys reads all keys of the file.
func (s *fileSource) Keys(ctx context.Context) ([]Key, error) {
	data, err := s.file.read()
	return s.codec(ctx).read(s, data, err)
}

// Create makes the file with its first key.
func (s *fileSource) Create(ctx context.Context) error {
	err := s.file.create(func() ([]byte, error) {
		key, err := GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		return s.codec(ctx).first(key)
	})
	if err != nil {
		return fmt.Errorf("creating %s: %w", s, err)
	}
	return nil
}

// Append writes the file anew with one key more.
func (s *fileSource) Append(ctx context.Context, key Key) error {
	err := s.file.replace(ctx, func(data []byte) ([]byte, error) { return s.codec(ctx).with(data, key) })
	if err != nil {
		return fmt.Errorf("adding a key to %s: %w", s, err)
	}
	return nil
}

// Remove writes the file anew with one key less.
func (s *fileSource) Remove(ctx context.Context, id KeyID) error {
	err := s.file.replace(ctx, func(data []byte) ([]byte, error) { return s.codec(ctx).without(data, id) })
	if err != nil {
		return fmt.Errorf("removing key %s from %s: %w", id, s, err)
	}
	return nil
}
