package seal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/zalando/go-keyring"
)

const (
	keychainService = "grantry"
	keychainName    = "vault key"
	keychainLock    = "keychain" // .lock
)

// keychainSource is an entry of the system's keychain: Keychain on macOS,
// Credential Manager on Windows, Secret Service elsewhere. None of them knows
// cancellation, since a person may have to unlock it.
type keychainSource struct{ name string }

var (
	_ Creator  = (*keychainSource)(nil)
	_ Appender = (*keychainSource)(nil)
	_ Remover  = (*keychainSource)(nil)
)

func openKeychain(name string) (Source, error) {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, errors.New("opening key source keychain: control characters in the name")
	}
	return &keychainSource{name: name}, nil
}

func (s *keychainSource) String() string { return "keychain:" + s.name }

func (s *keychainSource) entry() string {
	if s.name == "" {
		return keychainName
	}
	return s.name
}

// Keys reads the entry.
func (s *keychainSource) Keys(ctx context.Context) ([]Key, error) {
	data, err := s.read(ctx)
	return plainLines().read(s, data, err)
}

// Create makes the entry with its first key.
func (s *keychainSource) Create(ctx context.Context) error {
	err := s.replace(ctx, func(data []byte) ([]byte, error) {
		if len(data) != 0 {
			return data, nil
		}
		key, err := GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		return plainLines().first(key)
	})
	if err != nil {
		return fmt.Errorf("creating %s: %w", s, err)
	}
	return nil
}

// Append writes the entry anew with one key more.
func (s *keychainSource) Append(ctx context.Context, key Key) error {
	err := s.replace(ctx, func(data []byte) ([]byte, error) { return plainLines().with(data, key) })
	if err != nil {
		return fmt.Errorf("adding a key to %s: %w", s, err)
	}
	return nil
}

// Remove writes the entry anew with one key less.
func (s *keychainSource) Remove(ctx context.Context, id KeyID) error {
	err := s.replace(ctx, func(data []byte) ([]byte, error) { return plainLines().without(data, id) })
	if err != nil {
		return fmt.Errorf("removing key %s from %s: %w", id, s, err)
	}
	return nil
}

// read answers nothing for an entry that is not there.
func (s *keychainSource) read(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	text, err := keyring.Get(keychainService, s.entry())
	if errors.Is(err, keyring.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, keychainError(err)
	}
	return []byte(text), checkSize([]byte(text))
}

func (s *keychainSource) replace(ctx context.Context, edit func([]byte) ([]byte, error)) (err error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	old, err := s.read(ctx)
	if err != nil {
		return err
	}
	data, err := edit(old)
	if err != nil || string(data) == string(old) {
		return err
	}
	if err := keyring.Set(keychainService, s.entry(), string(data)); err != nil {
		return keychainError(err)
	}
	return s.verify(ctx, data)
}

func keychainError(err error) error {
	if errors.Is(err, keyring.ErrSetDataTooBig) {
		return errTooLong
	}
	return fmt.Errorf("%w: %w", ErrNoKeychain, err)
}

// verify reads back: go-keyring answers no error when a person closed the dialog.
func (s *keychainSource) verify(ctx context.Context, want []byte) error {
	got, err := s.read(ctx)
	if err != nil {
		return err
	}
	if string(got) != string(want) {
		return fmt.Errorf("it did not keep the key: %w", ErrNoKeychain)
	}
	return nil
}

// lock is one per user, as the entry is: vaults may share it.
func (*keychainSource) lock(ctx context.Context) (unlock func() error, err error) {
	config, err := os.UserConfigDir()
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	dir := filepath.Join(config, keychainService)
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	return lockBeside(ctx, filepath.Join(dir, keychainLock))
}
