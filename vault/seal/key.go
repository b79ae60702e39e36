package seal

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	keySize = 32

	labelKeyID = "kek-id/v1"
	labelWrap  = "wrap/v1"
)

// Key is one key-encryption key: 32 bytes that live outside the database. The
// zero Key is not usable. It prints as [redacted]; only Line reveals it.
type Key struct {
	bytes boxed[[]byte]
}

// KeyID names a Key: the first 8 bytes of its derivation "kek-id/v1". It is not
// secret.
type KeyID [8]byte

// String is the id in 16 hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// ParseKey reads one line of a key file: base64 (RFC 4648 section 4, padded or
// not) of exactly 32 bytes, with space around it ignored. Its errors never show
// the line.
func ParseKey(line string) (Key, error) {
	text := strings.TrimRight(strings.TrimSpace(line), "=")
	raw, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil {
		return Key{}, errors.New("key is not base64")
	}
	if len(raw) != keySize {
		return Key{}, fmt.Errorf("key has %d bytes, want %d", len(raw), keySize)
	}
	return Key{bytes: box(raw)}, nil
}

// GenerateKey draws a new key from random; nil means crypto/rand.
func GenerateKey(random io.Reader) (Key, error) {
	raw, err := draw(random, keySize)
	if err != nil {
		return Key{}, fmt.Errorf("drawing a key: %w", err)
	}
	return Key{bytes: box(raw)}, nil
}

// ID names the key without revealing it.
func (k Key) ID() KeyID {
	return KeyID(derive(k.bytes(), labelKeyID)[:len(KeyID{})])
}

// Line reveals the key as a line for a key file, without a line break.
func (k Key) Line() string { return base64.StdEncoding.EncodeToString(k.bytes()) }

// ParseKeys reads a key file: one key per line, blank lines and lines that start
// with # ignored. A key that stands there twice is refused; ErrNoKey when there
// is none. Errors name the line by its number and never show it.
func ParseKeys(data []byte) ([]Key, error) { return plainLines().keys(data) }

// derive is HKDF-SHA256 without salt; it cannot fail for 32 bytes of output.
func derive(secret []byte, label string) []byte {
	out, err := hkdf.Key(sha256.New, secret, nil, label, keySize)
	if err != nil {
		panic("seal: hkdf refuses a 32-byte key: " + err.Error())
	}
	return out
}

func draw(random io.Reader, n int) ([]byte, error) {
	if random == nil {
		random = rand.Reader
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, err
	}
	return b, nil
}
