package seal

import (
	"crypto/cipher"
	"fmt"
	"io"
	"maps"
)

const (
	labelDEK    = "grantry/dek/v1"
	wrapHeader  = 2 + len(KeyID{})
	wrappedSize = wrapHeader + nonceSize + keySize + tagSize // 70
)

// Tree holds the KEKs that are at hand and wraps data keys under the active one.
// It is safe for concurrent use and prints as [redacted].
type Tree struct {
	active KeyID
	wraps  boxed[map[KeyID]cipher.AEAD]
}

// NewTree answers a tree over keys whose new data keys are wrapped under active,
// which must be one of them (else *UnknownKeyError).
func NewTree(keys []Key, active KeyID) (*Tree, error) {
	t := &Tree{wraps: box(map[KeyID]cipher.AEAD{})}
	return t.With(keys).Activate(active)
}

// With answers a tree that has keys too and wraps under the same KEK as t, which
// stays as it is: a process learns a new key before it becomes active.
func (t *Tree) With(keys []Key) *Tree {
	wraps := maps.Clone(t.wraps())
	for _, k := range keys {
		wraps[k.ID()] = newAEAD(derive(k.bytes(), labelWrap))
	}
	return &Tree{active: t.active, wraps: box(wraps)}
}

// Activate answers a tree with the same keys that wraps under id; t stays as it
// is. *UnknownKeyError when id is not at hand.
func (t *Tree) Activate(id KeyID) (*Tree, error) {
	if !t.Has(id) {
		return nil, &UnknownKeyError{ID: id}
	}
	return &Tree{active: id, wraps: t.wraps}, nil
}

// Active names the KEK that wraps new data keys.
func (t *Tree) Active() KeyID { return t.active }

// Has says whether the KEK id is at hand.
func (t *Tree) Has(id KeyID) bool {
	_, ok := t.wraps()[id]
	return ok
}

// NewDEK draws a data key for subject ("" for the vault's root key) and answers
// it with its wrapped form of 70 bytes. The caller stores that form, the DEK's
// id, tenant and subject: OpenDEK wants the same four. random nil means
// crypto/rand.
func (t *Tree) NewDEK(tenant, subject string, random io.Reader) (*DEK, []byte, error) {
	raw, err := draw(random, len(DEKID{})+keySize)
	if err != nil {
		return nil, nil, fmt.Errorf("drawing a data key: %w", err)
	}
	id := DEKID(raw[:len(DEKID{})])
	d := newDEK(id, raw[len(id):])
	return d, t.wrap(tenant, subject, d), nil
}

// OpenDEK unwraps a data key. It answers *UnknownKeyError when the KEK that it is
// wrapped under is not at hand, and ErrOpen when it was changed or belongs to
// another tenant, subject or id.
func (t *Tree) OpenDEK(tenant, subject string, id DEKID, wrapped []byte) (*DEK, error) {
	kek, err := WrappedBy(wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrapping data key %s: %w", id, err)
	}
	aead, ok := t.wraps()[kek]
	if !ok {
		return nil, &UnknownKeyError{ID: kek}
	}
	key, err := aead.Open(nil, nil, wrapped[wrapHeader:], wrapAAD(tenant, subject, id, kek))
	if err != nil {
		return nil, fmt.Errorf("unwrapping data key %s: %w", id, ErrOpen)
	}
	return newDEK(id, key), nil
}

// Rewrap wraps a data key under the active KEK; its blobs stay as they are. The
// errors are those of OpenDEK.
func (t *Tree) Rewrap(tenant, subject string, id DEKID, wrapped []byte) ([]byte, error) {
	d, err := t.OpenDEK(tenant, subject, id, wrapped)
	if err != nil {
		return nil, err
	}
	return t.wrap(tenant, subject, d), nil
}

// WrappedBy names the KEK of a wrapped data key; ErrOpen when the bytes are no
// wrapped key of version 1.
func WrappedBy(wrapped []byte) (KeyID, error) {
	if len(wrapped) != wrappedSize || wrapped[0] != version || wrapped[1] != algAESGCM {
		return KeyID{}, fmt.Errorf("not a wrapped key of version %d: %w", version, ErrOpen)
	}
	return KeyID(wrapped[2:wrapHeader]), nil
}

func (t *Tree) wrap(tenant, subject string, d *DEK) []byte {
	out := make([]byte, 0, wrappedSize)
	out = append(out, version, algAESGCM)
	out = append(out, t.active[:]...)
	return t.wraps()[t.active].Seal(out, nil, d.key(), wrapAAD(tenant, subject, d.id, t.active))
}

func wrapAAD(tenant, subject string, id DEKID, kek KeyID) []byte {
	b := []byte(labelDEK)
	b = appendLP(b, tenant)
	b = appendLP(b, subject)
	b = append(b, id[:]...)
	return append(b, kek[:]...)
}
