package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/grantry/grantry/vault/seal"
)

func newTree(t *testing.T, keys ...seal.Key) *seal.Tree {
	t.Helper()
	tree, err := seal.NewTree(keys, keys[0].ID())
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func newDEK(t *testing.T, tree *seal.Tree) (*seal.DEK, []byte) {
	t.Helper()
	dek, wrapped, err := tree.NewDEK("tenant", "alice", nil)
	if err != nil {
		t.Fatal(err)
	}
	return dek, wrapped
}

func TestNewTreeWantsTheActiveKey(t *testing.T) {
	t.Parallel()
	a, b := newKey(t), newKey(t)
	_, err := seal.NewTree([]seal.Key{a}, b.ID())
	var unknown *seal.UnknownKeyError
	if !errors.As(err, &unknown) || unknown.ID != b.ID() {
		t.Errorf("err = %v, want an UnknownKeyError that names %s", err, b.ID())
	}
}

func TestOpenDEK(t *testing.T) {
	t.Parallel()
	tree := newTree(t, newKey(t))
	dek, wrapped := newDEK(t, tree)
	if len(wrapped) != 70 {
		t.Errorf("wrapped key has %d bytes, want 70", len(wrapped))
	}
	again, err := tree.OpenDEK("tenant", "alice", dek.ID(), wrapped)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != dek.ID() || !bytes.Equal(again.Derive("index/v1"), dek.Derive("index/v1")) {
		t.Error("the unwrapped key is another one")
	}
}

func TestOpenDEKRefuses(t *testing.T) {
	t.Parallel()
	tree := newTree(t, newKey(t))
	dek, wrapped := newDEK(t, tree)
	other, _ := newDEK(t, tree)
	for name, open := range map[string]func() (*seal.DEK, error){
		"another tenant":  func() (*seal.DEK, error) { return tree.OpenDEK("tenant2", "alice", dek.ID(), wrapped) },
		"another subject": func() (*seal.DEK, error) { return tree.OpenDEK("tenant", "bob", dek.ID(), wrapped) },
		"moved border":    func() (*seal.DEK, error) { return tree.OpenDEK("tenanta", "lice", dek.ID(), wrapped) },
		"another id":      func() (*seal.DEK, error) { return tree.OpenDEK("tenant", "alice", other.ID(), wrapped) },
		"nothing":         func() (*seal.DEK, error) { return tree.OpenDEK("tenant", "alice", dek.ID(), nil) },
		"one byte more": func() (*seal.DEK, error) {
			return tree.OpenDEK("tenant", "alice", dek.ID(), append(bytes.Clone(wrapped), 0))
		},
	} {
		if _, err := open(); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("%s: %v, want ErrOpen", name, err)
		}
	}
}

func TestOpenDEKRefusesEveryFlippedBit(t *testing.T) {
	t.Parallel()
	tree := newTree(t, newKey(t))
	dek, wrapped := newDEK(t, tree)
	for bit := range len(wrapped) * 8 {
		bad := bytes.Clone(wrapped)
		bad[bit/8] ^= 1 << (bit % 8)
		_, err := tree.OpenDEK("tenant", "alice", dek.ID(), bad)
		var unknown *seal.UnknownKeyError
		if inKeyID := bit/8 >= 2 && bit/8 < 10; inKeyID != errors.As(err, &unknown) {
			t.Errorf("bit %d: %v, an UnknownKeyError exactly for the id's bits", bit, err)
		} else if !inKeyID && !errors.Is(err, seal.ErrOpen) {
			t.Errorf("bit %d: %v, want ErrOpen", bit, err)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	oldKey, newKEK := newKey(t), newKey(t)
	dek, wrapped := newDEK(t, newTree(t, oldKey))
	blob, err := dek.Seal(place(), []byte("token"))
	if err != nil {
		t.Fatal(err)
	}

	both := newTree(t, newKEK, oldKey)
	rewrapped, err := both.Rewrap("tenant", "alice", dek.ID(), wrapped)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := seal.WrappedBy(rewrapped); err != nil || id != newKEK.ID() {
		t.Errorf("wrapped by %s, %v; want %s", id, err, newKEK.ID())
	}

	retired := newTree(t, newKEK)
	again, err := retired.OpenDEK("tenant", "alice", dek.ID(), rewrapped)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open(place(), blob); err != nil || string(plain) != "token" {
		t.Errorf("after the rotation the blob opens as %q, %v", plain, err)
	}
	if !bytes.Equal(again.Derive("audit-mac/v1"), dek.Derive("audit-mac/v1")) {
		t.Error("the rotation changed a derived key")
	}
	var unknown *seal.UnknownKeyError
	if _, err := retired.OpenDEK("tenant", "alice", dek.ID(), wrapped); !errors.As(err, &unknown) || unknown.ID != oldKey.ID() {
		t.Errorf("old wrapping after retirement: %v, want an UnknownKeyError that names %s", err, oldKey.ID())
	}
}

func TestTreeLearnsAKey(t *testing.T) {
	t.Parallel()
	oldKey, newKEK := newKey(t), newKey(t)
	tree := newTree(t, oldKey)
	var unknown *seal.UnknownKeyError
	if _, err := tree.Activate(newKEK.ID()); !errors.As(err, &unknown) || unknown.ID != newKEK.ID() {
		t.Errorf("activating a key that is not there: %v, want an UnknownKeyError that names %s", err, newKEK.ID())
	}
	both := tree.With([]seal.Key{oldKey, newKEK})
	if both.Active() != oldKey.ID() || !both.Has(newKEK.ID()) || tree.Has(newKEK.ID()) {
		t.Error("With must add a key to the new tree only, and activate none")
	}
	active, err := both.Activate(newKEK.ID())
	if err != nil {
		t.Fatal(err)
	}
	if both.Active() != oldKey.ID() || active.Active() != newKEK.ID() {
		t.Error("Activate must change the new tree only")
	}
	dek, wrapped := newDEK(t, active)
	if id, err := seal.WrappedBy(wrapped); err != nil || id != newKEK.ID() {
		t.Errorf("wrapped by %s, %v; want the activated key", id, err)
	}
	if _, err := both.OpenDEK("tenant", "alice", dek.ID(), wrapped); err != nil {
		t.Errorf("a replica that only learned the key: %v", err)
	}
	if _, err := tree.OpenDEK("tenant", "alice", dek.ID(), wrapped); !errors.As(err, &unknown) {
		t.Errorf("a replica that did not: %v, want an UnknownKeyError", err)
	}
}

func TestDeriveDependsOnLabelAndKey(t *testing.T) {
	t.Parallel()
	tree := newTree(t, newKey(t))
	a, _ := newDEK(t, tree)
	b, _ := newDEK(t, tree)
	if bytes.Equal(a.Derive("x"), a.Derive("y")) || bytes.Equal(a.Derive("x"), b.Derive("x")) {
		t.Error("two derivations are the same")
	}
	if len(a.Derive("x")) != 32 {
		t.Error("a derivation has not 32 bytes")
	}
}
