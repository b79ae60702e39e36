package seal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/seal"
	"github.com/zalando/go-keyring"
)

// The tests of the keychain run one after the other: go-keyring has one for the
// process. XDG_CONFIG_HOME (HOME, AppData) is where its lock lies.
func mockKeychain(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"XDG_CONFIG_HOME", "HOME", "AppData"} {
		t.Setenv(name, dir)
	}
	keyring.MockInit()
}

func TestKeychainSource(t *testing.T) {
	mockKeychain(t)
	for ref, entry := range map[string]string{"keychain:": "vault key", "keychain:work": "work"} {
		checkKeychain(t, ref)
		if text, err := keyring.Get("grantry", entry); err != nil || !strings.Contains(text, "\n") {
			t.Errorf("%s is not in grantry/%s: %v", ref, entry, err)
		}
	}
}

// checkKeychain makes, adds and removes keys of a keychain that is empty at first.
func checkKeychain(t testing.TB, ref string) {
	t.Helper()
	src, err := seal.OpenSource(ref, seal.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if src.String() != ref {
		t.Errorf("String = %q, want %q", src, ref)
	}
	second, err := seal.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Keys(t.Context()); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("%s, empty: %v, want ErrNoKey", ref, err)
	}
	if err := src.(seal.Appender).Append(t.Context(), second); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("%s, Append to nothing: %v, want ErrNoKey", ref, err)
	}
	for range 2 {
		if err := src.(seal.Creator).Create(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	first := keyIDs(t, src)[0]
	appendTo(t, src, second)
	if diff := cmp.Diff([]seal.KeyID{first, second.ID()}, keyIDs(t, src)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", ref, diff)
	}
	removeFrom(t, src, first)
	if diff := cmp.Diff([]seal.KeyID{second.ID()}, keyIDs(t, src)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", ref, diff)
	}
	if err := src.(seal.Remover).Remove(t.Context(), second.ID()); !errors.Is(err, seal.ErrLastKey) {
		t.Errorf("%s: removing the last key: %v, want ErrLastKey", ref, err)
	}
}

func TestKeychainSourceWithoutKeychain(t *testing.T) {
	mockKeychain(t)
	keyring.MockInitWithError(keyring.ErrUnsupportedPlatform)
	defer keyring.MockInit()
	src := openSource(t, "keychain:")
	_, readErr := src.Keys(t.Context())
	for what, err := range map[string]error{
		"Keys": readErr, "Create": src.(seal.Creator).Create(t.Context()), "Append": src.(seal.Appender).Append(t.Context(), newKey(t)),
	} {
		if !errors.Is(err, seal.ErrNoKeychain) || !errors.Is(err, keyring.ErrUnsupportedPlatform) {
			t.Errorf("%s: %v, want ErrNoKeychain and the reason", what, err)
		}
	}
	keyring.MockInit()
	if err := keyring.Set("grantry", "vault key", "hunter2"); err != nil {
		t.Fatal(err)
	}
	if _, err := src.Keys(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a bad entry: %v, want an error that does not show it", err)
	}
}
