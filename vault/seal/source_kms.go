package seal

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	sealedFile = "keys.sealed"
	kmsTime    = 30 * time.Second
)

// Keeper is a key of a KMS, which never leaves it; *secrets.Keeper of
// gocloud.dev is one. Its errors must hold no answer of the KMS.
type Keeper interface {
	// Encrypt seals up to 64 bytes.
	Encrypt(ctx context.Context, plaintext []byte) (ciphertext []byte, err error)
	// Decrypt opens what Encrypt sealed.
	Decrypt(ctx context.Context, ciphertext []byte) (plaintext []byte, err error)
	// Close ends the connection.
	Close() error
}

// sealedLines are lines of a key file, each sealed by a KMS by itself: so an RSA
// key of a KMS has room for it, and a line is added without the others.
type sealedLines struct {
	url  string
	open func(ctx context.Context, url string) (Keeper, error)

	mu   sync.Mutex
	seen map[string]Key // by sealed line: the KMS is asked once for each
}

func openKMS(scheme, rest string, opts SourceOptions) (Source, error) {
	if opts.OpenKeeper == nil {
		return nil, fmt.Errorf("opening key source %s: %w", scheme, ErrSourceUnavailable)
	}
	u, err := url.Parse(scheme + "://" + strings.TrimPrefix(rest, "//"))
	if err != nil || u.Host+u.Path == "" || u.Fragment != "" {
		return nil, fmt.Errorf("opening key source %s: want %s:// and the name of a key", scheme, scheme)
	}
	query := u.Query()
	path, err := sealedPath(query.Get("file"), opts)
	if err != nil {
		return nil, fmt.Errorf("opening key source %s: %w", scheme, err)
	}
	query.Del("file")
	u.RawQuery = query.Encode()
	lines := &sealedLines{url: u.String(), open: opts.OpenKeeper, seen: map[string]Key{}}
	return &fileSource{name: scheme + "://" + u.Host + u.Path, file: newKeyFile(path, opts), codec: lines.codec}, nil
}

func sealedPath(name string, opts SourceOptions) (string, error) {
	if name == "" {
		name = sealedFile
	}
	path, err := expandHome(name, opts)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(opts.Dir, path)
	}
	if !filepath.IsAbs(path) {
		return "", errors.New("no folder for the sealed keys: file= in the query must be absolute")
	}
	return path, nil
}

func (s *sealedLines) codec(ctx context.Context) codec {
	return codec{
		decode: func(text string) (Key, error) { return s.decode(ctx, text) },
		encode: func(key Key) (string, error) { return s.encode(ctx, key) },
	}
}

func (s *sealedLines) decode(ctx context.Context, text string) (Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key, ok := s.seen[text]; ok {
		return key, nil
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Key{}, errors.New("sealed key is not base64")
	}
	var key Key
	err = s.with(ctx, func(ctx context.Context, k Keeper) error {
		plain, err := k.Decrypt(ctx, sealed)
		if err != nil {
			return fmt.Errorf("opening a sealed key: %w", err)
		}
		key, err = ParseKey(string(plain))
		return err
	})
	if err != nil {
		return Key{}, err
	}
	s.seen[text] = key
	return key, nil
}

// encode opens again what it sealed: a KMS that lets us seal and not open would
// show that at the next start only, when the vault is full.
func (s *sealedLines) encode(ctx context.Context, key Key) (string, error) {
	var sealed []byte
	err := s.with(ctx, func(ctx context.Context, k Keeper) (err error) {
		sealed, err = k.Encrypt(ctx, []byte(key.Line()))
		if err != nil {
			return fmt.Errorf("sealing a key: %w", err)
		}
		plain, err := k.Decrypt(ctx, sealed)
		if err != nil {
			return fmt.Errorf("opening a sealed key: %w", err)
		}
		if subtle.ConstantTimeCompare(plain, []byte(key.Line())) != 1 {
			return errors.New("the KMS opened something else than it sealed")
		}
		return nil
	})
	return base64.StdEncoding.EncodeToString(sealed), err
}

func (s *sealedLines) with(ctx context.Context, do func(context.Context, Keeper) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, kmsTime)
	defer cancel()
	keeper, err := s.open(ctx, s.url)
	if err != nil {
		return fmt.Errorf("reaching the KMS: %w", err)
	}
	defer func() { err = errors.Join(err, keeper.Close()) }()
	return do(ctx, keeper)
}
