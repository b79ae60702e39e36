package seal_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/seal"
)

// TestKeychainOverDBus has processes of their own talk to a Secret Service, in
// FIPS mode: one makes the key, three add to it at once.
func TestKeychainOverDBus(t *testing.T) {
	t.Parallel()
	bus := newSecretService(t, false)
	env := []string{"DBUS_SESSION_BUS_ADDRESS=" + bus.address, "XDG_CONFIG_HOME=" + t.TempDir(), "GODEBUG=fips140=only"}
	if out, err := runChild(t, "source", "keychain:", env...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if out, err := runChild(t, "append", "4,keychain:", env...); err != nil {
				t.Errorf("a process: %v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	items := bus.kept()
	if len(items) != 1 {
		t.Fatalf("%d entries, want one", len(items))
	}
	if diff := cmp.Diff(map[string]string{"service": "grantry", "username": "vault key"}, items[0].attributes); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	if keys, err := seal.ParseKeys(items[0].secret.Value); err != nil || len(keys) != 13 {
		t.Errorf("%d keys, %v; want 13", len(keys), err)
	}
}

// TestKeychainRefuses has a person close the dialog, and then no session bus.
func TestKeychainRefuses(t *testing.T) {
	t.Parallel()
	bus := newSecretService(t, true)
	for _, address := range []string{bus.address, "unix:path=/nowhere/bus"} {
		out, err := runChild(t, "source", "keychain:", "DBUS_SESSION_BUS_ADDRESS="+address, "XDG_CONFIG_HOME="+t.TempDir())
		if err == nil || !strings.Contains(string(out), seal.ErrNoKeychain.Error()) {
			t.Errorf("%s: %v, %s; want ErrNoKeychain", address, err, out)
		}
	}
	if len(bus.kept()) != 0 {
		t.Error("the service kept something")
	}
}
