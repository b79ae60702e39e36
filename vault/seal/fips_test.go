package seal_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/grantry/grantry/vault/seal"
)

// TestFIPSOnly runs what the package does under GODEBUG=fips140=only: a round
// trip through a Tree with a key from a command, and a key file. The keychain and Vault
// have tests of their own.
func TestFIPSOnly(t *testing.T) {
	t.Parallel()
	if out, err := runChild(t, "source", "file:"+filepath.Join(t.TempDir(), "key"), "GODEBUG=fips140=only"); err != nil {
		t.Errorf("a key file: %v\n%s", err, out)
	}
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
	command, err := seal.OpenSource("exec:echo "+key.Line(), seal.SourceOptions{})
	if err != nil {
		return err
	}
	keys, err := command.Keys(context.Background())
	if err != nil {
		return err
	}
	tree, err := seal.NewTree(keys, key.ID())
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

// sourceChild makes a key at the source that arg names, adds another, and takes
// the first away.
func sourceChild(arg string) error {
	ctx := context.Background()
	src, err := seal.OpenSource(arg, seal.SourceOptions{})
	if err != nil {
		return err
	}
	if err := src.(seal.Creator).Create(ctx); err != nil {
		return err
	}
	first, err := src.Keys(ctx)
	if err != nil {
		return err
	}
	second, err := seal.GenerateKey(nil)
	if err != nil {
		return err
	}
	if err := src.(seal.Appender).Append(ctx, second); err != nil {
		return err
	}
	if both, err := src.Keys(ctx); err != nil || len(both) != 2 {
		return fmt.Errorf("%d keys after Append: %w", len(both), err)
	}
	if err := src.(seal.Remover).Remove(ctx, first[0].ID()); err != nil {
		return err
	}
	left, err := src.Keys(ctx)
	if err != nil || len(left) != 1 || left[0].ID() != second.ID() {
		return fmt.Errorf("%d keys after Remove: %w", len(left), err)
	}
	return nil
}
