package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	labelBlob  = "grantry/blob/v1"
	blobHeader = 2 + len(DEKID{})

	// Overhead is what a blob has more than its plaintext, in bytes.
	Overhead = blobHeader + nonceSize + tagSize // 46
)

// DEKID names a data key: 16 random bytes, in front of every blob that it sealed.
type DEKID [16]byte

// String is the id in 32 hexadecimal digits.
func (id DEKID) String() string { return hex.EncodeToString(id[:]) }

// DEK is an unwrapped data key. It seals one user's fields; the root DEK also
// derives. It is safe for concurrent use and prints as [redacted].
type DEK struct {
	id   DEKID
	key  boxed[[]byte]
	aead boxed[cipher.AEAD]
}

// Place says where a value stands. It is a blob's associated data: rebuilt from
// the row for Seal and Open, never stored. A field that does not apply is empty
// at both.
type Place struct {
	// Tenant is the vault's instance.
	Tenant string
	// Subject is the keyed hash of the user, "" for the vault itself.
	Subject string
	// Table and Column name the field.
	Table, Column string
	// Row is the row's id.
	Row string
	// Generation is the row's generation that the value belongs to.
	Generation uint64
	// Connection is the name of the connection in the config.
	Connection string
	// Destination is the digest of where the value may be sent.
	Destination []byte
}

func newDEK(id DEKID, key []byte) *DEK {
	return &DEK{id: id, key: box(key), aead: box(newAEAD(key))}
}

// ID names the key without revealing it.
func (d *DEK) ID() DEKID { return d.id }

// Seal answers plaintext as a blob for place p: Overhead bytes longer, different
// at every call. A place without table or column is refused: such a blob would
// fit into any field.
func (d *DEK) Seal(p Place, plaintext []byte) ([]byte, error) {
	if p.Table == "" || p.Column == "" {
		return nil, errors.New("sealing: the place names no table and column")
	}
	out := make([]byte, 0, Overhead+len(plaintext))
	out = append(out, version, algAESGCM)
	out = append(out, d.id[:]...)
	return d.aead().Seal(out, nil, plaintext, p.aad(out)), nil
}

// Open answers the plaintext of a blob that was sealed by this key for exactly
// place p, else ErrOpen.
func (d *DEK) Open(p Place, blob []byte) ([]byte, error) {
	id, err := BlobDEK(blob)
	if err != nil {
		return nil, fmt.Errorf("opening %s.%s: %w", p.Table, p.Column, err)
	}
	if id != d.id {
		return nil, fmt.Errorf("opening %s.%s, sealed by key %s: %w", p.Table, p.Column, id, ErrOpen)
	}
	plain, err := d.aead().Open(nil, nil, blob[blobHeader:], p.aad(blob[:blobHeader]))
	if err != nil {
		return nil, fmt.Errorf("opening %s.%s: %w", p.Table, p.Column, ErrOpen)
	}
	return plain, nil
}

// BlobDEK names the data key that sealed a blob; ErrOpen when the bytes are no
// blob of version 1.
func BlobDEK(blob []byte) (DEKID, error) {
	if len(blob) < Overhead || blob[0] != version || blob[1] != algAESGCM {
		return DEKID{}, fmt.Errorf("not a blob of version %d: %w", version, ErrOpen)
	}
	return DEKID(blob[2:blobHeader]), nil
}

// Derive answers 32 bytes for one use, by HKDF-SHA256 with label as info. Only
// the root DEK derives: what hangs on it survives every change of the KEK.
func (d *DEK) Derive(label string) []byte { return derive(d.key(), label) }

func (p Place) aad(header []byte) []byte {
	b := make([]byte, 0, 256)
	b = append(b, labelBlob...)
	b = appendLP(b, p.Tenant)
	b = appendLP(b, p.Subject)
	b = appendLP(b, p.Table)
	b = appendLP(b, p.Column)
	b = appendLP(b, p.Row)
	b = binary.BigEndian.AppendUint64(b, p.Generation)
	b = appendLP(b, p.Connection)
	b = appendLP(b, p.Destination)
	return append(b, header...)
}
