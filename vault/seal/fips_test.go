package seal_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"errors"
	"testing"

	"github.com/grantry/grantry/vault/seal"
)

func TestFIPSOnly(t *testing.T) {
	t.Parallel()
	if out, err := runChild(t, "fips", "", "GODEBUG=fips140=only"); err != nil {
		t.Fatalf("under fips140=only: %v\n%s", err, out)
	}
}

// fipsChild does all that the package does, and checks that the mode is really on.
func fipsChild(string) error {
	if !fips140.Enforced() {
		return errors.New("fips140=only is not in force")
	}
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return err
	}
	if _, err := cipher.NewGCM(block); err == nil {
		return errors.New("GCM with the caller's nonce is allowed: the mode is not in force")
	}
	key, err := seal.GenerateKey(nil)
	if err != nil {
		return err
	}
	tree, err := seal.NewTree([]seal.Key{key}, key.ID())
	if err != nil {
		return err
	}
	dek, wrapped, err := tree.NewDEK("tenant", "alice", nil)
	if err != nil {
		return err
	}
	again, err := tree.OpenDEK("tenant", "alice", dek.ID(), wrapped)
	if err != nil {
		return err
	}
	place := seal.Place{Table: "grants", Column: "refresh_ct"}
	blob, err := dek.Seal(place, []byte("canary"))
	if err != nil {
		return err
	}
	plain, err := again.Open(place, blob)
	if err != nil {
		return err
	}
	if string(plain) != "canary" || !bytes.Equal(dek.Derive("index/v1"), again.Derive("index/v1")) {
		return errors.New("the round trip changed something")
	}
	return nil
}
